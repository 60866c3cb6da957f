"""Text: is an IMDB review positive? One byte a step, at most 4,096 (Long Range Arena).

A symbol is a byte of the UTF-8 text; 0, which no text holds, fills up at the end. Two sources are
read, the first that is there, from the data directory or its folder ``imdb``:

- the official folder ``aclImdb``, a text file a review;
- ``imdb_train_utf8.bin.xz``, lzma of all reviews one after the other, and ``imdb_train_index.npz``
  with ``offsets`` and ``label`` (0 negative, 1 positive); ``test`` likewise.

Both are sorted by class, so samples come in a shuffled order that is always the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import Config, TaskConfig, TrainingConfig
from snn_ssm.tasks.base import (
    DataError,
    Samples,
    arranged,
    gated_spiking_units,
    locate,
    order,
    read_file,
)
from snn_ssm.tasks.ragged import Ragged, join, read_packed

CLASSES = ("negative", "positive")
VOCABULARY = 256
OFFICIAL = "aclImdb"
_FOLDERS = ("neg", "pos")


def read_folder(folder: Path) -> tuple[Ragged, NDArray[Any]]:
    """Reviews and labels of a split of the official folder, in the order of their names.

    Raises :class:`DataError`.
    """
    reviews: list[bytes] = []
    counts = []
    for name in _FOLDERS:
        files = sorted((folder / name).glob("*.txt"))
        if not files:
            raise DataError(
                f"{folder / name} holds no .txt file; expected a review each. Unpack "
                "aclImdb_v1.tar.gz again."
            )
        reviews += [read_file(path) for path in files]
        counts.append(len(files))
    return join(reviews), np.repeat(np.arange(len(counts)), counts)


@dataclass(frozen=True)
class Text:
    """IMDB reviews read byte by byte."""

    name: str = "text"
    classes: tuple[str, ...] = CLASSES

    def config(self) -> Config:
        """A causal GSU for two cores that reads the first 4,096 bytes."""
        return Config(
            task=TaskConfig(self.name, 4096),
            model=gated_spiking_units(
                inputs=VOCABULARY, classes=2, encoder="embedding", input_bits=0, input_scale=1.0,
                dropout=0.1,
            ),
            training=TrainingConfig(epochs=8, rate=1e-2, mode_rate=3e-3, weight_decay=0.05),
        )

    def load(self, data: Path, split: str, task: TaskConfig) -> Samples:
        """Bytes (B, 1, steps) uint8, cut off or filled up with 0, and labels (B,)."""
        official = locate(data, "imdb", OFFICIAL)
        if official is not None:
            reviews, labels = read_folder(official / split)
        else:
            content, offsets = _packed(data, split)
            reviews, labels = read_packed(content, offsets, "label")
        index = order(len(reviews), split, task, mixed=True)
        return arranged(reviews.rows(index, task.steps), labels[index], task, len(CLASSES))

    def download(self, data: Path) -> None:
        """Nothing where the files are there; this version fetches none."""
        if locate(data, "imdb", OFFICIAL) is None:
            for split in ("train", "test"):
                _packed(data, split)


def _packed(data: Path, split: str) -> tuple[Path, Path]:
    """The packed file of a split and its index."""
    names = (f"imdb_{split}_utf8.bin.xz", f"imdb_{split}_index.npz")
    content, offsets = (locate(data, "imdb", name) for name in names)
    if content is None or offsets is None:
        raise DataError(
            f"neither {OFFICIAL} nor {names[0]} with {names[1]} is in {data} or {data / 'imdb'}. "
            "Unpack aclImdb_v1.tar.gz from https://ai.stanford.edu/~amaas/data/sentiment/ there; "
            "it is not downloaded."
        )
    return content, offsets


TEXT = Text()
