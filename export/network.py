"""The description of a spiking network: what every backend builds, runs and compares.

A :class:`Network` holds one :class:`Source` (the input), :class:`Population` s of state-space
cells, :class:`Projection` s between them and a :class:`Readout`. It is validated when made: names,
shapes, finiteness, signs of time, and the alignment rule ``delay = latency(target) -
latency(source)``, by which the network is the trained one, shifted layer by layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pynn_models.cells import StateSpaceCell
from pynn_models.errors import SnnSsmError

FloatArray = NDArray[np.float64]
ENCODINGS = ("bits", "current")
POOLINGS = ("mean", "last")
CELLS = ("native", "stock")


class NetworkError(SnnSsmError):
    """A network description that contradicts itself; names the population or projection."""


@dataclass(frozen=True)
class Source:
    """The input: ``channels`` values a step.

    ``bits``: each channel is a ``bits``-wide unsigned integer carried by that many spike sources,
    source ``c * bits + j`` spiking where bit j of channel c is set. ``current``: each channel is a
    step current. ``bits`` is the declared range of integer channels for either encoding, 0 for
    real values.
    """

    name: str
    encoding: str
    channels: int
    bits: int = 0

    def __post_init__(self) -> None:
        where = f"input {self.name!r}"
        if self.encoding not in ENCODINGS:
            raise NetworkError(
                f"{where}: encoding {self.encoding!r} is unknown; use one of "
                f"{', '.join(ENCODINGS)}."
            )
        if self.channels < 1:
            raise NetworkError(f"{where}: {self.channels} channels; expected at least 1.")
        if not 0 <= self.bits <= 16 or (self.encoding == "bits" and self.bits == 0):
            raise NetworkError(
                f"{where}: {self.bits} bits a channel with encoding {self.encoding!r}; expected 1 "
                "to 16. Real-valued input needs the encoding 'current'."
            )

    @property
    def size(self) -> int:
        """Number of spike sources (``bits``) or currents (``current``)."""
        return self.channels * self.bits if self.encoding == "bits" else self.channels


@dataclass(frozen=True, eq=False)
class Population:
    """H neurons of one cell; ``latency``: the steps by which it runs behind the input."""

    name: str
    cell: StateSpaceCell
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


@dataclass(frozen=True, eq=False)
class Projection:
    """Dense weights (pre, post), signed, and a delay in steps."""

    source: str
    target: str
    weights: FloatArray
    delay: int

    def __post_init__(self) -> None:
        weights = np.array(self.weights, dtype=np.float64, order="C")
        if weights.ndim != 2:
            raise NetworkError(f"{self}: weights of shape {weights.shape}; expected (pre, post).")
        bad = ~np.isfinite(weights)
        if bad.any():
            i, j = (int(v) for v in np.argwhere(bad)[0])
            raise NetworkError(
                f"{self}: weight [{i}, {j}] is {weights[i, j]}; expected a finite number. "
                "Training diverged or the file was altered: export a sound checkpoint."
            )
        if self.delay < 1:
            raise NetworkError(f"{self}: delay {self.delay}; expected at least 1 step.")
        weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)

    def __str__(self) -> str:
        return f"projection {self.source!r} -> {self.target!r}"


@dataclass(frozen=True)
class Readout:
    """How class scores come from the population ``population`` of silent neurons.

    ``mean``: its membrane sums the logits of each step, so membrane / steps are the logits;
    ``last``: its membrane is the logits of the current step.
    """

    population: str
    pooling: str

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise NetworkError(
                f"readout: pooling {self.pooling!r}; use one of {', '.join(POOLINGS)}."
            )


@dataclass(frozen=True, eq=False)
class Network:
    """The whole: ``timestep`` in ms, ``steps`` of one sample, and where it came from.

    Populations are in order of latency, so that every projection goes forward. ``cells``:
    ``native``, or ``stock``, where every spiking cell is one that PyNN's ``IF_curr_exp`` can be:
    one real mode, c = 1, d = 0, no bias (its constant is in the threshold).
    """

    timestep: float
    steps: int
    source: Source
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    readout: Readout
    origin: dict[str, Any] = field(default_factory=dict)
    cells: str = "native"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.timestep) and self.timestep > 0):
            raise NetworkError(
                f"timestep is {self.timestep} ms; expected a positive number. "
                "Give --timestep in milliseconds, for example 1.0."
            )
        if self.steps < 1:
            raise NetworkError(f"a sample has {self.steps} steps; expected at least 1.")
        names = [self.source.name, *(p.name for p in self.populations)]
        for name in names:
            if names.count(name) > 1:
                raise NetworkError(f"the name {name!r} is used twice; names must differ.")
        for before, after in zip(self.populations, self.populations[1:], strict=False):
            if after.latency < before.latency:
                raise NetworkError(
                    f"population {after.name!r}: latency {after.latency} comes after that of "
                    f"{before.name!r}, {before.latency}; expected populations in order of latency."
                )
        self._check_projections()
        self._check_cells()
        if self.readout.population not in names[1:]:
            raise NetworkError(
                f"readout: there is no population {self.readout.population!r}; "
                f"there are {', '.join(names[1:])}."
            )
        if bool(np.isfinite(self.population(self.readout.population).cell.theta).any()):
            raise NetworkError(
                f"readout {self.readout.population!r}: a finite threshold; expected inf, since an "
                "accumulator is read by its membrane and must not spike."
            )
        for projection in self.projections:
            if projection.source == self.readout.population:
                raise NetworkError(f"{projection}: the readout never spikes; leave this out.")

    def _check_cells(self) -> None:
        if self.cells not in CELLS:
            raise NetworkError(f"cells {self.cells!r} are unknown; use one of {', '.join(CELLS)}.")
        if self.cells == "native":
            return
        for population in self.layers:
            cell = population.cell
            plain = cell.n_modes == 1 and not cell.is_complex and bool((cell.c_re == 1).all())
            if not (plain and not cell.d.any() and not cell.bias.any()):
                raise NetworkError(
                    f"population {population.name!r}: its cell is none that IF_curr_exp can be; "
                    "expected one real mode, c = 1, d = 0, no bias. Train with model.cells = "
                    "\"stock\", or use native cells."
                )

    def _check_projections(self) -> None:
        latencies = {self.source.name: 0} | {p.name: p.latency for p in self.populations}
        sizes = {self.source.name: self.source.size} | {p.name: p.size for p in self.populations}
        seen = set()
        for projection in self.projections:
            pre, post = projection.source, projection.target
            for name in (pre, post):
                if name not in sizes:
                    raise NetworkError(
                        f"{projection}: there is no {name!r}; there are {', '.join(sizes)}."
                    )
            if post == self.source.name:
                raise NetworkError(f"{projection}: the input cannot be a target.")
            if (pre, post) in seen:
                raise NetworkError(f"{projection}: stands twice; add the weights instead.")
            seen.add((pre, post))
            expected = (sizes[pre], sizes[post])
            if projection.weights.shape != expected:
                raise NetworkError(
                    f"{projection}: weights of shape {projection.weights.shape}; expected "
                    f"{expected}, the sizes of {pre!r} and {post!r}."
                )
            delay = latencies[post] - latencies[pre]
            if projection.delay != delay:
                raise NetworkError(
                    f"{projection}: delay {projection.delay} steps; expected {delay}, the "
                    f"difference of the latencies {latencies[pre]} and {latencies[post]}."
                )

    def population(self, name: str) -> Population:
        """The population of that name; raises :class:`NetworkError` listing the known ones."""
        for population in self.populations:
            if population.name == name:
                return population
        raise NetworkError(
            f"there is no population {name!r}; there are "
            f"{', '.join(p.name for p in self.populations)}."
        )

    @property
    def layers(self) -> tuple[Population, ...]:
        """The spiking populations: all but the readout."""
        return tuple(p for p in self.populations if p.name != self.readout.population)

    def incoming(self, name: str) -> Iterator[Projection]:
        """The projections onto a population."""
        return (p for p in self.projections if p.target == name)

    @property
    def max_delay(self) -> int:
        """The longest delay, in steps."""
        return max((p.delay for p in self.projections), default=1)
