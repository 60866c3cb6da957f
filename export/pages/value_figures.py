"""Figures of answers that are values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from export.pages.figure_style import COLOURS, QUIET, WIDTH, ReportError, finish

_MOST = 2000  # points of a panel: more would hide each other
_PANEL = 2.4  # inches


def plot_values(
    targets: NDArray[Any], answers: NDArray[Any], names: Sequence[str], width: float = WIDTH
) -> Figure:
    """Each answer over what it should be, a panel a value.

    Shapes: both (N, K); of many answers evenly spaced ones are drawn. Raises:
    :class:`ReportError` for shapes that differ, or no answers.
    """
    if targets.shape != answers.shape or targets.ndim != 2 or not len(targets):
        raise ReportError(
            f"targets have shape {targets.shape}, answers {answers.shape}; expected (N, K) both, N "
            "at least 1. Give both for the same samples."
        )
    columns = max(min(int(width / _PANEL), len(names)), 1)
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(min(width, _PANEL * columns), _PANEL * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    shown = np.unique(np.linspace(0, len(targets) - 1, _MOST).astype(int))
    for k, (panel, name) in enumerate(zip(panels, names, strict=False)):
        x, y = targets[shown, k], answers[shown, k]
        ends = [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]
        panel.plot(ends, ends, color=QUIET, linewidth=0.8)
        panel.plot(x, y, ".", color=COLOURS[0], markersize=2.5, alpha=0.5)
        finish(panel, "target", "answer", name)
    return figure
