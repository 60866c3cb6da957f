"""Sequential MNIST: one 8-bit pixel a step, 784 steps; permuted for ``psmnist``."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import Config, ModelConfig, TaskConfig, TrainingConfig
from snn_ssm.files import write_atomic
from snn_ssm.reading import drain
from snn_ssm.tasks.base import (
    DataError,
    Samples,
    arranged,
    gated_spiking_units,
    make_folder,
    order,
    read_file,
)

STEPS = 784
CLASSES = tuple("0123456789")
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_PERMUTATION_SEED = 1
_MORE = 2**20  # bytes that are unpacked, beyond those expected, to say how many there are


@dataclass(frozen=True)
class IdxFile:
    """One of the standard files: its shape, and the SHA-256 of its uncompressed content."""

    name: str
    shape: tuple[int, ...]
    digest: str


FILES = {
    "train": (
        IdxFile(
            "train-images-idx3-ubyte",
            (60000, 28, 28),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60000,),
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
    ),
    "test": (
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10000, 28, 28),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10000,),
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
}


def find(data: Path, file: IdxFile) -> Path:
    """The file in ``data`` or ``data/mnist``, compressed or not."""
    names = [d / f"{file.name}{end}" for d in (data, data / "mnist") for end in (".gz", "")]
    for path in names:
        if path.is_file():
            return path
    raise DataError(
        f"{file.name}.gz is in neither {data} nor {data / 'mnist'}. Put the four standard MNIST "
        f"idx files there, or let 'snn-ssm train --download --data {data}' fetch them."
    )


def read_idx(path: Path, shape: tuple[int, ...], digest: str = "") -> NDArray[np.uint8]:
    """An idx file of unsigned bytes of exactly ``shape``; ``path`` may be gzipped.

    ``digest``: the SHA-256 that its uncompressed content must have, where one is known. Raises
    :class:`DataError`.
    """
    header = struct.pack(f">I{len(shape)}I", 0x0800 + len(shape), *shape)
    size = len(header) + int(np.prod(shape))
    raw = read_file(path)
    try:
        packed = path.suffix == ".gz"
        content = drain(gzip.GzipFile(fileobj=io.BytesIO(raw)), size + _MORE) if packed else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}). Fetch the file again.") from error
    if len(content) != size or not content.startswith(header):
        raise DataError(
            f"{path} is no idx file of shape {shape}: it has {len(content)} bytes, expected "
            f"{size} starting with the header {header.hex()}. Fetch the file again."
        )
    found = hashlib.sha256(content).hexdigest()
    if digest and found != digest:
        raise DataError(
            f"{path} is not MNIST's: its SHA-256 (uncompressed) is {found}, expected {digest}. "
            "Fetch the file again; other pictures of this size, such as Fashion-MNIST, are data "
            "of your own: write train.npz and test.npz with inputs (B, 1, 784) and labels (B,)."
        )
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _fetch(file: IdxFile, data: Path) -> None:
    url = f"{MIRROR}{file.name}.gz"
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            packed = response.read()
        content = gzip.decompress(packed)
    except (urllib.error.URLError, OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"cannot download {url} ({error}). Fetch it elsewhere and put it into {data}."
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.digest:
        raise DataError(
            f"{url} has SHA-256 {digest} (uncompressed), expected {file.digest}; nothing was "
            f"written. Fetch the file elsewhere and put it into {data}."
        )
    write_atomic(data / f"{file.name}.gz", packed)


@dataclass(frozen=True)
class SequentialMnist:
    """MNIST read pixel by pixel, in the order that the task's configuration holds."""

    name: str
    permuted: bool
    classes: tuple[str, ...] = CLASSES

    def config(self) -> Config:
        """The configuration of the shipped checkpoint; for ``psmnist`` a GSU."""
        if self.permuted:
            order = np.random.default_rng(_PERMUTATION_SEED).permutation(STEPS)
            return Config(
                task=TaskConfig(self.name, STEPS, tuple(int(i) for i in order)),
                model=gated_spiking_units(dt_min=2e-3, dt_max=0.2, dropout=0.05),
                training=TrainingConfig(epochs=18, rate=1e-2, mode_rate=4e-3),
            )
        # The paper's surrogate, a fast sigmoid of slope 25, is narrow against membranes of this
        # size: with it (and twice the rates) training accuracy was 95.1 % after four epochs, with
        # the arctangent 97.6 %.
        return Config(
            model=ModelConfig(surrogate="arctan", surrogate_slope=2.0),
            training=TrainingConfig(epochs=11, rate=5e-3),
        )

    def load(self, data: Path, split: str, task: TaskConfig) -> Samples:
        """Pixels (B, 1, 784) uint8 and labels (B,)."""
        images_file, labels_file = FILES[split]
        images = read_idx(find(data, images_file), images_file.shape, images_file.digest)
        labels = read_idx(find(data, labels_file), labels_file.shape, labels_file.digest)
        index = order(len(labels), split, task)
        pixels = images.reshape(-1, 1, STEPS)[index]  # (B, 1, L)
        return arranged(pixels, labels[index], task, len(CLASSES))

    def download(self, data: Path) -> None:
        """Fetch the files that are missing, each verified before it is written."""
        make_folder(data)
        for files in FILES.values():
            for file in files:
                try:
                    find(data, file)
                except DataError:
                    _fetch(file, data)


SMNIST = SequentialMnist("smnist", permuted=False)
PSMNIST = SequentialMnist("psmnist", permuted=True)
