"""Image: CIFAR-10 in grey, one 8-bit pixel a step, row by row: 1,024 steps (Long Range Arena).

Two sources are read, the first that is there, from the data directory or its folder ``cifar10``:

- the official binary version, the folder ``cifar-10-batches-bin``;
- a re-encoding as JPEG: ``cifar10_jpeg_train.bin.xz``, lzma of all pictures one after the other,
  and ``cifar10_jpeg_train_index.npz`` with ``offsets`` and ``y``; ``test`` likewise. It loses a
  little of every picture: call what is learned from it "JPEG CIFAR".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
from snn_ssm.tasks.pictures import decode
from snn_ssm.tasks.ragged import read_packed

SIDE = 32
STEPS = SIDE * SIDE
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)
OFFICIAL = "cifar-10-batches-bin"
BATCHES = {
    "train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    "test": ("test_batch.bin",),
}
_RECORD = 1 + 3 * STEPS  # a label, then a plane each of red, green and blue


def greyscale(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``L = (19595 R + 38470 G + 7471 B + 2^15) >> 16``, the luma of ITU-R 601 as Pillow rounds it.

    (B, 3, L) -> (B, L).
    """
    red, green, blue = colours.astype(np.uint32).transpose(1, 0, 2)  # (B, L) each
    return ((19595 * red + 38470 * green + 7471 * blue + (1 << 15)) >> 16).astype(np.uint8)


def read_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Grey pixels (B, 1024) and labels (B,) of one official file; raises :class:`DataError`."""
    content = read_file(path)
    if not content or len(content) % _RECORD:
        raise DataError(
            f"{path} has {len(content)} bytes; expected a multiple of {_RECORD}, a label and "
            "32 x 32 x 3 bytes a picture. Fetch the archive again."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    return greyscale(records[:, 1:].reshape(-1, 3, STEPS)), records[:, 0]


@dataclass(frozen=True)
class Image:
    """CIFAR-10 read pixel by pixel."""

    name: str = "image"
    classes: tuple[str, ...] = CLASSES

    def config(self) -> Config:
        """A causal GSU for two cores."""
        return Config(
            task=TaskConfig(self.name, STEPS),
            model=gated_spiking_units(dt_min=2e-3, dt_max=0.2, dropout=0.05),
            training=TrainingConfig(epochs=22, rate=1e-2, mode_rate=4e-3, weight_decay=0.05),
        )

    def load(self, data: Path, split: str, task: TaskConfig) -> Samples:
        """Pixels (B, 1, 1024) uint8 and labels (B,)."""
        official = locate(data, "cifar10", OFFICIAL)
        if official is not None:
            parts = [read_batch(official / name) for name in BATCHES[split]]
            labels = np.concatenate([label for _, label in parts])
            index = order(len(labels), split, task)
            pixels = np.concatenate([grey for grey, _ in parts])[index]
        else:
            content, offsets = _packed(data, split)
            pictures, labels = read_packed(content, offsets, "y")
            index = order(len(labels), split, task)
            encoded = ((f"picture {i} of {content}", pictures.item(i).tobytes()) for i in index)
            pixels = decode(encoded, len(index), SIDE)
        source = "" if official is not None else "JPEG CIFAR"
        return arranged(pixels.reshape(-1, 1, STEPS), labels[index], task, len(CLASSES), source)

    def download(self, data: Path) -> None:
        """Nothing where the files are there; this version fetches none."""
        if locate(data, "cifar10", OFFICIAL) is None:
            for split in BATCHES:
                _packed(data, split)


def _packed(data: Path, split: str) -> tuple[Path, Path]:
    """The JPEG file of a split and its index."""
    stem = f"cifar10_jpeg_{split}"
    content = locate(data, "cifar10", f"{stem}.bin.xz")
    offsets = locate(data, "cifar10", f"{stem}_index.npz")
    if content is None or offsets is None:
        raise DataError(
            f"neither {OFFICIAL} nor {stem}.bin.xz with {stem}_index.npz is in {data} or "
            f"{data / 'cifar10'}. Unpack cifar-10-binary.tar.gz from "
            "https://www.cs.toronto.edu/~kriz/cifar.html there; it is not downloaded."
        )
    return content, offsets


IMAGE = Image()
