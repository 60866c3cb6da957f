"""Parity and delayed match to sample: the bits that networks learn, and those they can then do.

    python docs/parity.py train docs/n-parity.json [MODEL ...]      # an hour and more on one core
    python docs/parity.py longer docs/n-parity.json [MODEL ...]     # a minute a model and seed
    python docs/parity.py draw docs/n-parity.json docs/n-parity.png

``train``: answered at the last of N bits. Each model is trained on N = 2, then, from where it
ended, on the next N, as long as it answers 98 % of test samples right; four epochs of 4,000 samples
an N, and twelve more where these do not suffice.

``longer``: answered at every bit of 4, then 8, then 16, six epochs each, and then, without any more
training, at the last of up to 512: what has learned to keep a state goes on for ever, what counts
ends where it was taught to count.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from export.pages.figure_style import COLOURS, INK, SMALL_TEXT, finish, side_legend
from snn_ssm.config import Config
from snn_ssm.model.restore import load_network
from snn_ssm.model.sequence import SequenceModel
from snn_ssm.tasks import TASKS, Samples
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
TAUGHT, TESTED, PASSES, SEEDS = (4, 8, 16), (8, 16, 32, 64, 128, 256, 512), 6, (0, 1, 2)
KINDS: dict[str, dict[str, Any]] = {
    "linear modes": MODELS["linear modes"],
    "modes, soft reset": {"cells": "native", "modes": 8, "recurrent": False, "reset": "soft"},
    "leaky, reset": MODELS["leaky, reset"],
    "linear modes, recurrent": MODELS["linear modes, recurrent"],
    "modes, soft reset, recurrent": {
        "cells": "native", "modes": 8, "recurrent": True, "reset": "soft",
    },
    "leaky, reset, recurrent": MODELS["leaky, reset, recurrent"],
    "leaky, reset, recurrent, 1 layer": {**MODELS["leaky, reset, recurrent"], "depth": 1},
    "event-gated (EGRU), 1 layer": {"cells": "egru", "recurrent": False, "depth": 1},
}  # fmt: skip


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


def answered(task: str, bits: int, count: int, seed: int) -> Samples:
    """Random bits, and the answer at each of them: the parity so far, or if it is the first one."""
    drawn = np.random.default_rng((seed, bits)).integers(0, 2, (count, bits), np.uint8)
    parity = np.cumsum(drawn, axis=1, dtype=np.int64) % 2
    match = (drawn == drawn[:, :1]).astype(np.int64)
    return Samples(drawn[:, None], parity if task == "n-parity" else match)


def taus(network: SequenceModel) -> list[float]:
    """Each neuron's slowest time constant, in bits: the quartiles, and the largest; none of gated
    units, whose input says how long they remember."""
    if network.config.cells == "egru":
        return []
    found = []
    for block in network.blocks:
        abar = block.ssm.neurons().abar.detach().abs().double().clamp(max=1 - 1e-9)
        found.append((-1 / torch.log(abar)).amax(-1))
    values = torch.cat(found).numpy()
    return [round(float(v), 2) for v in np.quantile(values, (0.25, 0.5, 0.75, 1))]


def beyond(task: str, model: dict[str, Any], seed: int, runs: Path) -> dict[str, Any]:
    """(N, share of right answers at the last of N bits) for N that no training had, and taus."""
    before: Path | None = None
    for steps in TAUGHT:
        config = configuration(task, model, steps, PASSES)
        config = replace(
            config, model=replace(config.model, output="labels"),
            training=replace(config.training, seed=seed),
        )  # fmt: skip
        samples = [answered(task, steps, count, s) for count, s in ((4000, 5), (1000, 6))]
        train(config, *samples, runs / str(steps), init=before)
        before = runs / str(steps)
    network = load_network(runs / str(TAUGHT[-1]))
    found = []
    for steps in TESTED:
        samples = answered(task, steps, 1000, 7)
        with torch.no_grad():
            answers = network(torch.from_numpy(samples.inputs)).logits[:, -1].argmax(-1).numpy()
        found.append((steps, float((answers == samples.labels[:, -1]).mean())))
    return {"seed": seed, "last": found, "taus": taus(network)}


def measure_beyond(out: Path, names: list[str]) -> None:
    """As :func:`measure`, at bits that no training had: each model from each seed."""
    results = json.loads(out.read_text())
    for seed in SEEDS:
        for name in names or KINDS:
            for task in NAMES:
                with tempfile.TemporaryDirectory() as runs:
                    one = beyond(task, KINDS[name], seed, Path(runs))
                print(task, name, one, flush=True)
                kept = results.setdefault("longer", {}).setdefault(task, {}).setdefault(name, [])
                kept[:] = [*(k for k in kept if k["seed"] != seed), one]
                out.write_text(json.dumps(results, indent=1) + "\n")


def draw(results: dict[str, Any], out: Path) -> None:
    """Accuracy against N: as far as each model learns it, and behind what it was taught."""
    longer = results.pop("longer")
    figure = Figure(figsize=(2 + 4 * (1 + len(longer)), 3.6), layout="constrained")
    panels = figure.subplots(1, 1 + len(longer), squeeze=False)[0]
    colours = dict(zip(KINDS, (*COLOURS, INK, "#7f4f24"), strict=True))
    for name, points in results["n-parity"].items():
        lengths, accuracies = zip(*points, strict=True)
        panels[0].plot(
            lengths, [100 * a for a in accuracies], "o-", color=colours[name], label=name,
            markersize=3,
        )  # fmt: skip
    panels[0].axhline(100 * ENOUGH, color="#888888", linewidth=0.6)
    finish(panels[0], "N", "test accuracy (%)", "N-parity, taught at each N")
    panels[0].legend(frameon=False, fontsize=SMALL_TEXT, loc="lower left")
    for axes, (task, models) in zip(panels[1:], longer.items(), strict=True):
        for name, seeds in models.items():
            accuracies = np.array([[a for _, a in one["last"]] for one in seeds])
            axes.plot(
                TESTED, 100 * np.median(accuracies, 0), "o-", color=colours[name], label=name,
                markersize=3,
            )  # fmt: skip
            axes.fill_between(
                TESTED, 100 * accuracies.min(0), 100 * accuracies.max(0), color=colours[name],
                alpha=0.15, linewidth=0,
            )  # fmt: skip
        axes.axvline(TAUGHT[-1], color="#888888", linewidth=0.6)
        axes.set_xscale("log", base=2)
        axes.set_xticks(TESTED, [str(n) for n in TESTED])
        finish(axes, "N", "right at bit N (%)", f"{NAMES[task]}, taught up to {TAUGHT[-1]} bits")
    side_legend(panels[-1])
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"] and len(sys.argv) > 2:
        measure(Path(sys.argv[2]), sys.argv[3:])
    elif sys.argv[1:2] == ["longer"] and len(sys.argv) > 2:
        measure_beyond(Path(sys.argv[2]), sys.argv[3:])
    elif sys.argv[1:2] == ["draw"] and len(sys.argv) == 4:
        draw(json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3]))
    else:
        sys.exit(__doc__)
