"""Easier pictures for Pathfinder: shorter paths, fewer that distract, to train on first.

    python examples/easier_paths.py DIR --paddles 6 10 --distractors 0 2 --train 64000 --seed 21
    snn-ssm train pathfinder --data DIR --set task.train_samples=64000 --out runs/easier
    snn-ssm train pathfinder --data DATA --init runs/easier --out runs/harder

Each picture has a number of paddles a path and one of distracting paths drawn from the two ranges,
both ends included; the task's own pictures have 14 and 5. DIR gets ``pathfinder32`` with the three
files that the task reads: so many pictures to train, 1,000 to validate, 2,000 to test.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_ssm.tasks.dashed_paths import DRAWING_32, paint, place
from snn_ssm.tasks.ragged import write_npz

VALID, TEST = 1_000, 2_000
HARDEST = (DRAWING_32.paddles, DRAWING_32.distractors)


def draw(
    rng: np.random.Generator, count: int, paddles: tuple[int, int], distractors: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """``count`` pictures (B, 32, 32) and their labels (B,)."""
    images, labels = np.empty((count, 32, 32), np.uint8), np.empty(count, np.uint8)
    for i in range(count):
        drawing = DRAWING_32._replace(
            paddles=int(rng.integers(paddles[0], paddles[1] + 1)),
            distractors=int(rng.integers(distractors[0], distractors[1] + 1)),
        )
        scene = place(rng, drawing)
        images[i], labels[i] = paint(scene, drawing), scene.label
    return images, labels


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--paddles", type=int, nargs=2, default=(6, 10), metavar=("LEAST", "MOST"))
    parser.add_argument(
        "--distractors", type=int, nargs=2, default=(0, 2), metavar=("LEAST", "MOST")
    )
    parser.add_argument("--train", type=int, default=64_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for name, least, most in (("paddles", 2, HARDEST[0]), ("distractors", 0, HARDEST[1])):
        low, high = getattr(args, name)
        if not least <= low <= high <= most:
            parser.error(f"--{name} {low} {high}: expected {least} <= LEAST <= MOST <= {most}")
    if args.train < 1 or args.seed < 0:
        parser.error("--train is at least 1, --seed at least 0")
    folder = args.directory / "pathfinder32"
    folder.mkdir(parents=True, exist_ok=True)
    for k, (split, count) in enumerate({"train": args.train, "val": VALID, "test": TEST}.items()):
        images, labels = draw(
            np.random.default_rng([args.seed, k]), count, args.paddles, args.distractors
        )
        write_npz(folder / f"pathfinder32-{split}.npz", {"images": images, "labels": labels})


if __name__ == "__main__":
    main()
