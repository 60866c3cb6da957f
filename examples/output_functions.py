"""Saturating against other output functions of a layer: python examples/output_functions.py OUT

The question of Figure 5 of Stan & Rhodes (arXiv 2401.00955): is it the missing spikes, or the
saturation, that costs accuracy? One Binary S4D for each output function, spikes among them, same
seed and budget, on pictures of dashed paths of 16 x 16 pixels, read row by row: 256 steps (Long
Range Arena's smallest have 1,024). OUT gets one run a function, ``output-functions.json`` and
``output-functions.png``; a run that is there is read, so that a killed command continues.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from export.pages.figure_style import finish
from snn_ssm import train
from snn_ssm.config import Config, ModelConfig, TaskConfig, TrainingConfig
from snn_ssm.tasks import Samples
from snn_ssm.tasks.dashed_paths import Drawing, generate
from snn_ssm.training.run import METRICS_FILE

SATURATING = ("heaviside", "sigmoid", "tanh", "hard-sigmoid")
OTHERS = ("relu", "gelu", "identity")
DRAWING = Drawing(
    side=16, length=2.0, thickness=0.5, margins=(1, 1), dot_radius=1.0, separation=4.0,
    continuity=1.0, paddles=4, distractors=2, distractor_paddles=2,
)  # fmt: skip
COUNTS = {"train": 40_000, "test": 4_000}
_SEEDS = {"train": 0, "test": 1}
_BLUES = ("#08306b", "#2171b5", "#4292c6", "#9ecae1")
_ORANGES = ("#7f2704", "#d94801", "#fd8d3c")


def pictures(split: str) -> Samples:
    """Pictures (B, 1, 256) uint8 of a split, and whether the dots are ends of one path."""
    images, labels = generate(np.random.default_rng(_SEEDS[split]), COUNTS[split], DRAWING)
    return Samples(images.reshape(len(labels), 1, -1), labels.astype(np.int64))


def configuration(activation: str) -> Config:
    """The same for every output function but for that."""
    return Config(
        task=TaskConfig("pathfinder", DRAWING.side**2),
        model=ModelConfig(
            classes=2, channels=32, surrogate="arctan", surrogate_slope=2.0, mixing="glu",
            activation=activation,
        ),
        training=TrainingConfig(epochs=8, rate=4e-3),
    )  # fmt: skip


def plot(axes: Axes, runs: dict[str, Any]) -> None:
    """Test accuracy after each epoch, a line a function: blue where it saturates."""
    for names, colours in ((SATURATING, _BLUES), (OTHERS, _ORANGES)):
        for name, colour in zip(names, colours, strict=True):
            accuracy = [100 * epoch["test_accuracy"] for epoch in runs[name]["epochs"]]
            axes.plot(
                range(1, len(accuracy) + 1),
                accuracy,
                color=colour,
                linewidth=2.5 if name == "heaviside" else 1.3,
                label=f"{name}  {accuracy[-1]:.1f} %",
            )
    axes.legend(frameon=False)
    finish(axes, "epoch", "test accuracy, %", "Blue saturates, orange does not")


def main(out: Path) -> None:
    samples = {split: pictures(split) for split in COUNTS}
    runs = {}
    for name in SATURATING + OTHERS:
        metrics = out / name / METRICS_FILE
        done = metrics.exists() and len(json.loads(metrics.read_text())["epochs"])
        if done != configuration(name).training.epochs:
            resume = (out / name).exists()
            train(configuration(name), samples["train"], samples["test"], out / name, resume=resume)
        runs[name] = json.loads(metrics.read_text())
    (out / "output-functions.json").write_text(json.dumps(runs, indent=1) + "\n")
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    plot(figure.subplots(), runs)
    figure.savefig(out / "output-functions.png", dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
