"""One delay for all: what is to arrive later goes through relays, neurons that repeat a spike.

py-spinnaker2's neurons without a ring buffer take what was sent in the step before. A projection of
delay n therefore starts at the (n - 1)th relay of its source, a chain of populations that spike one
step after what they repeat. The input has relays too, since a list of spikes may be read in another
phase of the step than neurons' spikes are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network, Projection
from export.spinnaker2.plan import LARGEST, Spinnaker2Plan


@dataclass(frozen=True, eq=False)
class Hop:
    """Weights (pre, post) int8 from a population, or a relay, to the next step of another."""

    source: str
    target: str
    weights: NDArray[np.int8]


def relay(source: str, steps: int) -> str:
    """The name of what repeats ``source`` after so many steps; itself for 0."""
    return f"{source}_after_{steps}" if steps else source


def relays(network: Network) -> Mapping[str, int]:
    """Every relay by name and its size, each after what it repeats."""
    sizes = {network.source.name: network.source.size}
    sizes |= {p.name: p.size for p in network.layers}
    longest = dict.fromkeys(sizes, 1)
    for projection in _between(network):
        longest[projection.source] = max(longest[projection.source], projection.longest_delay)
    return {
        relay(name, n): sizes[name] for name in sizes for n in range(1, longest[name])
    }


def hops(network: Network, plan: Spinnaker2Plan) -> list[Hop]:
    """Every connection of one step: those of the plan, and the chains of relays."""
    found = [
        Hop(relay(p.source, p.longest_delay - 1), p.target, plan.weights[p])
        for p in _between(network)
    ]
    for name, size in relays(network).items():
        source, _, steps = name.rpartition("_after_")
        before = relay(source, int(steps) - 1)
        found.append(Hop(before, name, np.int8(LARGEST) * np.eye(size, dtype=np.int8)))
    return found


def _between(network: Network) -> list[Projection]:
    """The projections between what spikes: those to the readout are left to the host."""
    layers = {p.name for p in network.layers}
    return [p for p in network.projections if p.target in layers]
