"""Which places of a grid each place of a smaller one sees, through a window that moves over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.interchange.errors import InterchangeError
from export.interchange.signals import LARGEST

Places = NDArray[np.int64]


class Windows(NamedTuple):
    """``shape``: of the places that see; ``rows``, ``columns``, ``taps``: (K,), that place ``row``
    sees place ``column`` through tap ``tap`` of the window, all flat in the order of C."""

    shape: tuple[int, ...]
    rows: Places
    columns: Places
    taps: Places

    @property
    def size(self) -> int:
        """How many places see."""
        return int(np.prod(self.shape))


def windows(
    name: str, space: tuple[int, ...], kernel: Sequence[int], stride: Sequence[int],
    padding: Sequence[tuple[int, int]], dilation: Sequence[int],
) -> Windows:
    """Windows of ``kernel`` taps over ``space``; what lies in the padding is left out.

    Raises :class:`InterchangeError` where no window fits, or too many do.
    """
    found = [
        _line(*line) for line in zip(space, kernel, stride, padding, dilation, strict=True)
    ]
    sizes = tuple(line[0] for line in found)
    if min(sizes) < 1 or np.prod([float(len(line[1])) for line in found]) > LARGEST:
        raise InterchangeError(
            f"node {name!r}: a kernel of {tuple(kernel)} taps, stride {tuple(stride)}, dilation "
            f"{tuple(dilation)} and padding {list(padding)} over {space}: no window fits, or too "
            "many. Check the shapes."
        )
    rows, columns, taps = (np.zeros(1, np.int64) for _ in range(3))
    for line, length, count in zip(found, space, kernel, strict=True):
        rows = (rows[:, None] * line[0] + line[1]).ravel()
        columns = (columns[:, None] * length + line[2]).ravel()
        taps = (taps[:, None] * count + line[3]).ravel()
    return Windows(sizes, rows, columns, taps)


def _line(
    length: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int
) -> tuple[int, Places, Places, Places]:
    """The windows of one dimension: how many, and their rows, columns and taps."""
    room = length + sum(padding) - dilation * (kernel - 1) - 1
    count = room // stride + 1 if room >= 0 else 0
    if not 0 < count * kernel <= LARGEST:
        none = np.zeros(0, np.int64)
        return (0, none, none, none)
    rows, taps = (x.ravel() for x in np.mgrid[:count, :kernel])
    columns = rows * stride + taps * dilation - padding[0]
    seen = (columns >= 0) & (columns < length)
    return count, rows[seen], columns[seen], taps[seen]
