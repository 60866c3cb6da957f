"""The figures of the concepts, drawn when the site is built: name -> function that draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from export import lower
from export.description import Source
from export.fixed_point import runner
from export.lowering.affine import Affine, Tap, on_grid
from export.pages.figure_style import COLOURS, INK, QUIET, SMALL_TEXT, finish
from export.software import run
from pynn_models.cells import propagator
from snn_ssm import load_checkpoint, shipped
from snn_ssm.tasks import read_samples


def modes() -> Figure:
    """The response of one mode, real and imaginary part, to one spike."""
    figure = Figure(figsize=(7.2, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2, 1])
    tau, omega, steps = 30.0, 0.3, np.arange(120)
    a_re, a_im = propagator(np.array([[tau]]), np.array([[omega]]), 1.0)
    x = (a_re[0, 0] + 1j * a_im[0, 0]) ** steps
    left.plot(steps, x.real, color=COLOURS[0], label="Re x")
    left.plot(steps, x.imag, color=COLOURS[1], label="Im x")
    left.plot(steps, np.exp(-steps / tau), color=QUIET, linewidth=0.9, linestyle="--")
    left.annotate("exp(-t / τ)", (35, 0.36), color=QUIET, fontsize=SMALL_TEXT)
    left.legend(frameon=False, fontsize=SMALL_TEXT)
    finish(left, "time after a spike (ms)", "state x", "τ = 30 ms, ω = 0.3 rad/ms")
    right.plot(x.real, x.imag, color=COLOURS[2], marker=".", markersize=3, linewidth=0.7)
    right.set_aspect("equal")
    finish(right, "Re x", "Im x", "the same in the plane")
    return figure


def alignment() -> Figure:
    """Which simulator step each layer spends on which step of the input."""
    figure = Figure(figsize=(7.2, 2.4), layout="constrained")
    ax = figure.subplots()
    names = ["input", "layer0", "layer1", "layer2", "readout"]
    for row, name in enumerate(names):
        for step in range(5):
            ax.barh(row, 0.94, left=row + step, color=COLOURS[step], height=0.7, alpha=0.85)
            ax.text(row + step + 0.47, row, str(step), ha="center", va="center", color="white",
                    fontsize=SMALL_TEXT)
        ax.text(-0.2, row, name, ha="right", va="center", fontsize=SMALL_TEXT, color=INK)
    arrow = {"arrowstyle": "->", "color": INK, "connectionstyle": "arc3,rad=0.25"}
    ax.annotate("", (3.4, 3.36), (1.9, 1.36), arrowprops=arrow)
    ax.annotate("layer0 → layer2: a delay of 2 steps", (4.1, 1.0), (7.3, 0.4), fontsize=SMALL_TEXT,
                color=INK)
    ax.set_yticks([])
    ax.set_ylim(4.6, -0.6)
    ax.set_xlim(-0.1, 11)
    finish(ax, "the simulator's step", "", "in a box: the step of the input that it is about")
    ax.spines["left"].set_visible(False)
    return figure


def grid() -> Figure:
    """How far sums in two orders lie apart, without the grid and on it."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(1, 256))
    exact = on_grid(
        Affine({Tap("layer0"): weights}, np.zeros(1)), Source("input", "current", 1, 0)
    ).matrices[Tap("layer0")]
    figure = Figure(figsize=(7.2, 2.6), layout="constrained")
    ax = figure.subplots()
    orders = [rng.permutation(256) for _ in range(200)]
    for values, colour, label in (
        (weights[0], COLOURS[1], "as trained"), (exact[0], COLOURS[0], "on the grid"),
    ):
        sums = np.array([np.add.accumulate(values[order])[-1] for order in orders])
        ax.plot((sums - sums[0]) / np.spacing(abs(sums[0])), ".", color=colour, label=label)
    ax.legend(frameon=False, fontsize=SMALL_TEXT, loc="upper right")
    finish(
        ax, "order in which 256 weights arrive", "sum, in last places",
        "the same spikes, 200 orders of delivery",
    )
    return figure


def fixed_point() -> Figure:
    """A membrane in float64 and in the board's integers, and what lies between."""
    network = lower(load_checkpoint(shipped.checkpoint()))
    image = read_samples(shipped.images()).inputs[:1]
    layer, neuron = network.layers[-1].name, 10
    exact = run(network, image, membranes=[layer]).membranes[layer][0, :, neuron]
    board = runner(network)(image, [layer]).membranes[layer][0, :, neuron]
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    top.plot(exact, color="#A6D4F2", linewidth=4, label="float64")
    top.plot(board, color=INK, linewidth=0.9, label="SpiNNaker's integers")
    top.legend(frameon=False, fontsize=SMALL_TEXT, ncols=2)
    finish(top, "", "membrane y", f"neuron {neuron} of {layer}, one image")
    bottom.plot(board - exact, color=COLOURS[1], linewidth=0.9)
    finish(bottom, "time (ms)", "difference", "")
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "modes": modes, "alignment": alignment, "grid": grid, "fixed-point": fixed_point,
}
