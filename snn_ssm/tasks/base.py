"""What a task offers to training and to the deployment side."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pynn_models.errors import SnnSsmError
from snn_ssm.config import Config, ModelConfig, TaskConfig
from snn_ssm.npz import read_arrays
from snn_ssm.reading import memory, read_regular

DATA_VARIABLE = "SNN_SSM_DATA"
_ORDER_SEED = 2
_LABELS = 2**16  # classes of a model, at most


class DataError(SnnSsmError):
    """A data file is missing, of the wrong size or checksum, or no data directory is known."""


@dataclass(frozen=True)
class Samples:
    """``inputs`` (B, C, L): what the encoder reads at each step; ``labels`` (B,) int64.

    Tensors and lists become arrays; raises :class:`DataError` for what cannot.
    ``source`` names the data where they are not those that published results are of.
    """

    inputs: NDArray[np.generic]
    labels: NDArray[np.int64]
    source: str = ""

    def __post_init__(self) -> None:
        for name in ("inputs", "labels"):
            try:
                object.__setattr__(self, name, np.asarray(getattr(self, name)))
            except (TypeError, ValueError, RuntimeError) as error:
                raise DataError(
                    f"{name} are no array ({error}); expected numbers. Give a NumPy array, for "
                    "example tensor.detach().cpu().numpy()."
                ) from error

    def __len__(self) -> int:
        return len(self.labels)

    def head(self, count: int | None) -> Samples:
        """The first ``count`` samples (all for None)."""
        return Samples(self.inputs[:count], self.labels[:count], self.source)

    def digest(self) -> str:
        """SHA-256 of types, shapes and values: whether two runs had the same samples."""
        found = hashlib.sha256()
        for array in (self.inputs, self.labels):
            found.update(f"{array.dtype.str} {array.shape} ".encode())
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


def read_file(path: Path, limit: int | None = None) -> bytes:
    """The content of a regular file of at most ``limit`` bytes; raises :class:`DataError`."""
    try:
        return read_regular(path, limit)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}). Fetch the file again.") from error


def read_label(text: str | bytes) -> int:
    """A label written out; raises ``ValueError`` for no integer, or one that no class has."""
    label = int(text)
    if abs(label) >= _LABELS:
        raise ValueError(f"the label {label} is no class")
    return label


def require_room(shape: tuple[int, ...], itemsize: int, what: str) -> None:
    """Raise :class:`DataError` where an array of that shape would not fit into memory."""
    size, room = math.prod(shape) * itemsize, memory()
    if size > room:
        raise DataError(
            f"{what} would take {size} bytes as an array of shape {shape}; expected no more than "
            f"{room}, half of the memory. Lower task.steps or task.train_samples."
        )


def read_npz(
    path: Path, what: str, arrays: Mapping[str, str], *, strict: bool = False
) -> dict[str, NDArray[Any]]:
    """The named arrays of an ``.npz``; no pickle. ``arrays``: what each is, in words.

    ``strict``: it holds no others. Raises :class:`DataError`.
    """
    try:
        return read_arrays(Path(path), arrays, strict=strict)
    except (OSError, ValueError) as error:
        expected = ", ".join(f"{name} {meaning}" for name, meaning in arrays.items())
        raise DataError(
            f"{path} cannot be read as {what} ({error}); expected an .npz file with {expected}. "
            "Fetch or make the file again."
        ) from error


def read_samples(path: Path) -> Samples:
    """Samples from an ``.npz`` with ``inputs`` (B, C, L) and ``labels`` (B,); no pickle.

    An array of another name is refused: it may say what is not done here, such as ``lengths``.
    Inputs are finite numbers in the order in which the encoder reads them, labels 0, 1, ...; the
    file's name is their source. Raises :class:`DataError`.
    """
    arrays = {"inputs": "(B, C, L)", "labels": "(B,)"}
    stored = read_npz(path, "samples", arrays, strict=True)
    inputs, labels = stored["inputs"], stored["labels"]
    if inputs.ndim != 3 or labels.shape != inputs.shape[:1]:
        raise DataError(
            f"{path}: inputs have shape {inputs.shape} and labels {labels.shape}; expected "
            "(B, C, L) and (B,)."
        )
    if not inputs.size:
        raise DataError(
            f"{path} holds no samples: inputs have shape {inputs.shape}. Make the file again."
        )
    wide = inputs.dtype.itemsize > 8  # what torch has no type for
    if inputs.dtype.kind not in "biuf" or wide or not np.isfinite(inputs).all():
        raise DataError(
            f"{path}: inputs, of type {inputs.dtype}, are not all finite numbers. Make the file "
            "again."
        )
    integers = labels.dtype.kind in "iu"
    if not integers or labels.min() < 0 or labels.max() >= _LABELS:
        extreme = f"the least is {labels.min()}" if labels.dtype.kind == "i" else ""
        if integers and labels.max() >= _LABELS:
            extreme = f"the largest is {labels.max()}"
        found = extreme if integers else f"they are {labels.dtype}"
        raise DataError(
            f"{path}: labels are integers from 0 on, but {found}. Make the file again."
        )
    native = inputs.astype(inputs.dtype.newbyteorder("="), copy=False)  # torch takes no other
    return Samples(native, labels.astype(np.int64), path.name)


def gated_spiking_units(**settings: Any) -> ModelConfig:
    """The GSU that can be deployed: learned thresholds, batch norms. It needs few epochs."""
    recipe: dict[str, Any] = {
        "surrogate": "triangle",
        "surrogate_slope": 1.0,
        "membrane_norm": True,
        "activation": "ternary-constant",
        "mixing": "gsu",
        "gsu_norm": "batch",
    }
    return ModelConfig(**(recipe | settings))


def order(count: int, split: str, task: TaskConfig, *, mixed: bool = False) -> NDArray[np.int64]:
    """Which of a split's ``count`` samples are used, and in which order: indices.

    All in their natural order; where ``task.train_samples`` asks for a part of the training split,
    the first so many of a shuffled order that is always the same. ``mixed``: that order for all of
    both splits, so that the first samples of data sorted by class or patient stand for all.
    Raises :class:`DataError` where there are none, or fewer than asked for.
    """
    if count == 0:
        raise DataError(
            f"task {task.name!r} has no {split} samples; expected one at least. Fetch or make the "
            "data again."
        )
    wanted = task.train_samples if split == "train" else 0
    if wanted > count:
        raise DataError(
            f"task.train_samples is {wanted}, but {task.name!r} has {count} training samples. "
            "Lower it, or set it to 0 for all."
        )
    if not (wanted or mixed):
        return np.arange(count)
    shuffled = np.random.default_rng(_ORDER_SEED).permutation(count)
    return shuffled[: wanted or None]


def check_steps(inputs: NDArray[np.generic], task: TaskConfig) -> None:
    """Raise :class:`DataError` where samples (B, C, L) have other than ``task.steps`` steps."""
    if inputs.shape[-1] != task.steps:
        raise DataError(
            f"samples of task {task.name!r} have {inputs.shape[-1]} steps, but task.steps is "
            f"{task.steps}. Correct the configuration, or use other samples."
        )


def check_labels(labels: NDArray[Any], classes: int, what: str) -> None:
    """Raise :class:`DataError` where a label (B,) is none of ``classes``; ``what`` has them."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise DataError(
            f"sample {wrong[0]} of {what} has the label {labels[wrong[0]]}; expected "
            f"0 to {classes - 1}. Fetch or make the data again, or correct model.classes."
        )


def check_inputs(inputs: NDArray[np.generic], model: ModelConfig, what: str) -> None:
    """Raise :class:`DataError` where inputs (B, C, L) are not what the encoder is made for.

    Integers of 0 to ``2^input_bits - 1`` (linear encoder; any number for 0 bits), or symbols 0 to
    ``model.inputs - 1`` (embedding). ``what`` has them.
    """
    if model.encoder == "embedding":
        limit, remedy = model.inputs, "Correct model.inputs, or number the symbols from 0."
    else:
        limit = 2**model.input_bits if model.input_bits else 0
        remedy = "Set model.input_bits to 0 for real values, or quantise them."
    if not limit:
        return
    low, high = inputs.min(), inputs.max()
    whole = inputs.dtype.kind in "biu" or all(
        bool((sample == np.floor(sample)).all()) for sample in inputs
    )
    if low < 0 or high >= limit or not whole:
        raise DataError(
            f"the inputs of {what} are {'' if whole else 'not all '}integers, from {low} to {high};"
            f" expected integers from 0 to {limit - 1}. {remedy}"
        )


def check_samples(samples: Samples, model: ModelConfig, what: str) -> None:
    """Raise :class:`DataError` for samples with inputs or labels that a model is not made for."""
    check_labels(samples.labels, model.classes, what)
    check_inputs(samples.inputs, model, what)


def arranged(
    inputs: NDArray[np.generic],
    labels: NDArray[Any],
    task: TaskConfig,
    classes: int,
    source: str = "",
) -> Samples:
    """Samples as the configuration asks for them: steps in the order of ``task.permutation``,
    every ``task.stride``-th of them.

    ``inputs`` (B, C, L), ``labels`` (B,). Raises :class:`DataError` where L is not ``task.steps``
    or a label is none of ``classes``.
    """
    check_labels(labels, classes, f"task {task.name!r}")
    found = inputs.shape[-1]
    if -(-found // task.stride) != task.steps or len(task.permutation or range(found)) != found:
        read = "" if task.stride == 1 else f" of which every {task.stride}-th is read"
        raise DataError(
            f"samples of task {task.name!r} have {found} steps{read}, but task.steps is "
            f"{task.steps}. Correct the configuration, or use other samples."
        )
    if task.permutation:
        inputs = inputs[..., np.array(task.permutation)]
    inputs = np.ascontiguousarray(inputs[..., :: task.stride])
    return Samples(inputs, labels.astype(np.int64), source)


def locate(data: Path, folder: str, name: str) -> Path | None:
    """``name`` in ``data`` or in ``data/folder``; None where it is in neither."""
    found = (directory / name for directory in (data, data / folder))
    return next((path for path in found if path.exists()), None)


def make_folder(folder: Path) -> Path:
    """The folder, made where it is missing; raises :class:`DataError` where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"the folder {folder} cannot be made ({error.strerror}), and nothing was fetched or "
            "generated. Give a directory that can be written as --data."
        ) from error
    return folder


class Task(Protocol):
    """A task by its name: a default configuration and the samples of a split."""

    @property
    def name(self) -> str:
        """The name that the command line and the configuration use."""

    @property
    def classes(self) -> tuple[str, ...]:
        """What the labels 0, 1, ... stand for."""

    def config(self) -> Config:
        """The configuration that ``snn-ssm train`` uses where none is given."""

    def load(self, data: Path, split: str, task: TaskConfig) -> Samples:
        """The samples of ``train`` or ``test``; raises :class:`DataError`."""

    def download(self, data: Path) -> None:
        """Fetch or generate what ``data`` lacks; raises :class:`DataError` where that cannot be."""


def data_directory(data: Path | None) -> Path:
    """``--data``, else ``$SNN_SSM_DATA``; raises :class:`DataError` where neither is given."""
    found = data or os.environ.get(DATA_VARIABLE)
    if not found:
        raise DataError(
            f"no data directory: give --data DIR or set ${DATA_VARIABLE} to the directory that "
            "holds (or shall hold) the data sets."
        )
    return Path(found)
