"""The description of a spiking network: what every backend builds, runs and compares.

A :class:`Network` holds one :class:`Source` (the input), :class:`Population` s of cells,
:class:`Projection` s between them and a :class:`Readout`. It is validated when made: names,
shapes, finiteness, signs of time, receptors, and the alignment rule ``delay = latency(target) -
latency(source)``, by which the network is the trained one, shifted layer by layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from export.description.cells import STATE_SPACE, Family, families
from export.description.parts import (
    INPUT_RECEPTOR,
    FloatArray,
    NetworkError,
    Population,
    Projection,
    Readout,
    Source,
    gate_receptor,
    value_receptor,
)

__all__ = [
    "INPUT_RECEPTOR",
    "FloatArray",
    "Network",
    "NetworkError",
    "Population",
    "Projection",
    "Readout",
    "Source",
    "gate_receptor",
    "value_receptor",
]

@dataclass(frozen=True, eq=False)
class Network:
    """The whole: ``timestep`` in ms, ``steps`` of one sample, and where it came from.

    Populations are in order of latency, so that every projection goes forward. ``cells``:
    ``native``; ``stock``, where every spiking cell is one that PyNN's ``IF_curr_exp`` can be: one
    real mode, c = 1, d = 0, no bias (its constant is in the threshold); or ``lif``, where it is a
    ``LeakyCell``. The readout's cells are state-space cells in each.
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
        for projection in self.projections:
            self._check_ends(projection)
            self._check_receptor(projection)
        self._check_unique()
        self._check_cells()
        self._check_readout(names[1:])

    def _check_ends(self, projection: Projection) -> None:
        latencies = {self.source.name: 0} | {p.name: p.latency for p in self.populations}
        sizes = {self.source.name: self.source.size} | {p.name: p.size for p in self.populations}
        pre, post = projection.source, projection.target
        for name in (pre, post):
            if name not in sizes:
                raise NetworkError(
                    f"{projection}: there is no {name!r}; there are {', '.join(sizes)}."
                )
        if post == self.source.name:
            raise NetworkError(f"{projection}: the input cannot be a target.")
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

    def _check_receptor(self, projection: Projection) -> None:
        branches = self.population(projection.target).branches
        known = [INPUT_RECEPTOR]
        for p in range(branches.count if branches else 0):
            known += [value_receptor(p), gate_receptor(p)]
        if projection.receptor not in known:
            raise NetworkError(
                f"{projection}: {projection.target!r} has no receptor {projection.receptor!r}; it "
                f"has {', '.join(known)}. Give its cell a branch for each pair of value and gate."
            )
        source = next((p for p in self.populations if p.name == projection.source), None)
        silent = source is not None and not source.spikes
        membrane = source is not None and source.kind.sends_membrane
        if projection.graded and not membrane:
            raise NetworkError(
                f"{projection}: graded, but {projection.source!r} has no membrane to send; "
                "expected a population of state-space cells. Send its spikes."
            )
        if silent and not projection.graded:
            raise NetworkError(
                f"{projection}: {projection.source!r} never spikes; leave this out, or make it "
                "graded."
            )

    def _check_unique(self) -> None:
        seen = set()
        for projection in self.projections:
            key = (projection.source, projection.target, projection.receptor)
            if key in seen:
                raise NetworkError(f"{projection}: stands twice; add the weights instead.")
            seen.add(key)

    def _check_cells(self) -> None:
        known = families()
        if self.cells not in known:
            raise NetworkError(f"cells {self.cells!r} are unknown; use one of {', '.join(known)}.")
        family, spiking = known[self.cells]
        for population in self.populations:
            where, found = f"population {population.name!r}", population.kind
            expected = spiking if population.spikes else STATE_SPACE
            if found is not expected:
                raise NetworkError(
                    f"{where}: a {found.cell.__name__} in a network of {self.cells} cells; "
                    f"expected {spiking.cell.__name__} for its spiking populations and "
                    f"{STATE_SPACE.cell.__name__} for the others."
                )
            fault = family.fault(population.cell) if population.spikes else ""
            if fault:
                raise NetworkError(f"{where}: {fault}")

    @property
    def family(self) -> Family:
        """The entry of its ``cells`` in the registry."""
        return families()[self.cells][0]

    def _check_readout(self, known: list[str]) -> None:
        name = self.readout.population
        if name not in known:
            raise NetworkError(
                f"readout: there is no population {name!r}; there are {', '.join(known)}."
            )
        if self.population(name).spikes:
            raise NetworkError(
                f"readout {name!r}: a finite threshold; expected inf, since an accumulator is read "
                "by its membrane and must not spike."
            )
        for projection in self.projections:
            if projection.source == name:
                raise NetworkError(
                    f"{projection}: the readout answers when a sample ends; leave this out."
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
    def names(self) -> tuple[str, ...]:
        """What its classes, labels or values are called; numbers where nobody says."""
        count = self.population(self.readout.population).size
        names = tuple(str(name) for name in self.origin.get("names", ()))
        return names if len(names) == count else tuple(str(k) for k in range(count))

    @property
    def layers(self) -> tuple[Population, ...]:
        """The populations that spike: all but the readout, and what gathers for it."""
        return tuple(p for p in self.populations if p.spikes)

    @property
    def linear_readout(self) -> bool:
        """Whether logits are linear in the spikes, so that counts of spikes give them."""
        name = self.readout.population
        gated = self.population(name).branches is not None
        return not gated and not any(p.graded for p in self.incoming(name))

    def incoming(self, name: str, receptor: str | None = None) -> Iterator[Projection]:
        """The projections onto a population, and onto one receptor of it if that is given."""
        return (
            p for p in self.projections
            if p.target == name and receptor in (None, p.receptor)
        )

    @property
    def max_delay(self) -> int:
        """The longest delay, in steps."""
        return max((p.delay for p in self.projections), default=1)
