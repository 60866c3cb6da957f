"""Figures of a network's modes, as Matplotlib objects: its kernels, time constants and rotations.

Each is drawn into the Axes it is given, or into a Figure of its own, which is returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from export.description.network import FloatArray, Network, Population
from export.pages.figure_style import (
    QUIET,
    SMALL_TEXT,
    ReportError,
    axes_of,
    finish,
    layer_colour,
    plain,
    side_legend,
)
from pynn_models.cells import StateSpaceCell, propagator


def linear_part(population: Population) -> StateSpaceCell:
    """The cell's modes, without its reset."""
    return population.kind.linear(population.cell)


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
    if cell.n_modes == 0 and not cell.d.any():
        raise ReportError(
            f"the layer {layer!r} has no kernel: nothing of its {network.cells} cells is linear. "
            "Draw its membranes instead."
        )
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
    ax = axes_of(ax, 1.0 + 0.42 * count)
    lags = np.arange(1, network.steps) * network.timestep  # ms
    colour = layer_colour(network.layers.index(population))
    for row, (first, *later) in enumerate(kernels(network, layer)[chosen]):
        values = np.array(later)
        peak = float(np.abs(values).max())
        ax.axhline(row, color=QUIET, linewidth=0.4, zorder=0)
        ax.plot(lags, row + 0.45 * values / (peak or 1.0), color=colour, linewidth=1.0)
        ax.text(
            1.01, row, f"|K| ≤ {peak:.2g}, K[0] = {first:.2g}", va="center", color=QUIET,
            transform=ax.get_yaxis_transform(), fontsize=SMALL_TEXT,
        )
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlim(lags[0], lags[-1])
    ax.set_ylim(-0.6, count - 0.4)
    ax.set_yticks(range(count), [f"{h} ({slowest[h]:.0f} ms)" for h in chosen])
    finish(
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
    ax = axes_of(ax, 3.8)
    duration = network.steps * network.timestep  # ms
    endless = 0
    for i, layer in enumerate(network.layers):
        cell = linear_part(layer)
        omega = np.zeros_like(cell.tau) if cell.omega is None else np.abs(cell.omega)
        leaks = np.isfinite(cell.tau)
        endless += int((~leaks).sum())
        ax.scatter(
            cell.tau[leaks], omega[leaks], s=6, color=layer_colour(i), alpha=0.55, linewidths=0,
            label=plain(layer.name), rasterized=True,
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
        "xytext": (4, 3), "textcoords": "offset points", "color": QUIET, "fontsize": SMALL_TEXT,
    }
    line: dict[str, Any] = {
        "color": QUIET, "linewidth": 0.9, "linestyle": (0, (4, 2)), "zorder": 0
    }
    ax.axvline(duration, **line)
    ax.axhline(fastest, **line)
    ax.annotate("length of a sample", (duration, fastest), **note)
    ax.annotate("half a turn a step", (0, fastest), xycoords=("axes fraction", "data"), **note)
    finish(
        ax, "time constant τ (ms)", "rotation |ω| (rad/ms)",
        f"{endless} modes without leak are not drawn" if endless else "",
    )
    side_legend(ax, markerscale=2.0)
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
