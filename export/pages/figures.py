"""Figures of a network's runs, as Matplotlib objects: nothing is shown, no pyplot state.

Every function draws into the Axes it is given, or into a Figure of its own, and returns it; a
figure is written with ``axes.figure.savefig(path)``. Those of the network itself are in
:mod:`export.pages.mode_figures`, those of its answers in :mod:`export.pages.answer_figures`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Population
from export.pages.figure_style import (
    COLOURS,
    INK,
    QUIET,
    WIDTH,
    ReportError,
    finish,
    layer_colour,
    plain,
    side_legend,
)
from export.samples.messages import sent_by
from export.samples.recording import Recording

_COLUMNS = 18  # of a picture, an inch of figure: what can be told apart
_BESIDE = 6.0  # inches: narrower figures have their panels one below the other


def plot_input_and_rasters(
    network: Network, inputs: NDArray[Any], recording: Recording, sample: int = 0
) -> Figure:
    """The input p[k] as steps, and below it the spikes s[k] of every layer, one row a neuron.

    Step k covers the time from ``k timestep`` to ``(k + 1) timestep``, in ms. Titles give a layer's
    spike rate in this sample.

    Shapes: ``inputs`` (C, L), the sample that ``recording`` has as number ``sample``.
    Raises: :class:`ReportError` for inputs of another shape, a layer or sample not recorded.
    """
    layers, rasters = _checked(network, inputs, recording, sample)
    figure = Figure(figsize=(WIDTH, 1.5 + 1.25 * len(layers)), layout="constrained")
    heights = [0.8, *(1.0 for _ in layers)]
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
    top, *rest = panels[:, 0]
    _plot_input(top, network, inputs, sample)
    for i, (panel, layer, spikes) in enumerate(zip(rest, layers, rasters, strict=True)):
        _plot_density(panel, spikes, 1, network.timestep, i)
        finish(panel, "", "neuron\n(index)", _rate_of(layer, spikes, network.timestep))
    panels[-1, 0].set_xlabel("time (ms)")
    top.set_xlim(0.0, network.steps * network.timestep)
    figure.align_ylabels()
    return figure


def _checked(
    network: Network, inputs: NDArray[Any], recording: Recording, sample: int
) -> tuple[tuple[Population, ...], list[NDArray[np.bool_]]]:
    """The layers, and one sample's spikes of each, (L, H)."""
    expected = (network.source.channels, network.steps)
    if inputs.shape != expected:
        raise ReportError(
            f"inputs have shape {inputs.shape}; expected (channels, steps) = {expected} of the "
            f"input {network.source.name!r}. Give one sample: samples[{sample}]."
        )
    layers = network.layers
    return layers, [_raster(recording, layer, sample, network.steps) for layer in layers]


def _plot_input(top: Axes, network: Network, inputs: NDArray[Any], sample: int) -> None:
    """The values of every channel as steps."""
    edges = np.arange(network.steps + 1) * network.timestep  # ms
    for c, values in enumerate(inputs):
        colour = INK if len(inputs) == 1 else COLOURS[c % len(COLOURS)]
        top.stairs(values, edges, color=colour, linewidth=1.0, label=f"channel {c}")
    if len(inputs) > 1:
        side_legend(top)
    source = network.source
    finish(top, "", source.kind.unit(source), f"{source.name}: sample {sample}")


def _rate_of(layer: Population, spikes: NDArray[np.bool_], timestep: float) -> str:
    rate = float(sent_by(layer, spikes).mean())
    return f"{layer.name}: {rate:.3f} spikes per neuron and step ({1000 * rate / timestep:.0f} Hz)"


def plot_spike_density(
    network: Network,
    inputs: NDArray[Any],
    recording: Recording,
    sample: int = 0,
    width: float = WIDTH,
) -> Figure:
    """The input p[k], and for every layer the share of steps with a spike, by neuron and time.

    Where a sample has more steps than can be told apart, a row of the picture is one neuron and a
    column the mean over several steps; a second panel then shows a stretch of the middle, spike by
    spike. A wide figure has it beside the first, a narrow one below.

    Shapes: ``inputs`` (C, L), the sample that ``recording`` has as number ``sample``. Units: time
    in ms; ``width`` of the figure in inches.
    Raises: :class:`ReportError` for inputs of another shape, a layer or sample not recorded.
    """
    layers, rasters = _checked(network, inputs, recording, sample)
    binned = math.ceil(network.steps / (_COLUMNS * width))
    beside, below = binned > 1 and width > _BESIDE, binned > 1 and width <= _BESIDE
    stretch = min(int(_COLUMNS * width / 2), network.steps)
    first = (network.steps - stretch) // 2
    rows = 1 + len(layers) * (2 if below else 1)
    figure = Figure(figsize=(width, 1.3 + 1.15 * rows), layout="constrained")
    grid = figure.subplots(
        rows, 1 + beside, squeeze=False, width_ratios=[2, 1] if beside else [1],
        height_ratios=[0.8, *[1.0] * (rows - 1)],
    )
    _plot_input(grid[0, 0], network, inputs, sample)
    whole, part = [grid[0, 0]], []
    if beside:
        _plot_input(grid[0, 1], network, inputs, sample)
        part.append(grid[0, 1])
    for i, (layer, spikes) in enumerate(zip(layers, rasters, strict=True)):
        row = 1 + i * (2 if below else 1)
        whole.append(grid[row, 0])
        _plot_density(whole[-1], spikes, binned, network.timestep, i)
        finish(whole[-1], "", "neuron", _rate_of(layer, spikes, network.timestep))
        if binned > 1:
            part.append(grid[row, 1] if beside else grid[row + 1, 0])
            _plot_density(part[-1], spikes, 1, network.timestep, i)
            finish(part[-1], "", "neuron", f"{layer.name}, spike by spike")
    for panel in whole:
        panel.set_xlim(0.0, network.steps * network.timestep)
    for panel in part:
        panel.set_xlim(first * network.timestep, (first + stretch) * network.timestep)
    for column in grid.T:
        column[-1].set_xlabel("time (ms)")
    figure.align_ylabels()
    return figure


def _plot_density(
    panel: Axes, spikes: NDArray[np.bool_], binned: int, timestep: float, number: int
) -> None:
    """Spikes (L, H) as a picture, ``binned`` steps a column; the last column may be of fewer."""
    starts = np.arange(0, len(spikes), binned)
    counts = np.add.reduceat(spikes.astype(np.float64), starts, axis=0)
    share = counts / np.diff([*starts, len(spikes)])[:, None]  # (columns, H)
    ink = to_rgba(layer_colour(number))
    panel.imshow(
        share.T, cmap=LinearSegmentedColormap.from_list("share", [(*ink[:3], 0.0), ink]),
        vmin=0, vmax=1, aspect="auto", origin="lower", interpolation="nearest",
        extent=(0.0, len(starts) * binned * timestep, -0.5, spikes.shape[1] - 0.5),
    )
    panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def plot_membranes(
    traces: Mapping[str, FloatArray], theta: float, timestep: float, width: float = WIDTH
) -> Figure:
    """The membrane y[k] of one neuron at ``(k + 1) timestep`` on the first backend, and theta.

    Below it a panel for each further backend: its difference from the first, whose largest size
    stands in the title.

    Shapes: ``traces`` name -> (L,). Units: ``timestep`` ms; membrane and ``theta`` dimensionless.
    Raises: :class:`ReportError` for no trace, or traces of different lengths.
    """
    if not traces:
        raise ReportError(
            "there is no membrane to draw; expected one trace a backend. Run with membranes "
            "recorded, or leave this figure out."
        )
    first, *others = traces
    for name, trace in traces.items():
        if trace.ndim != 1 or trace.shape != traces[first].shape:
            raise ReportError(
                f"the membrane of {name!r} has shape {trace.shape}, that of {first!r} "
                f"{traces[first].shape}; expected one length, (L,). Give the same sample and "
                "neuron of each backend."
            )
    figure = Figure(figsize=(width, 2.6 + 1.05 * len(others)), layout="constrained")
    heights = [2.4, *(1.0 for _ in others)]
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
    top, *rest = panels[:, 0]
    reference = np.asarray(traces[first])
    times = (np.arange(len(reference)) + 1) * timestep  # ms
    top.plot(times, reference, label=plain(first), color=COLOURS[0], linewidth=1.1)
    if np.isfinite(theta):
        top.axhline(theta, color=COLOURS[1], linewidth=1.0, zorder=1.5)
    top.set_xlim(0.0, len(reference) * timestep)
    threshold = f", and the threshold θ = {theta:g}" if np.isfinite(theta) else ""
    finish(top, "", "membrane y\n(dimensionless)", first + threshold)
    for i, (panel, name) in enumerate(zip(rest, others, strict=True)):
        difference = np.asarray(traces[name]) - reference
        largest = float(np.abs(difference).max(initial=0.0))
        panel.axhline(0.0, color=QUIET, linewidth=0.5)
        panel.plot(
            times, difference, label=plain(f"{name} - {first}"),
            color=COLOURS[(i + 2) % len(COLOURS)],
            linewidth=1.0,
        )
        bound = 1.15 * largest if largest > 0 else 1.0
        panel.set_ylim(-bound, bound)
        ticks = [-largest, 0.0, largest] if largest else [0.0]
        panel.yaxis.set_major_locator(FixedLocator(ticks))
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:.1g}")
        said = f"at most {largest:.2g}" if largest else "0 at every step"
        finish(panel, "", "difference", f"{name} - {first}: {said}")
    panels[-1, 0].set_xlabel("time (ms)")
    figure.align_ylabels()
    return figure


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
