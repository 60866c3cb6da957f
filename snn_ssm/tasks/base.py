"""What a task offers to training and to the deployment side."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pynn_models.errors import SnnSsmError
from snn_ssm.config import Config, TaskConfig

DATA_VARIABLE = "SNN_SSM_DATA"


class DataError(SnnSsmError):
    """A data file is missing, of the wrong size or checksum, or no data directory is known."""


@dataclass(frozen=True)
class Samples:
    """``inputs`` (B, C, L): what the encoder reads at each step; ``labels`` (B,) int64."""

    inputs: NDArray[np.generic]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def head(self, count: int | None) -> Samples:
        """The first ``count`` samples (all for None)."""
        return Samples(self.inputs[:count], self.labels[:count])


def read_samples(path: Path) -> Samples:
    """Samples from an ``.npz`` with ``inputs`` (B, C, L) and ``labels`` (B,); no pickle.

    Raises :class:`DataError`.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            inputs, labels = stored["inputs"], stored["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} cannot be read as samples ({error}); expected an .npz file with the arrays "
            "inputs (B, C, L) and labels (B,)."
        ) from error
    if inputs.ndim != 3 or labels.shape != inputs.shape[:1]:
        raise DataError(
            f"{path}: inputs have shape {inputs.shape} and labels {labels.shape}; expected "
            "(B, C, L) and (B,)."
        )
    return Samples(inputs, labels.astype(np.int64))


class Task(Protocol):
    """A task by its name: a default configuration and the samples of a split."""

    @property
    def name(self) -> str:
        """The name that the command line and the configuration use."""

    def config(self) -> Config:
        """The configuration that ``snn-ssm train`` uses where none is given."""

    def load(self, data: Path, split: str, task: TaskConfig) -> Samples:
        """The samples of ``train`` or ``test``; raises :class:`DataError`."""

    def download(self, data: Path) -> None:
        """Fetch the task's files into ``data``, verifying checksums."""


def data_directory(data: Path | None) -> Path:
    """``--data``, else ``$SNN_SSM_DATA``; raises :class:`DataError` where neither is given."""
    found = data or os.environ.get(DATA_VARIABLE)
    if not found:
        raise DataError(
            f"no data directory: give --data DIR or set ${DATA_VARIABLE} to the directory that "
            "holds (or shall hold) the data sets."
        )
    return Path(found)
