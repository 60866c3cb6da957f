"""The parts of a network: its input, its populations, its readout.

Each is checked by itself when made; what holds between them is :mod:`export.description.network`'s.
Projections: :mod:`export.description.projection`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.description.cells import Cell, CellKind, kind_of
from export.description.encodings import ENCODINGS, Encoding
from export.description.readouts import POOLINGS, Pooling
from pynn_models.cells import Branches, StateSpaceCell
from pynn_models.errors import SnnSsmError
from snn_ssm.kinds.outputs import OUTPUTS, OutputKind

FloatArray = NDArray[np.float64]
INPUT_RECEPTOR = "input"
LARGEST_FRACTION = 96  # bits behind the point: weights in such units are far from float32's ends


class NetworkError(SnnSsmError):
    """A network description that contradicts itself; names the population or projection."""


@dataclass(frozen=True)
class Source:
    """The input: ``channels`` values a step.

    ``bits``: each channel is a ``bits``-wide unsigned integer carried by that many spike sources,
    source ``c * bits + j`` spiking where bit j of channel c is set. ``current``: each channel is a
    step current. ``bits`` is the declared range of integer channels for either encoding, 0 for
    real values. ``token``: one channel of symbols below ``symbols``, one spike source a symbol.
    ``spikes``: each channel is a spike source, its value 0 or 1. ``quantised``: each is a real
    value, as a signed integer of ``bits`` bits in units of ``2^-f``, f its own of ``fraction``.
    """

    name: str
    encoding: str
    channels: int
    bits: int = 0
    symbols: int = 0
    fraction: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        where = f"input {self.name!r}"
        object.__setattr__(self, "fraction", tuple(self.fraction))  # of a file it is a list
        if self.encoding not in ENCODINGS:
            raise NetworkError(
                f"{where}: encoding {self.encoding!r} is unknown; use one of "
                f"{', '.join(ENCODINGS)}."
            )
        if self.channels < 1:
            raise NetworkError(f"{where}: {self.channels} channels; expected at least 1.")
        if not 0 <= self.bits <= 16 or (self.kind.integers and self.bits == 0):
            raise NetworkError(
                f"{where}: {self.bits} bits a channel with encoding {self.encoding!r}; expected 1 "
                "to 16. Real-valued input needs the encoding 'current' or 'quantised'."
            )
        symbols = self.kind.symbols
        if symbols != (self.symbols > 0) or (symbols and (self.channels != 1 or self.bits)):
            raise NetworkError(
                f"{where}: {self.symbols} symbols, {self.channels} channels and {self.bits} bits "
                f"with encoding {self.encoding!r}; expected one channel of symbols with 'token', "
                "and no symbols otherwise."
            )
        if len(self.fraction) != (self.channels if self.kind.fractions else 0):
            raise NetworkError(
                f"{where}: {len(self.fraction)} fractions and {self.channels} channels with "
                f"encoding {self.encoding!r}; expected one a channel with 'quantised', and none "
                "otherwise."
            )
        furthest = max(map(abs, self.fraction), default=0)
        if self.kind.fractions and (self.bits < 2 or furthest > LARGEST_FRACTION):
            raise NetworkError(
                f"{where}: {self.bits} bits in units of 2^-f, f of {min(self.fraction)} to "
                f"{max(self.fraction)}; expected 2 to 16 bits, one for the sign, and f of "
                f"-{LARGEST_FRACTION} to {LARGEST_FRACTION}. Scale the samples."
            )

    @property
    def size(self) -> int:
        """Number of spike sources, or of currents (``current``)."""
        return self.kind.size(self)

    @property
    def kind(self) -> Encoding:
        """Its encoding's entry in the registry."""
        return ENCODINGS[self.encoding]


@dataclass(frozen=True, eq=False)
class Population:
    """H neurons of one cell; ``latency``: the steps by which it runs behind the input."""

    name: str
    cell: Cell
    latency: int

    def __post_init__(self) -> None:
        if self.latency < 1:
            raise NetworkError(
                f"population {self.name!r}: latency {self.latency}; expected at least 1 step, the "
                "shortest delay of a simulator."
            )

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.cell.n_neurons

    @property
    def spikes(self) -> bool:
        """Whether a neuron of it can spike: a threshold is finite."""
        return bool(np.isfinite(self.cell.theta).any())

    @property
    def levels(self) -> int:
        """The most spikes of a neuron in a step: a recording of more than 1 holds counts."""
        return self.cell.levels

    @property
    def differences(self) -> bool:
        """Whether it sends s[k] - s[k-1] of its spikes s, which who receives them adds up."""
        return self.kind.differences(self.cell)

    @property
    def branches(self) -> Branches | None:
        """The gated inputs of its cell, if it has any."""
        return self.cell.branches

    @property
    def receptors(self) -> tuple[str, ...]:
        """The names of all that input can arrive at, the input itself first."""
        count = 0 if self.branches is None else self.branches.count
        gated = (name(p) for p in range(count) for name in (value_receptor, gate_receptor))
        return (INPUT_RECEPTOR, *self.kind.receptors, *gated)

    @property
    def kind(self) -> CellKind:
        """Its cell's entry in the registry."""
        return kind_of(self.cell)

    @property
    def state_space(self) -> StateSpaceCell:
        """Its cell; raises :class:`NetworkError` for one that is no state-space cell."""
        if isinstance(self.cell, StateSpaceCell):
            return self.cell
        raise NetworkError(
            f"population {self.name!r}: its neurons are of the kind {self.kind.name!r}; expected "
            "state-space cells, which this needs. Train with model.cells = \"native\"."
        )


@dataclass(frozen=True)
class Readout:
    """How scores come from the population ``population`` of silent neurons.

    ``mean``: its membrane sums the logits of each step, so membrane / steps are the logits;
    ``last``: its membrane is the logits of the current step; ``filter``: a running average of them.
    ``output``: what the scores answer (:mod:`snn_ssm.kinds.outputs`); ``each_step``: at each step,
    and not of the sample.
    """

    population: str
    pooling: str
    output: str = "classes"
    each_step: bool = False

    @property
    def kind(self) -> Pooling:
        """Its pooling's entry in the registry."""
        return POOLINGS[self.pooling]

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise NetworkError(
                f"readout: pooling {self.pooling!r}; use one of {', '.join(POOLINGS)}."
            )
        if self.output not in OUTPUTS:
            raise NetworkError(
                f"readout: output {self.output!r}; use one of {', '.join(OUTPUTS)}."
            )
        if OUTPUTS[self.output].each_step and not self.each_step:
            raise NetworkError(
                f"readout: output {self.output!r} of a sample; expected one at each step. Set "
                "each_step."
            )

    @property
    def answers(self) -> OutputKind:
        """Its output's entry in the registry."""
        return OUTPUTS[self.output]


def value_receptor(branch: int) -> str:
    """The receptor of a branch's value."""
    return f"value{branch}"


def gate_receptor(branch: int) -> str:
    """The receptor of a branch's gate."""
    return f"gate{branch}"
