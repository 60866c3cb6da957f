"""Populations that send to each other in a circle, in SpiNNaker's integers: a few steps at a time.

As :mod:`export.software.recurrent`, with ring buffers: what arrives in a step is summed up, and
saturates, when that step comes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network, Population, Projection
from export.fixed_point.plan import Arriving, Plan, Stepped
from export.fixed_point.stepping import Sent, Spikes, arrivals, graded_of, is_full
from export.software.order import chunk
from pynn_models.spinnaker.buffers import add_weighted, limited
from pynn_models.spinnaker.synapses import ring_sum

Sums = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Excitatory and inhibitory, (B, L, H), before they saturate."""


def run_loop(
    network: Network,
    members: tuple[Population, ...],
    plans: Mapping[str, Plan],
    part: Sent,
    membranes: Collection[str],
) -> dict[str, tuple[Stepped, bool]]:
    """Each member over the sequence, by name; whether a ring buffer of it was full.

    ``part``: what the sources outside the loop sent.
    """
    shape = part.spikes[network.source.name].shape[:2]
    sums = {p.name: _outside(network, p, plans[p.name], part.spikes, shape) for p in members}
    inner = {
        p.name: [
            (q, _parts(network, q, plans[q.target]))
            for q in network.projections
            if q.source == p.name and q.target in sums and not q.graded
        ]
        for p in members
    }
    sends = {q.source for q in network.projections if q.graded}
    values = part.membranes | {
        p.name: np.zeros((*shape, p.size), np.int32) for p in members if p.name in sends
    }
    found: dict[str, list[Stepped]] = {p.name: [] for p in members}
    full = dict.fromkeys(found, False)
    length = chunk(network, members)
    for first in range(0, shape[1], length):
        steps = slice(first, min(first + length, shape[1]))
        for p in members:
            buffers = {
                receptor: (limited(exc[:, steps]), limited(inh[:, steps]))
                for receptor, (exc, inh) in sums[p.name].items()
            }
            full[p.name] |= is_full(buffers.values())
            state = found[p.name][-1].state if found[p.name] else None
            graded = graded_of(network, p, values, steps)
            arriving = Arriving(buffers, graded, p.name in sends)
            done = plans[p.name].step(network, arriving, p.name in membranes, state)
            found[p.name].append(done)
            if done.sent is not None:
                values[p.name][:, steps] = done.sent
            for q, by_sign in inner[p.name]:
                for total, parts in zip(sums[q.target][q.receptor], by_sign, strict=True):
                    for lag, weights in parts:
                        _add(total, done.spikes, weights, first + lag)
    return {name: (_joined(parts), full[name]) for name, parts in found.items()}


def _parts(
    network: Network, projection: Projection, plan: Plan
) -> list[list[tuple[int, NDArray[np.int64]]]]:
    """By sign: each lag, and the stored weights of it."""
    lead = network.lead(projection)
    return [
        [(lag, weights.astype(np.int64)) for lag, weights in projection.by_lag(lead, stored)]
        for stored in plan.stored(projection)
    ]


def _outside(
    network: Network, population: Population, plan: Plan, spikes: Spikes, shape: tuple[int, ...]
) -> dict[str, Sums]:
    """What arrives from outside the loop at each receptor, (B, L, H)."""
    found = {}
    for receptor in plan.names:
        exc, inh = (
            ring_sum(here).astype(np.int64) if here
            else np.zeros((*shape, population.size), np.int64)
            for here in arrivals(network, population, plan, receptor, spikes)
        )
        found[receptor] = exc, inh
    return found


def _add(
    total: NDArray[np.int64], fired: NDArray[np.bool_], weights: NDArray[np.int64], first: int
) -> None:
    """What spikes (B, steps, pre) bring, the first of them in step ``first``."""
    left = max(min(fired.shape[1], total.shape[1] - first), 0)
    if left:
        sent = np.ascontiguousarray(fired[:, :left]).view(np.uint8)
        add_weighted(total[:, first : first + left], sent, weights)


def _joined(parts: list[Stepped]) -> Stepped:
    spikes = np.concatenate([p.spikes for p in parts], axis=1)
    traces: list[Any] = [p.membrane for p in parts if p.membrane is not None]
    membrane = np.concatenate(traces, axis=1) if traces else None
    values: list[Any] = [p.sent for p in parts if p.sent is not None]
    sent = np.concatenate(values, axis=1) if values else None
    return Stepped(spikes, membrane, sent, limited=sum(p.limited for p in parts))
