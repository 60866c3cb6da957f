"""Multicast routing: a key goes where the first matching entry of each chip's table says."""

from __future__ import annotations

from pynn_models.spinnaker.board.layout import Layout, Place, opposite

_KEPT = 1 << 18  # keys whose targets are remembered


class Router:
    """The tables of all chips; entries are (route, key, mask) at an index."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._tables: dict[Place, dict[int, tuple[int, int, int]]] = {}
        self._known: dict[tuple[Place, int], list[tuple[Place, int]]] = {}

    def clear(self, place: Place) -> None:
        self._tables.pop(place, None)
        self._known.clear()

    def add(self, place: Place, first: int, entries: list[tuple[int, int, int]]) -> None:
        self._tables.setdefault(place, {}).update(enumerate(entries, first))
        self._known.clear()

    def _route(self, place: Place, key: int) -> int | None:
        for _, (route, wanted, mask) in sorted(self._tables.get(place, {}).items()):
            if key & mask == wanted:
                return route
        return None

    def targets(self, place: Place, key: int) -> list[tuple[Place, int]]:
        """The cores, as (chip, number), that a packet sent at ``place`` reaches.

        Where no entry matches it goes straight on, or is dropped if it came from no link.
        """
        found = self._known.get((place, key))
        if found is None:
            found = self._find(place, key)
            if len(self._known) < _KEPT:
                self._known[place, key] = found
        return found

    def _find(self, place: Place, key: int) -> list[tuple[Place, int]]:
        found: list[tuple[Place, int]] = []
        here: list[tuple[Place, int | None]] = [(place, None)]  # chip, link it came over
        seen = set(here)  # tables that lead in a circle lose the packet there
        while here:
            following: list[tuple[Place, int | None]] = []
            for chip, link in here:
                route = self._route(chip, key)
                if route is None:
                    route = 0 if link is None else 1 << opposite(link)
                found += [(chip, core) for core in range(18) if route >> 6 + core & 1]
                for out in range(6):
                    there = self._layout.neighbour(chip, out) if route >> out & 1 else None
                    if there is not None and (there, opposite(out)) not in seen:
                        seen.add((there, opposite(out)))
                        following.append((there, opposite(out)))
            here = following
        return found
