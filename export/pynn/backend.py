"""What a PyNN backend must offer, and what the backends share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from export.description.network import (
    FloatArray,
    Network,
    Population,
    Projection,
    Source,
)
from pynn_models.errors import SnnSsmError

Delay = float | FloatArray
_ROUNDING = 1e-6  # microseconds: what a timestep in ms may be off by


class BackendError(SnnSsmError):
    """A PyNN backend that is unknown, not installed or not set up for the network."""


class Trains(NamedTuple):
    """Spikes (K,): whose, from 0, and when, in ms; of how many ``neurons`` they were recorded."""

    neurons: int
    sources: NDArray[np.int64]
    times: FloatArray


class Backend(Protocol):
    """What a PyNN backend must offer; one class a backend and kind of cell.

    ``module``: of PyNN; ``aliases``: other names that the same module goes by.
    ``lag``: the steps from an input's arrival to the spike it causes. ``stamp``: the time, in
    steps, that the simulator gives to a spike of step 0. ``copies``: None where samples stream,
    else how many run side by side at most. ``takes_currents``: an input can be step currents;
    ``counts``: a neuron can send several spikes in a step; ``threaded``: it computes in as many
    threads as it is set up for.
    """

    module: str
    aliases: tuple[str, ...]
    cells: str
    lag: int
    stamp: float
    copies: int | None
    takes_currents: bool
    counts: bool
    threaded: bool

    def takes(self, network: Network) -> bool:
        """Whether the network is of this backend's cells."""

    def samples_a_run(self, network: Network) -> int | None:
        """How many samples one run can take; None: any number."""

    def gap(self, network: Network) -> int:
        """The silent steps between two samples; read only where samples stream."""

    def in_turn(self, network: Network, samples: int) -> Backend:
        """The backend for a run of so many samples that :meth:`run` alone carries out.

        It may let samples stream that otherwise run side by side: it sets populations to rest.
        """

    def setup_arguments(self, network: Network) -> dict[str, Any]:
        """Keyword arguments for ``sim.setup`` under which the network is exact."""

    def prepare(self, sim: Any, network: Network) -> None:
        """Called before the first population; raises :class:`BackendError` for a wrong setup."""

    def first_input(self, network: Network) -> int:
        """The earliest step at which the input can emit its first value."""

    def spike_sources(self, sim: Any, times: list[NDArray[Any]], timestep: float, name: str) -> Any:
        """A population emitting at ``times`` (units: steps, those of spikes)."""

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        """``copies`` of the population, which may spike from ``first_step`` on."""

    def projection(
        self, sim: Any, network: Network, projection: Projection, pre: Any, post: Any,
        delay: Delay, copies: int,
    ) -> Any:
        """The signed weights from each copy to its own; ``delay`` in ms, for all or (pre, post).

        To the projection's receptor, and of the membrane where it is graded.
        """

    def currents(
        self, post: Any, currents: FloatArray, weights: FloatArray, first_step: int, delay: float,
        receptor: str,
    ) -> Any:
        """Step currents (C, L) into a population through ``weights`` (C, H), at a receptor of it.

        Called only where ``takes_currents``.
        """

    def run(self, sim: Any, duration: float) -> None:
        """``sim.run(duration)``, ms, so that Ctrl-C ends it soon where that can be."""

    def spikes(self, population: Any) -> Trains:
        """What was recorded of a population; raises :class:`BackendError` as whole_segment does."""

    def record_membrane(self, population: Any) -> Any:
        """Start to record it; returns what :meth:`membrane` reads it from."""

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        """The recorded membrane from the population's first step on, (steps, neurons)."""

    def check_ran(self) -> None:
        """Raise :class:`BackendError` where the simulator computes nothing (a virtual board)."""


def check_timestep(timestep: float, simulator: str) -> None:
    """Raise :class:`BackendError` unless a simulator that counts microseconds can hold it."""
    microseconds = 1000.0 * timestep
    if microseconds < 1 - _ROUNDING or abs(microseconds - round(microseconds)) > _ROUNDING:
        raise BackendError(
            f"the timestep is {timestep!r} ms; {simulator} counts whole microseconds. Export with "
            f"--timestep {max(round(microseconds), 1) / 1000:g}, or use the backend software."
        )


def check_clock(found: float, timestep: float, name: str) -> None:
    """Raise :class:`BackendError` unless the simulator's timestep, in ms, is the network's."""
    if abs(found - timestep) > 1e-9 * timestep:
        raise BackendError(
            f"the simulator's timestep is {found} ms, the network's {timestep} ms. "
            f"Call sim.setup(**setup_arguments({name!r}, network)) before build()."
        )


def whole_segment(block: Any, label: str) -> Any:
    """The one segment of what PyNN recorded, from the start of the simulation on.

    Raises :class:`BackendError` where data were cleared, or the simulator was reset since.
    """
    if len(block.segments) != 1:
        raise BackendError(
            f"population {label!r}: its data are of {len(block.segments)} runs; expected one. The "
            "simulator was reset since the network was built: call setup() and build() anew."
        )
    segment = block.segments[0]
    starts = [float(data.t_start) for data in (*segment.spiketrains, *segment.analogsignals)]
    if any(start > 0 for start in starts):
        raise BackendError(
            f"population {label!r}: its data begin at {max(starts)} ms; expected 0. They were "
            "cleared since: read the recording before, or build and run anew."
        )
    return segment


def read_trains(population: Any) -> Trains:
    """The spikes of a population by what PyNN itself says of each neuron."""
    trains = whole_segment(population.get_data("spikes"), population.label).spiketrains
    sources = [np.full(len(t), t.annotations["source_index"], np.int64) for t in trains]
    times = [np.asarray(t.magnitude, np.float64) for t in trains]
    if not trains:
        return Trains(0, np.empty(0, np.int64), np.empty(0))
    return Trains(len(trains), np.concatenate(sources), np.concatenate(times))


def no_currents(source: Source) -> BackendError:
    """The refusal of an input as currents by cells that take spikes only."""
    remedy = (
        "Export with --input bits."
        if source.bits
        else "Export with --input bits and --data, the training samples: quantised."
    )
    return BackendError(
        f"input {source.name!r}: a current does not enter these cells as a spike does; expected "
        f"the input as spikes. {remedy}"
    )


def first_steps(network: Network, lag: int, first_input: int) -> dict[str, int]:
    """``f_p = f_input + latency_p + lag rank_p``: the step of each population's reference step 0.

    rank counts the distinct latencies up to p's own, from 1: each layer of cells that answer
    ``lag`` steps after their input puts those behind it off by as much. Delays are then
    ``f_target - f_source - lag``, the network's own between neighbours.
    """
    ranks = {v: i + 1 for i, v in enumerate(sorted({p.latency for p in network.populations}))}
    first = {p.name: first_input + p.latency + lag * ranks[p.latency] for p in network.populations}
    return first | {network.source.name: first_input}


def later(network: Network, projection: Projection, first: Mapping[str, int], lag: int) -> int:
    """By how many steps a simulator's delays are longer than the network's, for cells that answer
    ``lag`` steps late, whose populations start at the steps ``first``.

    Raises :class:`BackendError` where a loop is too short for such cells.
    """
    between = first[projection.target] - first[projection.source]
    more = between - lag - network.lead(projection)
    if projection.shortest_delay + more < 1:
        raise BackendError(
            f"{projection}: its delay of {projection.shortest_delay} steps leaves none, since "
            f"these {network.cells} cells answer {lag} step later than they are asked. Use "
            "spinnaker-software or software, or train with model.cells = \"native\" or \"lif\"."
        )
    return more
