"""The chips of a board and the links between them: SpiNN-3 with 4, SpiNN-5 with 48."""

from __future__ import annotations

from dataclasses import dataclass

Place = tuple[int, int]

LINKS = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))  # east, north-east, north, ...
ETHERNET = (0, 0)
SELF = 7  # in place of a link


@dataclass(frozen=True)
class Layout:
    """``wrap``: the height after which links go round to row 0; none of SpiNN-5 do."""

    version: int
    chips: tuple[Place, ...]
    width: int
    height: int
    wrap: int | None = None

    def neighbour(self, place: Place, link: int) -> Place | None:
        """The chip at the other end of a link, None at the board's edge."""
        x, y = place[0] + LINKS[link][0], place[1] + LINKS[link][1]
        there = x, y % self.wrap if self.wrap else y
        return there if there in self.chips else None

    def links(self, place: Place) -> list[int]:
        """The links at whose other end is a chip."""
        return [link for link in range(len(LINKS)) if self.neighbour(place, link) is not None]


LAYOUTS = {
    3: Layout(3, ((0, 0), (1, 0), (0, 1), (1, 1)), 2, 2, wrap=2),
    5: Layout(
        5, tuple((x, y) for y in range(8) for x in range(max(0, y - 3), min(7, y + 4) + 1)), 8, 8
    ),
}
"""By the version number of sPyNNaker's configuration."""


def opposite(link: int) -> int:
    """The number of a link at its other end."""
    return (link + 3) % 6


def parent(place: Place) -> int:
    """The link towards the Ethernet chip, along which programs are copied."""
    x, y = place
    if place == ETHERNET:
        return SELF
    return 4 if x and y else 3 if x else 5
