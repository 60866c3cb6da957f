"""In which order populations are run: those of a loop together, what they need before them."""

from __future__ import annotations

from graphlib import TopologicalSorter
from weakref import WeakKeyDictionary

from export.description.network import Network, Population

Members = tuple[Population, ...]

# A stream asks at each step.
_FOUND: WeakKeyDictionary[Network, tuple[Members, ...]] = WeakKeyDictionary()
_LOOPS: WeakKeyDictionary[Network, dict[Members, bool]] = WeakKeyDictionary()


def components(network: Network) -> tuple[Members, ...]:
    """The strongly connected components of the populations, each after all that sends to it.

    Within one, and among those that may come in any order, populations are in the network's order.
    """
    if network not in _FOUND:
        _FOUND[network] = _components(network)
    return _FOUND[network]


def _components(network: Network) -> tuple[Members, ...]:
    reached = {p.name: _reached(network, p.name) for p in network.populations}
    found: dict[str, Members] = {}
    for population in network.populations:
        name = population.name
        found[name] = tuple(
            p for p in network.populations
            if p is population or (p.name in reached[name] and name in reached[p.name])
        )
    before = {members[0].name: set[str]() for members in found.values()}
    for p in network.projections:
        if p.source in found and found[p.source] != found[p.target]:
            before[found[p.target][0].name].add(found[p.source][0].name)
    return tuple(found[name] for name in TopologicalSorter(before).static_order())


def _reached(network: Network, name: str) -> set[str]:
    """The populations that a spike of ``name`` gets to, over any number of projections."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        source = waiting.pop()
        new = {p.target for p in network.projections if p.source == source} - found
        found |= new
        waiting += new
    return found


def is_loop(network: Network, members: Members) -> bool:
    """Whether members send to each other, or the one to itself."""
    known = _LOOPS.setdefault(network, {})
    if members not in known:
        inside = {p.name for p in members}
        known[members] = any(
            p.source in inside and p.target in inside for p in network.projections
        )
    return known[members]


def chunk(network: Network, members: Members) -> int:
    """For how many steps each member can be run before the next, one after the other.

    The shortest lag of what a member sends to itself or to one before it; a whole sample where
    there is no such projection, so that members are no loop.
    """
    places = {p.name: i for i, p in enumerate(members)}
    back = [
        p.shortest_delay - network.lead(p)
        for p in network.projections
        if p.source in places and p.target in places and places[p.source] >= places[p.target]
    ]
    return min(back, default=network.steps)
