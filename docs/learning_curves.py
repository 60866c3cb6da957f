"""The learning curves of the runs in docs/results, training and test accuracy after each epoch.

    python docs/learning_curves.py docs/results docs/learning-curves.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from export.pages.figure_style import COLOURS, SMALL_TEXT, finish
from snn_ssm.results.page import TITLES

RUNS = {
    "gsu-constant-thresholds-smnist": "smnist", "gsu-constant-thresholds-psmnist": "psmnist",
    "gsu-constant-thresholds-image": "image", "gsu-constant-thresholds-text": "text",
    "gsu-constant-thresholds-listops": "listops", "binary-s4d-smnist": "smnist",
    "gsu-constant-thresholds-sparse-smnist": "smnist",
    "gsu-constant-thresholds-psmnist-wide": "psmnist",
}


def draw(axes: Axes, metrics: dict[str, Any], title: str) -> Axes:
    """One run's curves on ``axes``: accuracy in per cent against epochs."""
    epochs = metrics["epochs"]
    number = [e["epoch"] for e in epochs]
    for key, colour, label in (
        ("train_accuracy", COLOURS[0], "training"), ("test_accuracy", COLOURS[1], "test"),
    ):
        axes.plot(number, [100 * e[key] for e in epochs], color=colour, label=label)
    axes.plot(number[-1], 100 * metrics["test_accuracy"], "o", color=COLOURS[1], markersize=4)
    finish(axes, "epoch", "accuracy (%)", title)
    return axes


def main(runs: Path, out: Path) -> None:
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    for axes, (name, task) in zip(figure.subplots(2, 4).flat, RUNS.items(), strict=True):
        metrics = json.loads((runs / f"{name}.json").read_text())
        kind = metrics["model"].partition(",")[0]
        draw(axes, metrics, f"{TITLES[task]}, {kind}: {100 * metrics['test_accuracy']:.2f} %")
        axes.legend(frameon=False, fontsize=SMALL_TEXT, loc="lower right")
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
