"""Tasks of random bits, one a step: state that must be kept, and be changed by what comes.

``n-parity``: whether the number of ones among N bits is odd. ``n-dms`` (delayed match to sample):
whether the last of N bits is the first one again. N is ``task.steps``; nothing is read, samples are
drawn from a fixed seed. A layer without reset and without recurrence is linear in its input but
for its threshold: it can count ones, and needs a threshold a count; two recurrent neurons know the
parity of any number of bits. Source: Khajehabdollahi et al. 2024, *Emergent mechanisms for long
timescales depend on training curriculum and affect performance in memory tasks*, which trains
N = 2, 3, ... in turn: ``snn-ssm train n-parity --set task.steps=3 --init RUN_OF_2``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import Config, ModelConfig, TaskConfig, TrainingConfig
from snn_ssm.tasks.base import Samples, arranged, order, require_room

COUNTS = {"train": 10_000, "test": 2_000}
_SEEDS = {"train": 3, "test": 4}


def parity(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """``sum_k b[k] mod 2`` of bits (B, L)."""
    return bits.sum(axis=1, dtype=np.int64) % 2


def match(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """1 where ``b[L - 1] = b[0]``, else 0, of bits (B, L)."""
    return (bits[:, -1] == bits[:, 0]).astype(np.int64)


@dataclass(frozen=True)
class BitTask:
    """A question about ``task.steps`` random bits, answered at the last one."""

    name: str
    classes: tuple[str, ...]
    answer: Callable[[NDArray[np.uint8]], NDArray[np.int64]]
    steps: int = 8

    def config(self) -> Config:
        """A small network of recurrent leaky neurons."""
        model = ModelConfig(
            inputs=1, classes=2, input_bits=1, input_scale=1.0, channels=32, depth=2, cells="lif",
            dt_min=0.05, dt_max=2.0, recurrent=True, pooling="last", surrogate="triangle",
            surrogate_slope=1.0,
        )
        training = TrainingConfig(epochs=10, rate=5e-3, mode_rate=2e-3, weight_decay=0.0)
        return Config(TaskConfig(self.name, self.steps), model, training)

    def load(self, data: Path, split: str, task: TaskConfig) -> Samples:
        """Bits (B, 1, steps) uint8, always the same, and answers (B,); ``data`` is not read."""
        kind = "train" if split == "train" else "test"
        length = len(task.permutation) or 1 + (task.steps - 1) * task.stride
        shape = (COUNTS[kind], length)
        require_room(shape, 1, f"the samples of {self.name!r}")
        bits = np.random.default_rng((_SEEDS[kind], length)).integers(0, 2, shape, np.uint8)
        index = order(len(bits), split, task)
        chosen: NDArray[Any] = bits[index][:, None]
        return arranged(chosen, self.answer(bits[index]), task, len(self.classes))

    def download(self, data: Path) -> None:
        """Nothing is to be had: samples are drawn when they are loaded."""


N_PARITY = BitTask("n-parity", ("even", "odd"), parity)
N_DMS = BitTask("n-dms", ("differs", "matches"), match)
