"""What a core of SpiNNaker 1 executes in a tick, and how much slower than real time that is.

    504 + a n + sum over spikes that arrive (811 + 25 targets) + own spikes b

in ARM instructions, of n neurons on a core; a spike that reaches a core and finds no target there
takes 180. A value that arrives takes 50, at each step or with an event, and each of the n neurons
``75 + 6 sources`` for a graded projection, whatever the rate. ``a`` and ``b`` stand with the
neurons' arithmetic (:mod:`export.fixed_point`). An estimate: the numbers were read from programs on
the emulated board, which executes instructions and counts no cycles.

Which neurons lie on which core is sPyNNaker's doing: it cuts a population, with the copies of it
that run side by side, into parts of one size. A core hears all of another core's spikes if any
neuron there has a target here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.multiplicity import in_units
from export.description.network import FloatArray, Network, Population, Projection
from export.fixed_point.plan import Arithmetic
from export.fixed_point.registry import arithmetic_of
from export.pynn.spinnaker import SOURCES_PER_CORE, SpinnakerBackend
from export.samples.inputs import encode

_TICK = 504
_PER_SPIKE, _PER_TARGET, _NO_TARGET = 811, 25, 180
_SENT = 42  # what a spike takes where it comes from
_PER_PACKET = 50  # a membrane that arrives as a payload
_PER_GRADED, _PER_SOURCE = 75, 6  # a neuron's sum of them
_CYCLES_PER_MS = 200_000
ASSUMED_RATE = 0.15
RATES = 20  # samples that spikes are counted on

Traffic = Mapping[str, NDArray[np.generic]]
"""Who spikes when: (B, L, size) of the input and of each layer, by name."""


@dataclass(frozen=True, eq=False)
class CoreCost:
    """Of the core with neurons ``first`` to ``first + neurons - 1`` of ``population``'s copies.

    ``always``: instructions of a tick in which nothing spikes. ``spike[source]`` (copies, pre):
    what a spike of each neuron of a source costs here.
    """

    population: str
    first: int
    neurons: int
    always: float
    spike: Mapping[str, FloatArray]

    def at(self, rates: Mapping[str, float]) -> int:
        """Instructions of a mean tick at these spikes a neuron and step, 0.15 where not given."""
        return round(self.always + sum(
            rates.get(name, ASSUMED_RATE) * cost.sum() for name, cost in self.spike.items()
        ))

    @property
    def most(self) -> int:
        """Instructions of a tick in which every source spikes."""
        return self.at(dict.fromkeys(self.spike, 1.0))

    def over(self, network: Network, traffic: Traffic) -> FloatArray:
        """Instructions of each tick, (runs, ticks), of samples that run ``copies`` side by side."""
        starts = {name: _latency(network, name) for name in self.spike}
        copies = len(next(iter(self.spike.values())))
        samples = len(next(iter(traffic.values())))
        runs = math.ceil(samples / copies)
        found = np.full((runs, max(starts.values()) + network.steps), self.always)
        for name, costs in self.spike.items():
            for copy, cost in enumerate(costs):
                heard = traffic[name][copy::copies] @ cost  # (runs, L)
                found[: len(heard), starts[name] : starts[name] + network.steps] += heard
        return found


def _latency(network: Network, name: str) -> int:
    return 0 if name == network.source.name else network.population(name).latency


def core_costs(network: Network, backend: SpinnakerBackend, copies: int) -> Iterator[CoreCost]:
    """The cores of every population that is on the board, in order."""
    arithmetic = arithmetic_of(network)
    for population in backend.mapped(network):
        size = backend.per_core(network, population)
        total = copies * population.size
        for first in range(0, total, size):
            neurons = np.arange(first, min(first + size, total))
            yield _core(network, backend, arithmetic, population, neurons, copies)


def _core(
    network: Network, backend: SpinnakerBackend, arithmetic: Arithmetic, population: Population,
    neurons: NDArray[np.int64], copies: int,
) -> CoreCost:
    here = [neurons[neurons // population.size == c] % population.size for c in range(copies)]
    count = len(neurons)
    always = float(_TICK + arithmetic.instructions(population) * count)
    own = np.zeros((copies, population.size))
    for copy, held in enumerate(here):
        own[copy, held] += _SENT + arithmetic.a_spike(population)
    spike = {population.name: own}
    senders = set()
    for projection in network.incoming(population.name):
        if projection.graded:
            always += count * (_PER_GRADED + _PER_SOURCE * projection.weights.shape[0])
            senders.add(projection.source)
            continue
        cost = _heard(projection, here, _on_one_core(network, backend, projection.source))
        spike[projection.source] = spike.get(projection.source, 0) + cost
    for name in senders:
        sender = network.population(name)
        packets = np.full((copies, sender.size), float(_PER_PACKET))
        if sender.kind.events:
            spike[name] = spike.get(name, 0) + packets
        else:
            always += packets.sum()
    targets = sum(int(backend.driven(network, population)[held].sum()) for held in here)
    if targets:
        always += _PER_SPIKE + _PER_TARGET * targets
    return CoreCost(population.name, int(neurons[0]), count, always, spike)


def traffic_of(network: Network, samples: NDArray[Any]) -> Traffic:
    """Who spikes when on these samples (B, C, L), by the software backend.

    Of a layer that sends several in a step, each of those that stand for it on a board.
    """
    from export.software import simulation as software

    network = in_units(network)
    spikes = software.run(network, samples).spikes
    silent = {p.name: np.zeros((len(samples), network.steps, p.size), np.uint8)
              for p in network.populations if p.name not in spikes}
    return {network.source.name: encode(network, samples), **spikes, **silent}


def mean_rates(traffic: Traffic) -> dict[str, float]:
    """Spikes a neuron and step of the input and of each population."""
    return {name: float(np.asarray(values).mean()) for name, values in traffic.items()}


@dataclass(frozen=True)
class Budget:
    """What a population's cores take: instructions a tick of its busiest core.

    ``mean`` and ``longest`` at the samples' spikes; without samples ``mean`` is at assumed rates
    and ``longest`` None. ``most``: with every source spiking. ``per_core``: neurons, at most.
    """

    population: str
    neurons: int
    cores: int
    per_core: int
    mean: int
    longest: int | None
    most: int

    @property
    def planned(self) -> int:
        """What a time scale factor is planned for: the longest tick, if it is known."""
        return self.mean if self.longest is None else self.longest


def budgets(
    network: Network, backend: SpinnakerBackend, copies: int, traffic: Traffic | None = None
) -> list[Budget]:
    """A row for each population on the board, ``copies`` of which run side by side."""
    rows = []
    found = itertools.groupby(core_costs(network, backend, copies), lambda c: c.population)
    for name, group in found:
        cores = list(group)
        size = max(core.neurons for core in cores)
        if traffic is None:
            mean, longest = max(core.at({}) for core in cores), None
        else:
            ticks = [core.over(network, traffic) for core in cores]
            mean = max(round(float(found.mean())) for found in ticks)
            longest = max(round(float(found.max())) for found in ticks)
        most = max(core.most for core in cores)
        neurons = network.population(name).size
        rows.append(Budget(name, neurons, len(cores), size, mean, longest, most))
    return rows


def _on_one_core(network: Network, backend: SpinnakerBackend, source: str) -> int:
    """How many neurons of a source lie on one core."""
    if source == network.source.name:
        return SOURCES_PER_CORE
    return backend.per_core(network, network.population(source))


def _heard(
    projection: Projection, here: list[NDArray[np.int64]], on_one_core: int
) -> FloatArray:
    """What a spike of each source's copies costs a core, (copies, pre)."""
    joined = projection.weights != 0
    targets = np.stack([joined[:, held].sum(1) for held in here])  # (copies, pre)
    cost = np.where(targets > 0, _PER_SPIKE + _PER_TARGET * targets, float(_NO_TARGET))
    flat, reached = cost.reshape(-1), targets.reshape(-1)  # in the order of the source's neurons
    for first in range(0, flat.size, on_one_core):
        if not reached[first : first + on_one_core].any():
            flat[first : first + on_one_core] = 0.0
    return cost


def cycles() -> tuple[float, float]:
    """The least and the most that an instruction is taken to cost, as for the emulated board."""
    from pynn_models.spinnaker.board.timing import CYCLES_PER_INSTRUCTION

    return CYCLES_PER_INSTRUCTION


def time_scale(instructions: float, timestep: float) -> int:
    """The smallest whole slow-down at which a core surely keeps up, at the most :func:`cycles`."""
    return max(math.ceil(instructions * cycles()[1] / (_CYCLES_PER_MS * timestep)), 1)
