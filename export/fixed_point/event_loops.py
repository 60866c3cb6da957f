"""Populations that send values with their events, to each other or to themselves, in integers.

What goes back in a loop arrives at least a step later, so that within the shortest of these lags
the members can be run one after another, as in :mod:`export.software.recurrent`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from export.description.network import Network, Population
from export.fixed_point.loops import joined
from export.fixed_point.plan import Arriving, Plan, Stepped
from export.fixed_point.stepping import Sent, buffers_of, graded_of, is_full
from export.software.order import chunk


def run_event_loop(
    network: Network,
    members: tuple[Population, ...],
    plans: Mapping[str, Plan],
    part: Sent,
    membranes: Collection[str],
) -> dict[str, tuple[Stepped, bool]]:
    """Each member over the sequence, by name; whether a ring buffer of it was full."""
    shape = part.spikes[network.source.name].shape[:2]
    buffers = {p.name: buffers_of(network, p, plans[p.name], part.spikes) for p in members}
    values = part.membranes | {p.name: np.zeros((*shape, p.size), np.int32) for p in members}
    found: dict[str, list[Stepped]] = {p.name: [] for p in members}
    length = chunk(network, members)
    for first in range(0, shape[1], length):
        steps = slice(first, min(first + length, shape[1]))
        for p in members:
            here = {
                name: (exc[:, steps], inh[:, steps])
                for name, (exc, inh) in buffers[p.name].items()
            }
            arriving = Arriving(here, graded_of(network, p, values, steps), True)
            state = found[p.name][-1].state if found[p.name] else None
            done = plans[p.name].step(network, arriving, p.name in membranes, state)
            found[p.name].append(done)
            if done.sent is not None:
                values[p.name][:, steps] = done.sent
    return {
        name: (joined(parts), is_full(buffers[name].values())) for name, parts in found.items()
    }
