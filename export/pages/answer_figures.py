"""Figures of a network's answers: which are right, how near it came to others, what they cost.

Each is drawn into the Axes it is given, or into a Figure of its own, which is returned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from export.description.network import FloatArray
from export.pages.figure_style import (
    COLOURS,
    INK,
    QUIET,
    SMALL_TEXT,
    WIDTH,
    ReportError,
    axes_of,
    finish,
    layer_colour,
    plain,
    side_legend,
)


def plot_confusion(
    labels: NDArray[np.integer[Any]],
    predictions: NDArray[np.integer[Any]],
    classes: Sequence[str],
    ax: Axes | None = None,
) -> Axes:
    """How many samples of each class (row) were taken for which (column); shade: share of the row.

    Shapes: ``labels`` and ``predictions`` (B,), numbers of ``classes`` from 0.
    Raises: :class:`ReportError` for no samples, lengths that differ, numbers outside the classes.
    """
    if labels.shape != predictions.shape or labels.ndim != 1 or len(labels) == 0:
        raise ReportError(
            f"labels have shape {labels.shape}, predictions {predictions.shape}; expected one "
            "number a sample in both, (B,), B at least 1. Give both for the same samples."
        )
    size = len(classes)
    for what, numbers in (("label", labels), ("prediction", predictions)):
        bad = (numbers < 0) | (numbers >= size)
        if bad.any():
            b = int(np.argmax(bad))
            raise ReportError(
                f"{what} of sample {b} is {numbers[b]}; expected 0 to {size - 1}, one of the "
                f"{size} classes. Use the samples of the task that the network was trained on."
            )
    counts = np.zeros((size, size), np.int64)  # (true, predicted)
    np.add.at(counts, (labels, predictions), 1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax = axes_of(ax, 1.6 + 0.36 * size, width=1.9 + 0.42 * size)
    blue = to_rgba(COLOURS[0])
    pale = LinearSegmentedColormap.from_list("share", [(*blue[:3], 0.0), blue])
    ax.imshow(share, cmap=pale, vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(counts):
        ax.text(
            column, row, str(counts[row, column]), ha="center", va="center", fontsize=SMALL_TEXT,
            color="white" if share[row, column] > 0.55 else INK,
        )
    long = max(map(len, classes)) > 3
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    turn = turned if long else {}
    ax.set_xticks(range(size), [plain(name) for name in classes], **turn)
    ax.set_yticks(range(size), [plain(name) for name in classes])
    accuracy = 100 * float((labels == predictions).mean())
    finish(
        ax, "predicted class", "true class",
        f"accuracy {accuracy:.2f} % of {len(labels)} samples",
    )
    edges = np.arange(size - 1) + 0.5
    ax.hlines(edges, -0.5, size - 0.5, color=QUIET, linewidth=0.3)
    ax.vlines(edges, -0.5, size - 0.5, color=QUIET, linewidth=0.3)
    return ax


def plot_spike_rates(rates: Mapping[str, float], ax: Axes | None = None) -> Axes:
    """A bar a layer: spikes per neuron and step, from 0 to 1."""
    ax = axes_of(ax, 0.8 + 0.32 * len(rates))
    names = list(rates)
    bars = ax.barh(
        range(len(names)), list(rates.values()), height=0.62,
        color=[layer_colour(i) for i in range(len(names))],
    )
    ax.bar_label(bars, fmt="%.3f", padding=4, fontsize=SMALL_TEXT, color=INK)
    ax.set_yticks(range(len(names)), [plain(name) for name in names])
    ax.invert_yaxis()
    ax.set_xlim(0.0, max([*rates.values(), 1e-3]) * 1.15)
    finish(ax, "spike rate (spikes per neuron and step)", "layer", "")
    return ax


def plot_margins(margins: Mapping[str, FloatArray], ax: Axes | None = None) -> Axes:
    """How many membranes lie how near their threshold: ``|y - theta|``, a line a layer.

    Counted in bins of a fifth of a power of ten; distances of 0 are in the leftmost.

    Shapes: ``margins`` layer -> (...,), of any shape. Units: those of the membrane, dimensionless.
    Raises: :class:`ReportError` where no layer has a finite margin other than 0.
    """
    finite = {name: np.abs(v[np.isfinite(v)]).ravel() for name, v in margins.items()}
    positive = np.concatenate([np.zeros(0), *(values[values > 0] for values in finite.values())])
    if not len(positive):
        raise ReportError(
            "no layer has a finite margin; expected membranes of at least one. Record membranes, "
            "or leave this figure out."
        )
    low, high = (math.floor(5 * math.log10(v)) for v in (positive.min(), positive.max()))
    edges = 10.0 ** (np.arange(low, high + 2) / 5)
    ax = axes_of(ax, 3.0)
    for i, (name, values) in enumerate(finite.items()):
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        ax.plot(
            np.sqrt(edges[1:] * edges[:-1]), counts, color=layer_colour(i), linewidth=1.3,
            label=plain(name), drawstyle="steps-mid",
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(0.7, None)
    finish(ax, "distance from the threshold |y - θ|", "membranes", "")
    side_legend(ax)
    return ax


def plot_misclassified(
    samples: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    predictions: NDArray[np.integer[Any]],
    *,
    side: int | None = None,
    most: int = 12,
    width: float = WIDTH,
    names: Sequence[str] = (),
) -> Figure:
    """The first ``most`` samples that were taken for another class, and for which.

    ``side``: samples are pictures of so many rows; None: they are drawn over their steps;
    ``names``: of the classes, numbers if there are none.

    Shapes: ``samples`` (B, C, L), ``labels`` and ``predictions`` (B,).
    Raises: :class:`ReportError` where every sample was taken for what it is.
    """
    wrong = np.flatnonzero(labels != predictions)[:most]
    if not len(wrong):
        raise ReportError("every sample was taken for what it is; leave this figure out.")
    columns = max(int(width / (1.5 if side else 2.2)), 1)
    rows = math.ceil(len(wrong) / columns)
    figure = Figure(figsize=(width, (1.75 if side else 1.5) * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(wrong) :]:
        panel.set_axis_off()
    for panel, b in zip(panels, wrong, strict=False):
        if side:
            panel.imshow(samples[b].reshape(side, -1), cmap="gray", interpolation="nearest")
        else:
            for c, values in enumerate(samples[b]):
                colour = INK if len(samples[b]) == 1 else COLOURS[c % len(COLOURS)]
                panel.plot(values, color=colour, linewidth=0.8)
        label, answer = (names[k] if names else k for k in (labels[b], predictions[b]))
        finish(panel, "", "", f"{b}: {label} → {answer}")
        panel.set_xticks([])
        panel.set_yticks([])
    return figure
