"""Pathfinder and Path-X: are two dots ends of one dashed path? One 8-bit pixel a step, row by row.

1,024 steps (``pathfinder``) and 16,384 (``path-x``); Long Range Arena's hard sets. Two sources are
read, the first that is there, from the data directory or its folder ``pathfinder32`` or
``pathfinder128``:

- the official folder ``curv_contour_length_14``: in ``metadata``, files ``0.npy``, ``1.npy`` ...
  that are text, a picture a line (``imgs/0 sample_3.png 3 1 ...``: folder, file, number, label).
  80 % of them in a fixed shuffled order train, 10 % validate, 10 % test;
- ``pathfinder32-train.npz``, ``-val.npz`` and ``-test.npz`` with ``images`` (B, side, side) and
  ``labels``, which ``snn-ssm train pathfinder --download`` draws (:mod:`.dashed_paths`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import Config, ModelConfig, TaskConfig, TrainingConfig
from snn_ssm.reading import read_regular
from snn_ssm.tasks.base import (
    DataError,
    Samples,
    arranged,
    gated_spiking_units,
    locate,
    make_folder,
    order,
    read_file,
    read_label,
    read_npz,
)
from snn_ssm.tasks.pictures import decode
from snn_ssm.tasks.ragged import write_npz

CLASSES = ("apart", "connected")
OFFICIAL = "curv_contour_length_14"
# As many as Long Range Arena has; of the large pictures an eighth, which take minutes to draw.
COUNTS = {
    32: {"train": 160_000, "val": 20_000, "test": 20_000},
    128: {"train": 20_000, "val": 2_000, "test": 2_000},
}
_SEEDS = {"train": 0, "val": 1, "test": 2}
_SPLIT_SEED = 0
_SHARES = {"train": (0.0, 0.8), "val": (0.8, 0.9), "test": (0.9, 1.0)}


def read_metadata(folder: Path) -> tuple[list[str], NDArray[np.int64]]:
    """The pictures' paths in an official folder, and their labels; raises :class:`DataError`."""
    files = [path for path in (folder / "metadata").glob("*.npy") if path.stem.isdigit()]
    paths, labels = [], []
    for file in sorted(files, key=lambda path: int(path.stem)):
        for number, line in enumerate(read_file(file).splitlines(), start=1):
            try:
                directory, name, _, label = line.decode("ascii").split()[:4]
                if ".." in f"{directory}/{name}".split("/") or directory.startswith("/"):
                    raise ValueError("a path that leads elsewhere")
                labels.append(read_label(label))
            except ValueError as error:
                raise DataError(
                    f"{file}, line {number}: {line[:60]!r}; expected 'imgs/0 sample_0.png 0 1 "
                    "...': folder, file, number and label. Unpack the archive again."
                ) from error
            paths.append(f"{directory}/{name}")
    if not paths:
        raise DataError(
            f"{folder / 'metadata'} lists no picture; expected text files 0.npy, 1.npy ... Unpack "
            "the archive again."
        )
    return paths, np.array(labels, np.int64)


@dataclass(frozen=True)
class Pathfinder:
    """Pictures of dashed paths, ``side`` pixels wide and high, read pixel by pixel."""

    name: str
    side: int
    classes: tuple[str, ...] = CLASSES

    @property
    def folder(self) -> str:
        """Where the data directory keeps it."""
        return f"pathfinder{self.side}"

    def config(self) -> Config:
        """A causal GSU, for two cores if it starts from a model of easier pictures; from random
        weights it stays at chance for longer. Path-X with slower modes, a part of the pictures.
        """
        steps = self.side**2
        if self.side == 32:
            return Config(
                task=TaskConfig(self.name, steps, train_samples=160_000),
                model=gated_spiking_units(classes=2, dt_min=2e-3, dt_max=0.2),
                training=TrainingConfig(epochs=1, rate=4e-3, mode_rate=4e-3),
            )
        return Config(
            task=TaskConfig(self.name, steps, train_samples=8_000),
            model=ModelConfig(
                classes=2, surrogate="arctan", surrogate_slope=2.0, dt_min=1e-4, dt_max=1e-2
            ),
            training=TrainingConfig(epochs=1, batch_size=16, rate=2e-3, mode_rate=5e-4),
        )

    def load(self, data: Path, split: str, task: TaskConfig) -> Samples:
        """Pixels (B, 1, side^2) uint8 and labels (B,)."""
        official = locate(data, self.folder, OFFICIAL)
        made = locate(data, self.folder, f"{self.folder}-{split}.npz")
        if official is not None:
            pixels, labels = self._official(official, split, task)
            source = ""
        elif made is not None:
            pixels, labels = self._made(made, split, task)
            source = "own generator"
        else:
            raise DataError(
                f"neither {OFFICIAL} nor {self.folder}-{split}.npz is in {data} or "
                f"{data / self.folder}. Draw the pictures: 'snn-ssm train {self.name} --download "
                f"--data {data}', which takes minutes."
            )
        return arranged(pixels.reshape(len(labels), 1, -1), labels, task, len(CLASSES), source)

    def _official(
        self, folder: Path, split: str, task: TaskConfig
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        paths, labels = read_metadata(folder)
        mixed = np.random.default_rng(_SPLIT_SEED).permutation(len(paths))
        start, end = (round(share * len(paths)) for share in _SHARES[split])
        index = mixed[start:end]
        index = index[order(len(index), split, task)]
        try:
            pictures = ((paths[i], read_regular(folder / paths[i])) for i in index)
            return decode(pictures, len(index), self.side), labels[index]
        except FileNotFoundError as error:
            raise DataError(f"{error.filename} is missing. Unpack the archive again.") from error
        except OSError as error:
            raise DataError(
                f"a picture cannot be read ({error}). Unpack the archive again."
            ) from error

    def _made(
        self, path: Path, split: str, task: TaskConfig
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        stored = read_npz(path, "Pathfinder", {"images": "(B, side, side)", "labels": "(B,)"})
        images, labels = stored["images"], stored["labels"]
        if images.dtype != np.uint8 or labels.dtype.kind not in "iu" or labels.ndim != 1:
            raise DataError(
                f"{path} has images of {images.dtype} and labels of {labels.dtype} and shape "
                f"{labels.shape}; expected uint8, and integers (B,). Remove the file and make it "
                "again."
            )
        if images.shape != (len(labels), self.side, self.side):
            raise DataError(
                f"{path} has images of shape {images.shape} and {len(labels)} labels; expected "
                f"(B, {self.side}, {self.side}). Remove the file and make it again."
            )
        index = order(len(labels), split, task)
        return images[index], labels[index]

    def download(self, data: Path) -> None:
        """Draw the splits that are missing, always the same pictures."""
        from snn_ssm.tasks.dashed_paths import DRAWING_32, DRAWING_128, generate

        drawing = {32: DRAWING_32, 128: DRAWING_128}[self.side]
        if locate(data, self.folder, OFFICIAL) is not None:
            return
        for split, count in COUNTS[self.side].items():
            name = f"{self.folder}-{split}.npz"
            if locate(data, self.folder, name) is None:
                folder = make_folder(data / self.folder)
                rng = np.random.default_rng(_SEEDS[split])
                images, labels = generate(rng, count, drawing)
                write_npz(folder / name, {"images": images, "labels": labels})


PATHFINDER = Pathfinder("pathfinder", 32)
PATH_X = Pathfinder("path-x", 128)
