"""A figure of one panel, as a function of its width."""

from __future__ import annotations

import math
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def single(
    draw: Callable[..., Axes], height: float, most: float = math.inf
) -> Callable[[float], Figure]:
    """A function of the width for a figure of one panel, ``most`` inches wide."""

    def drawn(width: float) -> Figure:
        figure = Figure(figsize=(min(width, most), height), layout="constrained")
        draw(ax=figure.add_subplot())
        return figure

    return drawn
