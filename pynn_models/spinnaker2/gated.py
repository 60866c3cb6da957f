"""What arrives at a neuron with several receptors, in float32: one order of operations.

Receptor r is the input (0), then value and gate of each branch (1 + 2p, 2 + 2p). ``S_r`` is the sum
of the stored weights of the spikes that arrive there, an integer; ``y_i`` what source i of a graded
projection sends, its membrane, a float32 as it is::

    A       = ((0 + w_0 y_0) + w_1 y_1) + ...       w stored integers that are not 0, ascending
    total_r = (scale_r S_r + scale A) + scale A' + ...          one graded projection after another
    u       = total_0 + bias
    v, g    = total of value p + value_bias_p,  total of gate p + gate_bias_p
    glu:  u = u + v SIGMOID(g)
    gsu:  z = v g + shift_p,  u = u + (z NORMAL(z)) gain_p
                                                                one branch after another
    v       = u + 0, and the modes as :func:`.core.run_modes` has them

Every sum and product is rounded, none fused. Neurons are in units of the network, so that what they
send needs no scale of theirs. The same in C: ``c/gated_float_core.h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pynn_models.jit import njit
from pynn_models.spinnaker2.acting import ActingParameters
from pynn_models.spinnaker2.core import Float32Array, Float32Error, ModeParameters, Parameters
from pynn_models.spinnaker2.tables import FLOAT_KINDS

INPUT = 0
_SOURCES = 2**16
Cell = ModeParameters | ActingParameters


def value_at(branch: int) -> int:
    """The receptor of a branch's value."""
    return 1 + 2 * branch


def gate_at(branch: int) -> int:
    """The receptor of a branch's gate."""
    return 2 + 2 * branch


@dataclass(frozen=True, eq=False)
class FloatBranches(Parameters):
    """P branches of H neurons, (H, P) each; ``kind`` one of ``FLOAT_KINDS``."""

    kind: str
    value_bias: NDArray[np.floating[Any]]
    gate_bias: NDArray[np.floating[Any]]
    shift: NDArray[np.floating[Any]]
    gain: NDArray[np.floating[Any]]

    @property
    def count(self) -> int:
        """P."""
        return int(self.gain.shape[1])


@dataclass(frozen=True, eq=False)
class GradedFloats(Parameters):
    """What one graded projection brings to ``receptor``: ``weights`` (pre, H) int8, ``scale`` (H,).

    Raises :class:`.Float32Error` for more sources than the C core's 16 bits tell apart.
    """

    weights: NDArray[np.int8]
    scale: NDArray[np.floating[Any]]
    receptor: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.weights) > _SOURCES:
            raise Float32Error(
                f"a graded projection has {len(self.weights)} sources; expected at most {_SOURCES},"
                " which 16 bits tell apart. Use fewer channels, or the backend software."
            )


@dataclass(frozen=True, eq=False)
class GatedFloats(Parameters):
    """H neurons: ``cell``, whose bias is 0; ``bias`` (H,); ``scale`` (H, R) of spikes at each of
    the R = 1 + 2 P receptors; ``branches``; ``graded`` in the order in which they are added."""

    cell: Cell
    bias: NDArray[np.floating[Any]]
    scale: NDArray[np.floating[Any]]
    branches: FloatBranches | None = None
    graded: tuple[GradedFloats, ...] = ()

    @property
    def kind(self) -> str:
        """Of the branches; empty without."""
        return "" if self.branches is None else self.branches.kind

    @property
    def n_branches(self) -> int:
        """P, 0 without branches."""
        return 0 if self.branches is None else self.branches.count


@njit(nogil=True)
def _add_graded(values, weights, scale, total):  # type: ignore[no-untyped-def]
    """``total += scale A``; a stored 0 adds 0, which changes no finite sum."""
    samples, steps, size = total.shape
    acc = np.zeros(size, np.float32)
    for b in range(samples):
        for k in range(steps):
            acc[:] = np.float32(0)
            for i in range(weights.shape[0]):
                y = values[b, k, i]
                for h in range(size):
                    acc[h] = acc[h] + weights[i, h] * y
            for h in range(size):
                total[b, k, h] = total[b, k, h] + scale[h] * acc[h]


def gated_input(
    p: GatedFloats, sums: Float32Array, values: Sequence[Float32Array]
) -> Float32Array:
    """u (B, L, H) of ``sums`` (B, L, R, H), integers, and for each graded projection what its
    sources send, (B, L, pre), at the step at which it arrives.

    Raises :class:`.Float32Error` for what is sent that is not finite.
    """

    def total(receptor: int) -> Float32Array:
        found = p.scale[:, receptor] * sums[:, :, receptor]
        for graded, sent in zip(p.graded, values, strict=True):
            if graded.receptor == receptor:
                _add_graded(sent, graded.weights.astype(np.float32), graded.scale, found)
        return np.asarray(found, np.float32)

    if not all(np.isfinite(sent).all() for sent in values):
        raise Float32Error("a membrane that is sent is not finite; expected numbers of float32.")
    u = total(INPUT)
    u += p.bias
    branches = p.branches
    for n in range(0 if branches is None else branches.count):
        v, g = total(value_at(n)), total(gate_at(n))
        _add_branch(branches, n, v, g, u)
    return u


def _add_branch(
    branches: Any, n: int, v: Float32Array, g: Float32Array, u: Float32Array
) -> None:
    v += branches.value_bias[:, n]
    g += branches.gate_bias[:, n]
    kind = FLOAT_KINDS[branches.kind]
    shift, gain = (np.ascontiguousarray(m[:, n]) for m in (branches.shift, branches.gain))
    kind.loop(v, g, shift, gain, kind.table.entries, kind.table.per_unit, u)
