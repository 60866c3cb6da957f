"""N-parity and delayed match to sample: the N that networks reach, by a curriculum over N.

    python docs/parity.py train docs/n-parity.json [MODEL ...]      # an hour and more on one core
    python docs/parity.py draw docs/n-parity.json docs/n-parity.png

Each model is trained on N = 2, then, from where it ended, on the next N, as long as it answers
98 % of test samples right; four epochs of 4,000 samples an N, and twelve more where these do not
suffice.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from export.pages.figure_style import COLOURS, SMALL_TEXT, finish
from snn_ssm.config import Config
from snn_ssm.tasks import TASKS
from snn_ssm.training.loop import train

LENGTHS = (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32)
ENOUGH = 0.98
EPOCHS = (4, 12)
MODELS: dict[str, dict[str, Any]] = {
    "linear modes": {"cells": "native", "modes": 8, "recurrent": False},
    "linear modes, recurrent": {"cells": "native", "modes": 8, "recurrent": True},
    "leaky, reset": {"cells": "lif", "recurrent": False},
    "leaky, reset, recurrent": {"cells": "lif", "recurrent": True},
}
NAMES = {"n-parity": "N-parity", "n-dms": "delayed match to sample"}


def configuration(task: str, model: dict[str, Any], steps: int, epochs: int) -> Config:
    """The task's own configuration, for one model and N."""
    own = TASKS[task].config()
    return replace(
        own,
        task=replace(own.task, steps=steps, train_samples=4000),
        model=replace(own.model, **model),
        training=replace(own.training, epochs=epochs, batch_size=100),
    )


def reach(task: str, model: dict[str, Any], runs: Path) -> list[tuple[int, float]]:
    """(N, test accuracy) of each N up to the first that is not learned."""
    found: list[tuple[int, float]] = []
    before: Path | None = None
    for steps in LENGTHS:
        accuracy = 0.0
        for epochs in EPOCHS:
            config = configuration(task, model, steps, epochs)
            samples = [TASKS[task].load(runs, s, config.task) for s in ("train", "test")]
            out = runs / f"{steps}-{epochs}"
            accuracy = train(config, *samples, out, init=before)["test_accuracy"]
            before = out
            if accuracy >= ENOUGH:
                break
        found.append((steps, accuracy))
        print(task, model, steps, f"{accuracy:.2%}", flush=True)
        if accuracy < ENOUGH:
            break
    return found


def measure(out: Path, names: list[str]) -> None:
    """Train the models of these names (all if none), and write what each reaches into a file."""
    results = json.loads(out.read_text()) if out.exists() else {}
    for name in names or MODELS:
        for task in NAMES:
            with tempfile.TemporaryDirectory() as runs:
                results.setdefault(task, {})[name] = reach(task, MODELS[name], Path(runs))
            out.write_text(json.dumps(results, indent=1) + "\n")


def draw(results: dict[str, dict[str, list[tuple[int, float]]]], out: Path) -> None:
    """Test accuracy against N, a curve a model, up to the first N that it does not learn."""
    figure = Figure(figsize=(5 * len(results), 3.6), layout="constrained")
    panels = figure.subplots(1, len(results), squeeze=False)[0]
    for axes, task in zip(panels, results, strict=True):
        for colour, (name, points) in zip(COLOURS, results[task].items(), strict=False):
            lengths, accuracies = zip(*points, strict=True)
            per_cent = [100 * a for a in accuracies]
            axes.plot(lengths, per_cent, "o-", color=colour, label=name, markersize=3)
        axes.axhline(100 * ENOUGH, color="#888888", linewidth=0.6)
        finish(axes, "N", "test accuracy (%)", NAMES[task])
        axes.legend(frameon=False, fontsize=SMALL_TEXT, loc="lower right")
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"] and len(sys.argv) > 2:
        measure(Path(sys.argv[2]), sys.argv[3:])
    elif sys.argv[1:2] == ["draw"] and len(sys.argv) == 4:
        draw(json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3]))
    else:
        sys.exit(__doc__)
