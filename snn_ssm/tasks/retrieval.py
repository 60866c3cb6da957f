"""Retrieval: does one of two papers cite the other? One byte a step, one paper after the other.

The AAN pairs of Long Range Arena, ``new_aan_pairs.train.tsv``, ``.eval.tsv`` and ``.test.tsv`` in
the data directory or its folder ``retrieval``: label, two identifiers and the two texts a line,
parted by tabs. A symbol is a byte; 0, which no text holds, fills up at the end of either half.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import Config, ModelConfig, TaskConfig, TrainingConfig
from snn_ssm.reading import open_regular
from snn_ssm.tasks.base import DataError, Samples, arranged, locate, order, require_room

CLASSES = ("unrelated", "related")
VOCABULARY = 256
_LONGEST_LINE = 2**26
FILES = {
    "train": "new_aan_pairs.train.tsv",
    "val": "new_aan_pairs.eval.tsv",
    "test": "new_aan_pairs.test.tsv",
}


def read_line(line: bytes, half: int) -> tuple[int, bytes, bytes]:
    """Label and the two texts, cut off after ``half`` bytes; raises ``ValueError``."""
    fields = line.rstrip(b"\r\n").split(b"\t", 4)
    if len(fields) != 5:
        raise ValueError(f"it has {len(fields)} fields")
    label = float(fields[0])
    if label not in (0, 1):
        raise ValueError(f"its label is {label:g}")
    return int(label), fields[3][:half], fields[4][:half]


def read_pairs(
    path: Path, steps: int, split: str, task: TaskConfig
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes (B, 2, steps / 2) of the pairs that ``task`` asks for, and their labels (B,).

    The file, a gigabyte, is read twice line by line and never held. Raises :class:`DataError`.
    """
    try:
        with open_regular(path) as lines:
            count = sum(1 for _ in _lines(lines, path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}). Fetch the file again.") from error
    require_room((count, steps), 1, "pairs of that length")
    index = order(count, split, task)
    row_of = np.full(count, -1)
    row_of[index] = np.arange(len(index))
    pairs = np.zeros((len(index), 2, steps // 2), np.uint8)
    labels = np.empty(len(index), np.int64)
    with open_regular(path) as lines:
        both = zip(row_of, _lines(lines, path), strict=True)
        for number, (row, line) in enumerate(both, start=1):
            if row < 0:
                continue
            try:
                labels[row], *texts = read_line(line, steps // 2)
            except ValueError as error:
                raise DataError(
                    f"{path}, line {number}: {error}; expected a label 0 or 1, two identifiers "
                    "and two texts, parted by tabs. Fetch the file again."
                ) from error
            for place, text in zip(pairs[row], texts, strict=True):
                place[: len(text)] = np.frombuffer(text, np.uint8)
    return pairs, labels


def _lines(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    """The lines of a file; raises :class:`DataError` for one that would fill the memory."""
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise DataError(
                f"{path} has a line of {_LONGEST_LINE} bytes or more; expected two texts. Fetch "
                "the file again."
            )
        yield line


@dataclass(frozen=True)
class Retrieval:
    """Pairs of papers read byte by byte."""

    name: str = "retrieval"
    classes: tuple[str, ...] = CLASSES

    def config(self) -> Config:
        """A causal network for two cores: 1,024 bytes of each paper, a part of the pairs."""
        return Config(
            task=TaskConfig(self.name, 2048, train_samples=40_000),
            model=ModelConfig(
                inputs=VOCABULARY, classes=2, encoder="embedding", input_bits=0, input_scale=1.0,
                pair=True, surrogate="arctan", surrogate_slope=2.0,
            ),
            training=TrainingConfig(epochs=2, rate=5e-3, weight_decay=0.05),
        )

    def load(self, data: Path, split: str, task: TaskConfig) -> Samples:
        """Bytes (B, 1, steps) uint8, half of the steps for each paper, and labels (B,)."""
        if task.steps % 2:
            raise DataError(
                f"task.steps is {task.steps}; expected an even number: half of the steps for each "
                "of two papers. Correct the configuration."
            )
        pairs, labels = read_pairs(_find(data, split), task.steps, split, task)
        return arranged(pairs.reshape(len(pairs), 1, -1), labels, task, len(CLASSES))

    def download(self, data: Path) -> None:
        """Nothing where the files are there; this version fetches none."""
        for split in FILES:
            _find(data, split)


def _find(data: Path, split: str) -> Path:
    path = locate(data, "retrieval", FILES[split])
    if path is None:
        raise DataError(
            f"{FILES[split]} is in neither {data} nor {data / 'retrieval'}. Take it from the "
            "folder tsv_data of Long Range Arena's lra_release.gz "
            "(https://github.com/google-research/long-range-arena); it is not downloaded."
        )
    return path


RETRIEVAL = Retrieval()
