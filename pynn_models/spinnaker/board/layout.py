"""The 48 chips of a SpiNN-5 board, and the links between them."""

Place = tuple[int, int]

LINKS = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))  # east, north-east, north, ...
CHIPS: tuple[Place, ...] = tuple(
    (x, y) for y in range(8) for x in range(max(0, y - 3), min(7, y + 4) + 1)
)
ETHERNET = (0, 0)
SELF = 7  # in place of a link


def neighbour(place: Place, link: int) -> Place | None:
    """The chip at the other end of a link, None at the board's edge."""
    there = place[0] + LINKS[link][0], place[1] + LINKS[link][1]
    return there if there in CHIPS else None


def opposite(link: int) -> int:
    """The number of a link at its other end."""
    return (link + 3) % 6


def parent(place: Place) -> int:
    """The link towards the Ethernet chip, along which programs are copied."""
    x, y = place
    if place == ETHERNET:
        return SELF
    return 4 if x and y else 3 if x else 5
