"""The description of a spiking network: what every backend builds, runs and compares.

A :class:`Network` holds one :class:`Source` (the input), :class:`Population` s of cells,
:class:`Projection` s between them and a :class:`Readout`. It is validated when made: names,
shapes, finiteness, signs of time, receptors, and the alignment of what arrives.

Population p does reference step k in the simulator's step k + latency(p), so that layers wait for
their input. A synapse of delay d brings what its source i sent in an earlier reference step,

    s_i[k - lag],   lag = d - (latency(target) - latency(source)) >= 0

where nothing was sent before step 0, whatever the sample before did. Lag 0 everywhere is a network
that is fed forward, shifted layer by layer. A projection to the source itself, or to an earlier
population, is one too: its delay is at least 1 step, and so is its lag.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from export.description.cells import STATE_SPACE, Family, families
from export.description.differences import check_sums
from export.description.parts import (
    INPUT_RECEPTOR,
    FloatArray,
    NetworkError,
    Population,
    Readout,
    Source,
    gate_receptor,
    value_receptor,
)
from export.description.projection import Projection

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

    Populations are in order of latency. ``cells``:
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
        check_sums(self.populations, self.projections)
        self._check_cells()
        self._check_readout(names[1:])

    def _check_ends(self, projection: Projection) -> None:
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
        self._check_lag(projection)

    def _check_lag(self, projection: Projection) -> None:
        lead, delay = self.lead(projection), projection.shortest_delay
        if delay < lead:
            raise NetworkError(
                f"{projection}: delay {delay} steps; expected at least {lead}, the difference of "
                f"the latencies {self._latency(projection.source)} and "
                f"{self._latency(projection.target)}."
            )
        current = projection.source == self.source.name and self.source.kind.currents
        events = not current and projection.graded and self._sends_events(projection)
        late = delay > lead and not events
        if (current or projection.graded) and (projection.sparse or late):
            sent = "a current" if current else "an event's value" if events else "a membrane"
            delays = "one delay" if events else f"the one delay {lead}"
            raise NetworkError(
                f"{projection}: {sent} arrives from every neuron at once; expected all weights and "
                f"{delays}. Send spikes"
                + (": export with --input bits." if current else ".")
            )

    def _sends_events(self, projection: Projection) -> bool:
        """Whether what a graded projection brings comes with spikes only."""
        return any(p.kind.events for p in self.populations if p.name == projection.source)

    def _check_receptor(self, projection: Projection) -> None:
        known = self.population(projection.target).receptors
        if projection.receptor not in known:
            raise NetworkError(
                f"{projection}: {projection.target!r} has no receptor {projection.receptor!r}; it "
                f"has {', '.join(known)}. Give its cell a branch for each pair of value and gate."
            )
        source = next((p for p in self.populations if p.name == projection.source), None)
        silent = source is not None and not source.spikes
        membrane = source is not None and source.kind.sends is not None
        if projection.graded and not membrane:
            raise NetworkError(
                f"{projection}: graded, but {projection.source!r} has no membrane to send; "
                "expected a population of state-space cells. Send its spikes."
            )
        if projection.graded and source is not None and source.differences:
            raise NetworkError(
                f"{projection}: graded, but {projection.source!r} sends differences of its counts; "
                "expected one or the other of a population. Send counts, or no membranes."
            )
        if silent and not projection.graded:
            raise NetworkError(
                f"{projection}: {projection.source!r} never spikes; leave this out, or make it "
                "graded."
            )

    def _check_unique(self) -> None:
        seen = set()
        for projection in self.projections:
            delay = projection.delay if isinstance(projection.delay, int) else "a synapse"
            key = (projection.source, projection.target, projection.receptor, delay)
            if key in seen:
                remedy = (
                    "add the weights instead." if isinstance(delay, int)
                    else "give all but one of them one delay each."
                )
                raise NetworkError(
                    f"{projection}: stands twice, with the delay {delay}; {remedy}"
                )
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

    def with_feedback(self) -> tuple[Population, str] | None:
        """The first population on which spikes act back through an optional part, and the part."""
        found = ((p, part) for p in self.populations for part in p.kind.feedback(p.cell))
        return next(found, None)

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
        if name in self._by_name:
            return self._by_name[name]
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
        """Whether logits are linear in the spikes, so that sums of spikes give them."""
        name = self.readout.population
        gated = self.population(name).branches is not None
        return not gated and not any(p.graded for p in self.incoming(name))

    @property
    def folded(self) -> bool:
        """Whether a population computes several layers' gated products, each for itself."""
        return any(p.branches is not None and p.branches.count > 1 for p in self.populations)

    def incoming(self, name: str, receptor: str | None = None) -> Sequence[Projection]:
        """The projections onto a population, and onto one receptor of it if that is given."""
        return self._onto.get((name, receptor), ())

    # A stream asks for these at each step.
    @functools.cached_property
    def _by_name(self) -> dict[str, Population]:
        return {population.name: population for population in self.populations}

    @functools.cached_property
    def _onto(self) -> dict[tuple[str, str | None], list[Projection]]:
        found: dict[tuple[str, str | None], list[Projection]] = {}
        for p in self.projections:
            for receptor in (None, p.receptor):
                found.setdefault((p.target, receptor), []).append(p)
        return found

    def lead(self, projection: Projection) -> int:
        """``latency(target) - latency(source)``: the delay of lag 0, in steps."""
        return self._latency(projection.target) - self._latency(projection.source)

    def _latency(self, name: str) -> int:
        return 0 if name == self.source.name else self.population(name).latency

    def key(self, projection: Projection) -> tuple[str, ...]:
        """What tells a projection from the others: its ends, its receptor unless that is the input,
        and of the second and further ones between these their number."""
        def ends(p: Projection) -> tuple[str, ...]:
            at = () if p.receptor == INPUT_RECEPTOR else (p.receptor,)
            return p.source, p.target, *at

        alike = [p for p in self.projections if ends(p) == ends(projection)]
        number = next(n for n, p in enumerate(alike, 1) if p is projection)
        return ends(projection) if number == 1 else (*ends(projection), str(number))

    @property
    def min_delay(self) -> int:
        """The shortest delay, in steps."""
        return min((p.shortest_delay for p in self.projections), default=1)

    @property
    def max_delay(self) -> int:
        """The longest delay, in steps."""
        return max((p.longest_delay for p in self.projections), default=1)

    @property
    def max_lag(self) -> int:
        """The longest lag, in steps: for so long a sample's spikes are on their way after its end.
        """
        return max((p.longest_delay - self.lead(p) for p in self.projections), default=0)
