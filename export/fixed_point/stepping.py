"""One population over a sequence: what its sources send, its ring buffers, its step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from export.description.network import INPUT_RECEPTOR, Network, Population
from export.fixed_point.plan import Arriving, Plan, Stepped
from pynn_models.spinnaker import Arrival, ring_buffer
from pynn_models.spinnaker.native_parameters import Int32Array
from pynn_models.spinnaker.synapses import RING_MAX, UInt16Array

_BATCH = 5  # samples at once, a thread each batch: their sums stay in the cache

Spikes = Mapping[str, NDArray[np.uint8]]  # what each source emits, (B, L, size)
Buffers = dict[str, tuple[UInt16Array, UInt16Array]]


@dataclass
class Sent:
    """What each source emits, (B, L, size): ``spikes``, and ``membranes`` where they are graded."""

    spikes: dict[str, NDArray[np.uint8]]
    membranes: dict[str, Int32Array] = field(default_factory=dict)

    def batches(self, samples: int) -> list[Sent]:
        """Parts of a few samples each."""
        cuts = [slice(i, i + _BATCH) for i in range(0, samples, _BATCH)]
        return [
            Sent(
                {name: s[cut] for name, s in self.spikes.items()},
                {name: s[cut] for name, s in self.membranes.items()},
            )
            for cut in cuts
        ]

    def add(self, population: Population, parts: list[Stepped]) -> None:
        """What a population did, over all batches."""
        name = population.name
        self.spikes[name] = np.concatenate([p.spikes for p in parts]).view(np.uint8)
        sent = [p.sent for p in parts if p.sent is not None]
        if sent:
            self.membranes[name] = np.concatenate(sent)


def arrivals(
    network: Network, population: Population, plan: Plan, receptor: str, spikes: Spikes
) -> tuple[list[Arrival], list[Arrival]]:
    """What the sources whose spikes are known send to the two ring buffers of a receptor."""
    both: tuple[list[Arrival], list[Arrival]] = ([], [])
    for projection in network.incoming(population.name, receptor):
        if projection.graded or projection.source not in spikes:
            continue
        for found, stored in zip(both, plan.stored(projection), strict=True):
            found += [
                Arrival(spikes[projection.source], part, lag)
                for lag, part in projection.by_lag(network.lead(projection), stored)
            ]
    constant = plan.constant() if receptor == INPUT_RECEPTOR else None
    if constant is not None:
        always = np.ones((*spikes[network.source.name].shape[:2], 1), np.uint8)
        for found, stored in zip(both, constant, strict=True):
            found.append(Arrival(always, stored))
    return both


def _buffers(
    network: Network, population: Population, plan: Plan, receptor: str, spikes: Spikes
) -> tuple[UInt16Array, UInt16Array]:
    """What the two ring buffers of a receptor hold at each step, (B, L, H)."""
    exc, inh = arrivals(network, population, plan, receptor, spikes)
    if exc:
        return ring_buffer(exc), ring_buffer(inh)
    shape = (*spikes[network.source.name].shape[:2], population.size)
    return np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)


def buffers_of(network: Network, population: Population, plan: Plan, spikes: Spikes) -> Buffers:
    """The excitatory and inhibitory ring buffer of each receptor at each step, (B, L, H)."""
    return {name: _buffers(network, population, plan, name, spikes) for name in plan.names}


def is_full(buffers: Iterable[tuple[UInt16Array, UInt16Array]]) -> bool:
    """Whether one of them held as much as it can."""
    return max(int(b.max(initial=0)) for pair in buffers for b in pair) == RING_MAX


def graded_of(
    network: Network, population: Population, values: Mapping[str, Int32Array], steps: slice
) -> dict[tuple[str, str], Int32Array]:
    """What each graded projection brings in some steps, (B, steps, pre), by source and receptor.

    ``values``: what sources sent, (B, L, pre), as far as it is known; 0 before the first step.
    """
    found = {}
    for q in network.incoming(population.name):
        if not q.graded:
            continue
        sent, lag = values[q.source], q.shortest_delay - network.lead(q)
        first, last = max(steps.start - lag, 0), max(steps.stop - lag, 0)
        late = np.zeros((len(sent), steps.stop - steps.start, sent.shape[2]), np.int32)
        if last > first:
            late[:, late.shape[1] - (last - first) :] = sent[:, first:last]
        found[q.source, q.receptor] = late
    return found


def step(
    network: Network, population: Population, plan: Plan, part: Sent, membrane: bool
) -> tuple[Stepped, bool]:
    """One population over the sequence; whether a ring buffer was full."""
    buffers = buffers_of(network, population, plan, part.spikes)
    sends = any(p.graded and p.source == population.name for p in network.projections)
    whole = slice(0, part.spikes[network.source.name].shape[1])
    graded = graded_of(network, population, part.membranes, whole)
    done = plan.step(network, Arriving(buffers, graded, sends), membrane)
    return done, is_full(buffers.values())
