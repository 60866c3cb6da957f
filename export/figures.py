"""Figures of a network and its runs, as Matplotlib objects: nothing is shown, no pyplot state.

Every function draws into the Axes it is given, or into a Figure of its own, and returns it; a
figure is written with ``axes.figure.savefig(path)``. Colours are those of Okabe and Ito, which
stay apart for colour-blind readers; a layer has the same colour in every figure.
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

from export.network import FloatArray, Network, Population, Source
from export.recording import Recording
from pynn_models.cells import StateSpaceCell, propagator
from pynn_models.errors import SnnSsmError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#222222"
QUIET = "#6b6b6b"
_WIDTH = 7.2  # inches
_TEXT = 9.0  # points
# Wide and light below, thin and dark above: traces that coincide are all seen.
_TRACES: tuple[dict[str, Any], ...] = (
    {"color": "#A6D4F2", "linewidth": 5.0, "linestyle": "-"},
    {"color": "#E69F00", "linewidth": 2.4, "linestyle": "-"},
    {"color": "#222222", "linewidth": 0.9, "linestyle": (0, (4, 2))},
    {"color": "#D55E00", "linewidth": 0.9, "linestyle": (0, (1, 2))},
)


class ReportError(SnnSsmError):
    """A figure or report of something that is not there, or of parts that do not fit."""


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
    figure = Figure(figsize=(_WIDTH, 1.5 + 1.25 * len(layers)), layout="constrained")
    heights = [0.8, *(1.0 for _ in layers)]
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
    top, *rest = panels[:, 0]
    edges = np.arange(network.steps + 1) * network.timestep  # ms
    for c, values in enumerate(inputs):
        colour = INK if len(inputs) == 1 else COLOURS[c % len(COLOURS)]
        top.stairs(values, edges, color=colour, linewidth=1.0, label=f"channel {c}")
    if len(inputs) > 1:
        _legend(top)
    _finish(top, "", _unit(network.source), f"{network.source.name}: sample {sample}")
    for i, (panel, layer, spikes) in enumerate(zip(rest, layers, rasters, strict=True)):
        ink = to_rgba(_layer_colour(i))
        panel.imshow(
            spikes.T,
            cmap=LinearSegmentedColormap.from_list("spikes", [(*ink[:3], 0.0), ink]),
            vmin=0, vmax=1, aspect="auto", origin="lower",
            extent=(0.0, edges[-1], -0.5, layer.size - 0.5),
        )
        panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        rate = float(spikes.mean())
        _finish(
            panel, "", "neuron\n(index)",
            f"{layer.name}: {rate:.3f} spikes per neuron and step "
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
    ax = _axes(ax, 2.9)
    reference = np.asarray(traces[first])
    times = (np.arange(len(reference)) + 1) * timestep  # ms
    for i, (name, trace) in enumerate(traces.items()):
        difference = float(np.abs(trace - reference).max()) if len(reference) else 0.0
        label = name if i == 0 else f"{name} (max |Δy| {difference:.2g})"
        ax.plot(times, trace, label=label, zorder=2 + i, **_TRACES[i % len(_TRACES)])
    if np.isfinite(theta):
        ax.axhline(theta, color=COLOURS[1], linewidth=1.0, zorder=1.5, label=f"θ = {theta:g}")
    ax.set_xlim(0.0, len(reference) * timestep)
    _finish(ax, "time (ms)", "membrane y (dimensionless)", "")
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, frameon=False, fontsize=_TEXT - 1,
        handlelength=2.4, columnspacing=1.2, borderaxespad=0.2,
    )
    return ax


def linear_part(population: Population) -> StateSpaceCell:
    """The cell's modes; a leaky neuron without its reset is one of c = 1."""
    cell = population.cell
    if isinstance(cell, StateSpaceCell):
        return cell
    return StateSpaceCell(
        tau=cell.tau[:, None],
        c_re=np.ones((cell.n_neurons, 1)),
        d=np.zeros(cell.n_neurons),
        theta=cell.theta,
        bias=cell.bias,
    )


def kernels(network: Network, layer: str) -> FloatArray:
    """``K[l] = Re(sum_n c_n abar_n^l)``, plus d at l = 0: a layer's impulse responses, (H, L)."""
    cell = linear_part(find_layer(network, layer))
    a_re, a_im = propagator(cell.tau, cell.omega, network.timestep)  # (H, N)
    c = cell.c_re if cell.c_im is None else cell.c_re + 1j * cell.c_im
    powers = np.ones_like(a_re, dtype=np.complex128)  # abar^l, (H, N)
    response = np.empty((cell.n_neurons, network.steps))
    for lag in range(network.steps):
        response[:, lag] = (c * powers).sum(axis=1).real
        powers *= a_re + 1j * a_im
    response[:, 0] += cell.d
    return response


def plot_kernels(network: Network, layer: str, neurons: int = 8, ax: Axes | None = None) -> Axes:
    """``K[l] = Re(sum_n c_n abar_n^l)``, the membrane l steps after a unit input; lag in ms.

    Drawn are ``neurons`` of the layer, evenly spaced in the order of their slowest mode. Line i is
    ``i + 0.45 K[l] / max |K[l]|`` for l >= 1; the text beside it gives that maximum and
    ``K[0] = Re(sum_n c_n) + d``.
    Raises: :class:`ReportError` for an unknown layer, fewer than one neuron or one step.
    """
    population = find_layer(network, layer)
    cell = linear_part(population)
    if neurons < 1 or network.steps < 2:
        raise ReportError(
            f"{neurons} neurons of {layer!r} over {network.steps} steps to draw; expected 1 to "
            f"{cell.n_neurons} neurons and at least 2 steps. Ask for more, or leave this figure "
            "out."
        )
    slowest = cell.tau.max(axis=1, initial=0.0)  # (H,)
    count = min(neurons, cell.n_neurons)
    places = np.linspace(0, cell.n_neurons - 1, count).round().astype(int)
    chosen = np.argsort(slowest, kind="stable")[places]
    ax = _axes(ax, 1.0 + 0.42 * count)
    lags = np.arange(1, network.steps) * network.timestep  # ms
    colour = _layer_colour(network.layers.index(population))
    for row, (first, *later) in enumerate(kernels(network, layer)[chosen]):
        values = np.array(later)
        peak = float(np.abs(values).max())
        ax.axhline(row, color=QUIET, linewidth=0.4, zorder=0)
        ax.plot(lags, row + 0.45 * values / (peak or 1.0), color=colour, linewidth=1.0)
        ax.text(
            1.01, row, f"|K| ≤ {peak:.2g}, K[0] = {first:.2g}", va="center", color=QUIET,
            transform=ax.get_yaxis_transform(), fontsize=_TEXT - 1,
        )
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlim(lags[0], lags[-1])
    ax.set_ylim(-0.6, count - 0.4)
    ax.set_yticks(range(count), [f"{h} ({slowest[h]:.0f} ms)" for h in chosen])
    _finish(
        ax, "lag (ms)", "neuron (slowest τ)",
        f"{layer}: kernels K (dimensionless) of {count} of {cell.n_neurons} neurons",
    )
    return ax


def plot_modes(network: Network, ax: Axes | None = None) -> Axes:
    """Every mode of every layer: time constant tau (ms) against rotation |omega| (rad/ms).

    Real modes stand at omega = 0. Lines: the length of a sample, which slower modes outlast, and
    the fastest rotation that the timestep can tell, pi / timestep. The scale of omega is linear
    below one turn a sample. Modes that never leak (tau = inf) are counted in the title.
    """
    ax = _axes(ax, 3.8)
    duration = network.steps * network.timestep  # ms
    endless = 0
    for i, layer in enumerate(network.layers):
        cell = linear_part(layer)
        omega = np.zeros_like(cell.tau) if cell.omega is None else np.abs(cell.omega)
        leaks = np.isfinite(cell.tau)
        endless += int((~leaks).sum())
        ax.scatter(
            cell.tau[leaks], omega[leaks], s=6, color=_layer_colour(i), alpha=0.55, linewidths=0,
            label=layer.name, rasterized=True,
        )
    ax.set_xscale("log")
    one_turn, fastest = 2 * np.pi / duration, np.pi / network.timestep  # rad/ms
    ax.set_yscale("symlog", linthresh=one_turn, linscale=0.5)
    ax.set_ylim(-0.4 * one_turn, 3 * fastest)
    powers = 10.0 ** np.arange(np.ceil(np.log10(one_turn)), np.log10(fastest))
    ax.set_yticks([0.0, *powers])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    note: dict[str, Any] = {
        "xytext": (4, 3), "textcoords": "offset points", "color": QUIET, "fontsize": _TEXT - 1,
    }
    line: dict[str, Any] = {
        "color": QUIET, "linewidth": 0.9, "linestyle": (0, (4, 2)), "zorder": 0
    }
    ax.axvline(duration, **line)
    ax.axhline(fastest, **line)
    ax.annotate("length of a sample", (duration, fastest), **note)
    ax.annotate("half a turn a step", (0, fastest), xycoords=("axes fraction", "data"), **note)
    _finish(
        ax, "time constant τ (ms)", "rotation |ω| (rad/ms)",
        f"{endless} modes without leak are not drawn" if endless else "",
    )
    _legend(ax, markerscale=2.0)
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
    ax = _axes(ax, 1.6 + 0.36 * size, width=1.9 + 0.42 * size)
    pale = LinearSegmentedColormap.from_list("share", ["#FFFFFF", "#9CC8E6", COLOURS[0], "#003A5E"])
    ax.imshow(share, cmap=pale, vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(counts):
        ax.text(
            column, row, str(counts[row, column]), ha="center", va="center", fontsize=_TEXT - 1,
            color="white" if share[row, column] > 0.55 else INK,
        )
    ax.set_xticks(range(size), classes)
    ax.set_yticks(range(size), classes)
    accuracy = 100 * float((labels == predictions).mean())
    _finish(
        ax, "predicted class", "true class",
        f"accuracy {accuracy:.2f} % of {len(labels)} samples",
    )
    edges = np.arange(size - 1) + 0.5
    ax.hlines(edges, -0.5, size - 0.5, color="#E3E3E3", linewidth=0.6)
    ax.vlines(edges, -0.5, size - 0.5, color="#E3E3E3", linewidth=0.6)
    return ax


def plot_spike_rates(rates: Mapping[str, float], ax: Axes | None = None) -> Axes:
    """A bar a layer: spikes per neuron and step, from 0 to 1."""
    ax = _axes(ax, 0.8 + 0.32 * len(rates))
    names = list(rates)
    bars = ax.barh(
        range(len(names)), list(rates.values()), height=0.62,
        color=[_layer_colour(i) for i in range(len(names))],
    )
    ax.bar_label(bars, fmt="%.3f", padding=4, fontsize=_TEXT - 1, color=INK)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlim(0.0, max([*rates.values(), 1e-3]) * 1.15)
    _finish(ax, "spike rate (spikes per neuron and step)", "layer", "")
    return ax


def find_layer(network: Network, name: str) -> Population:
    """The spiking population of that name; the readout and unknown names are refused."""
    for layer in network.layers:
        if layer.name == name:
            return layer
    raise ReportError(
        f"there is no layer {name!r} in the network; expected one of "
        f"{', '.join(layer.name for layer in network.layers)}."
    )


def _unit(source: Source) -> str:
    """The axis label of an input's values."""
    if source.encoding == "token":
        return "symbol\n(index)"
    return f"value\n({source.bits}-bit integer)" if source.bits else "value\n(dimensionless)"


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


def _layer_colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _axes(ax: Axes | None, height: float, width: float = _WIDTH) -> Axes:
    """The given Axes, or those of a new Figure of that size in inches."""
    return ax or Figure(figsize=(width, height), layout="constrained").add_subplot()


def _finish(ax: Axes, xlabel: str, ylabel: str, title: str) -> None:
    """Labels, sizes and thin spines: the one look of all figures."""
    ax.set_xlabel(xlabel, fontsize=_TEXT, color=INK)
    ax.set_ylabel(ylabel, fontsize=_TEXT, color=INK)
    ax.set_title(title, fontsize=_TEXT, color=INK, loc="left")
    ax.tick_params(labelsize=_TEXT - 1, color=QUIET, labelcolor=INK, width=0.6, length=3)
    ax.tick_params(which="minor", color=QUIET, width=0.4, length=1.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set(color=QUIET, linewidth=0.6)


def _legend(ax: Axes, **options: Any) -> None:
    """The legend beside the axes, where it hides nothing."""
    legend = ax.legend(
        loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=_TEXT - 1, **options
    )
    legend.get_title().set_fontsize(_TEXT - 1)
    legend.get_title().set_color(INK)
