"""The residual stream of a trained network: an affine form of its sources, and gated branches.

With linear mixing every layer's output is affine in its spikes, and so is the stream. A gated
layer adds a product, which no sum of weights can be: it stays a :class:`Branch` of its own, to be
computed by whoever receives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from export.description.network import FloatArray, Projection, Source, gate_receptor, value_receptor
from export.lowering.affine import Affine, on_grid, projections
from pynn_models.cells import Branches


@dataclass(frozen=True, eq=False)
class Branch:
    """One layer's output: a product of ``value`` v and ``gate`` g, what of, its subclass says.

    v is affine in the layer's spikes, g in its spikes or, ``graded``, in its membrane. ``shift``
    and ``gain`` (H,).
    """

    kind: ClassVar[str]
    graded: ClassVar[bool]

    value: Affine
    gate: Affine
    shift: FloatArray
    gain: FloatArray

    def scaled(self, scale: FloatArray) -> Branch:
        """``scale * self``, a value a channel."""
        return replace(self, gain=scale * self.gain)

    def on_grid(self, source: Source) -> Branch:
        """What spikes carry is put on its receptor's grid; sums of membranes are on none."""
        gate = self.gate if self.graded else on_grid(self.gate, source)
        return replace(self, value=on_grid(self.value, source), gate=gate)


@dataclass(frozen=True, eq=False)
class Stream:
    """``affine + sum of branches``, (H,) a step."""

    affine: Affine
    branches: tuple[Branch, ...] = ()

    def plus(self, output: Stream) -> Stream:
        """``self + output``, of sources that have no part in ``self`` yet."""
        return Stream(self.affine.plus(output.affine), (*self.branches, *output.branches))

    def scaled(self, scale: FloatArray, shift: FloatArray | float = 0.0) -> Stream:
        """``scale * self + shift``, a value a channel each."""
        branches = tuple(branch.scaled(scale) for branch in self.branches)
        return Stream(self.affine.scaled(scale, shift), branches)

    def on_grid(self, source: Source) -> Stream:
        """:func:`export.lowering.affine.on_grid` of every receptor by itself."""
        branches = tuple(branch.on_grid(source) for branch in self.branches)
        return Stream(on_grid(self.affine, source), branches)

    def cell_branches(self) -> Branches | None:
        """The constants of the branches, for the cell that receives this; None without branches."""
        if not self.branches:
            return None
        return Branches(
            kind=self.branches[0].kind,
            value_bias=np.stack([b.value.constant for b in self.branches], axis=1),
            gate_bias=np.stack([b.gate.constant for b in self.branches], axis=1),
            shift=np.stack([b.shift for b in self.branches], axis=1),
            gain=np.stack([b.gain for b in self.branches], axis=1),
        )

    def projections(self, target: str, latency: Mapping[str, int]) -> list[Projection]:
        """All that ``target`` receives, at its input and at a value and a gate a branch."""
        found = projections(self.affine, target, latency)
        for p, branch in enumerate(self.branches):
            found += projections(branch.value, target, latency, value_receptor(p))
            found += projections(branch.gate, target, latency, gate_receptor(p), branch.graded)
        return found
