"""Figures of a network's runs, as Matplotlib objects: nothing is shown, no pyplot state.

Every function draws into the Axes it is given, or into a Figure of its own, and returns it; a
figure is written with ``axes.figure.savefig(path)``. Those of the network itself are in
:mod:`export.pages.mode_figures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Population
from export.pages.figure_style import (
    COLOURS,
    INK,
    SMALL_TEXT,
    WIDTH,
    ReportError,
    axes_of,
    finish,
    layer_colour,
    plain,
    side_legend,
)
from export.samples.recording import Recording

# Wide and light below, thin and dark above: traces that coincide are all seen.
_TRACES: tuple[dict[str, Any], ...] = (
    {"color": "#A6D4F2", "linewidth": 5.0, "linestyle": "-"},
    {"color": "#E69F00", "linewidth": 2.4, "linestyle": "-"},
    {"color": "#222222", "linewidth": 0.9, "linestyle": (0, (4, 2))},
    {"color": "#D55E00", "linewidth": 0.9, "linestyle": (0, (1, 2))},
)


def plot_input_and_rasters(
    network: Network, inputs: NDArray[Any], recording: Recording, sample: int = 0
) -> Figure:
    """The input p[k] as steps, and below it the spikes s[k] of every layer, one row a neuron.

    Step k covers the time from ``k timestep`` to ``(k + 1) timestep``, in ms. Titles give a layer's
    spike rate in this sample.

    Shapes: ``inputs`` (C, L), the sample that ``recording`` has as number ``sample``.
    Raises: :class:`ReportError` for inputs of another shape, a layer or sample not recorded.
    """
    expected = (network.source.channels, network.steps)
    if inputs.shape != expected:
        raise ReportError(
            f"inputs have shape {inputs.shape}; expected (channels, steps) = {expected} of the "
            f"input {network.source.name!r}. Give one sample: samples[{sample}]."
        )
    layers = network.layers
    rasters = [_raster(recording, layer, sample, network.steps) for layer in layers]  # (L, H)
    figure = Figure(figsize=(WIDTH, 1.5 + 1.25 * len(layers)), layout="constrained")
    heights = [0.8, *(1.0 for _ in layers)]
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
    top, *rest = panels[:, 0]
    edges = np.arange(network.steps + 1) * network.timestep  # ms
    for c, values in enumerate(inputs):
        colour = INK if len(inputs) == 1 else COLOURS[c % len(COLOURS)]
        top.stairs(values, edges, color=colour, linewidth=1.0, label=f"channel {c}")
    if len(inputs) > 1:
        side_legend(top)
    source = network.source
    finish(top, "", source.kind.unit(source), f"{plain(source.name)}: sample {sample}")
    for i, (panel, layer, spikes) in enumerate(zip(rest, layers, rasters, strict=True)):
        ink = to_rgba(layer_colour(i))
        panel.imshow(
            spikes.T,
            cmap=LinearSegmentedColormap.from_list("spikes", [(*ink[:3], 0.0), ink]),
            vmin=0, vmax=1, aspect="auto", origin="lower",
            extent=(0.0, edges[-1], -0.5, layer.size - 0.5),
        )
        panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        rate = float(spikes.mean())
        finish(
            panel, "", "neuron\n(index)",
            f"{plain(layer.name)}: {rate:.3f} spikes per neuron and step "
            f"({1000 * rate / network.timestep:.0f} Hz)",
        )
    panels[-1, 0].set_xlabel("time (ms)")
    top.set_xlim(0.0, edges[-1])
    figure.align_ylabels()
    return figure


def plot_membranes(
    traces: Mapping[str, FloatArray], theta: float, timestep: float, ax: Axes | None = None
) -> Axes:
    """The membrane y[k] of one neuron at ``(k + 1) timestep``, on every backend, and theta.

    The legend gives each trace's largest difference from the first.

    Shapes: ``traces`` name -> (L,). Units: ``timestep`` ms; membrane and ``theta`` dimensionless.
    Raises: :class:`ReportError` for no trace, or traces of different lengths.
    """
    if not traces:
        raise ReportError(
            "there is no membrane to draw; expected one trace a backend. Run with membranes "
            "recorded, or leave this figure out."
        )
    first, *_ = traces
    for name, trace in traces.items():
        if trace.ndim != 1 or trace.shape != traces[first].shape:
            raise ReportError(
                f"the membrane of {name!r} has shape {trace.shape}, that of {first!r} "
                f"{traces[first].shape}; expected one length, (L,). Give the same sample and "
                "neuron of each backend."
            )
    ax = axes_of(ax, 2.9)
    reference = np.asarray(traces[first])
    times = (np.arange(len(reference)) + 1) * timestep  # ms
    for i, (name, trace) in enumerate(traces.items()):
        difference = float(np.abs(trace - reference).max()) if len(reference) else 0.0
        label = plain(name) if i == 0 else f"{plain(name)} (max |Δy| {difference:.2g})"
        ax.plot(times, trace, label=label, zorder=2 + i, **_TRACES[i % len(_TRACES)])
    if np.isfinite(theta):
        ax.axhline(theta, color=COLOURS[1], linewidth=1.0, zorder=1.5, label=f"θ = {theta:g}")
    ax.set_xlim(0.0, len(reference) * timestep)
    finish(ax, "time (ms)", "membrane y (dimensionless)", "")
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, frameon=False, fontsize=SMALL_TEXT,
        handlelength=2.4, columnspacing=1.2, borderaxespad=0.2,
    )
    return ax


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
    pale = LinearSegmentedColormap.from_list("share", ["#FFFFFF", "#9CC8E6", COLOURS[0], "#003A5E"])
    ax.imshow(share, cmap=pale, vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(counts):
        ax.text(
            column, row, str(counts[row, column]), ha="center", va="center", fontsize=SMALL_TEXT,
            color="white" if share[row, column] > 0.55 else INK,
        )
    for set_ticks in (ax.set_xticks, ax.set_yticks):
        set_ticks(range(size), [plain(name) for name in classes])
    accuracy = 100 * float((labels == predictions).mean())
    finish(
        ax, "predicted class", "true class",
        f"accuracy {accuracy:.2f} % of {len(labels)} samples",
    )
    edges = np.arange(size - 1) + 0.5
    ax.hlines(edges, -0.5, size - 0.5, color="#E3E3E3", linewidth=0.6)
    ax.vlines(edges, -0.5, size - 0.5, color="#E3E3E3", linewidth=0.6)
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


def _raster(
    recording: Recording, layer: Population, sample: int, steps: int
) -> NDArray[np.bool_]:
    """One sample's spikes of a layer, (L, H)."""
    where = f"the recording of {recording.backend!r}"
    if layer.name not in recording.spikes:
        raise ReportError(
            f"{where} has no spikes of {layer.name!r}; it has "
            f"{', '.join(recording.spikes) or 'none'}. Record every layer of the network."
        )
    spikes = recording.spikes[layer.name]  # (B, L, H)
    if spikes.shape[1:] != (steps, layer.size):
        raise ReportError(
            f"{where} has spikes of {layer.name!r} of shape {spikes.shape}; expected (samples, "
            f"{steps}, {layer.size}). Use a recording of this network."
        )
    if not 0 <= sample < len(spikes):
        raise ReportError(
            f"{where} has no sample {sample}; expected 0 to {len(spikes) - 1}. "
            "Run more samples, or draw one of these."
        )
    return spikes[sample]
