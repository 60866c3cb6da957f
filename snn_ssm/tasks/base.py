"""What a task offers to training and to the deployment side."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
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
    """``inputs`` (B, C, L): what the encoder reads at each step; ``labels``: what to answer.

    ``labels``: (B,) int64 of classes; (B, L) int64 of a class a step, -1 where there is none;
    (B, K) of labels that hold, 0 or 1; of values (B, K), or (B, L, K) at each step, float64.
    ``lengths`` (B,) int64: the steps of each sample that count, 1 to L, the others fill it up;
    None: all of all. ``names``: of the classes, labels or values, where the data have them;
    ``sample_rate``: in Hz, 0 where the data do not say. ``groups`` (B,), integers or texts: what
    samples have in common that are held out together, such as a patient; None: nothing. ``source``
    names the data where they are not those that published results are of.
    Tensors and lists become arrays; raises :class:`DataError` for what cannot, and for lengths or
    groups that are none.
    """

    inputs: NDArray[np.generic]
    labels: NDArray[Any]
    source: str = ""
    lengths: NDArray[np.int64] | None = None
    names: tuple[str, ...] = ()
    sample_rate: float = 0.0
    groups: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        for name in ("inputs", "labels", "lengths", "groups"):
            value = getattr(self, name)
            if value is None and name in ("lengths", "groups"):
                continue
            try:
                object.__setattr__(self, name, np.asarray(value))
            except (TypeError, ValueError, RuntimeError) as error:
                raise DataError(
                    f"{name} are no array ({error}); expected numbers. Give a NumPy array, for "
                    "example tensor.detach().cpu().numpy()."
                ) from error
        if self.lengths is not None:
            object.__setattr__(self, "lengths", whole_lengths(self.lengths, self.inputs))
        if self.groups is not None:
            check_groups(self.groups, len(self.inputs))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def mean_steps(self) -> float:
        """How many steps of a sample count, on average: L where all do."""
        return self.inputs.shape[-1] if self.lengths is None else float(self.lengths.mean())

    def take(self, index: slice | NDArray[np.int64]) -> Samples:
        """The samples of these numbers."""
        lengths = None if self.lengths is None else self.lengths[index]
        groups = None if self.groups is None else self.groups[index]
        return replace(
            self, inputs=self.inputs[index], labels=self.labels[index], lengths=lengths,
            groups=groups,
        )

    def head(self, count: int | None) -> Samples:
        """The first ``count`` samples (all for None)."""
        return self.take(slice(count))

    def digest(self) -> str:
        """SHA-256 of types, shapes and values: whether two runs had the same samples."""
        found = hashlib.sha256()
        for array in (self.inputs, self.labels, self.lengths):
            if array is None:
                continue
            found.update(f"{array.dtype.str} {array.shape} ".encode())
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


def whole_lengths(
    lengths: NDArray[Any], inputs: NDArray[np.generic]
) -> NDArray[np.int64] | None:
    """Lengths (B,) of inputs (B, C, L), 1 to L each; None where all are L.

    Raises :class:`DataError`.
    """
    samples, steps = len(inputs), inputs.shape[-1]
    if lengths.shape != (samples,) or lengths.dtype.kind not in "iu":
        raise DataError(
            f"lengths are of {lengths.dtype} and shape {lengths.shape}; expected an integer a "
            f"sample, ({samples},). Correct them, or leave them out where no sample is filled up."
        )
    found = lengths.astype(np.int64)
    wrong = np.flatnonzero((found < 1) | (found > steps))
    if len(wrong):
        raise DataError(
            f"lengths[{wrong[0]}] is {found[wrong[0]]}; expected 1 to {steps}, the steps that the "
            "inputs have. Correct it, or leave out that sample."
        )
    return None if (found == steps).all() else found


def check_groups(groups: NDArray[Any], samples: int) -> None:
    """Raise :class:`DataError` where groups are not an integer or a text a sample."""
    if groups.shape != (samples,) or groups.dtype.kind not in "iuU":
        raise DataError(
            f"groups are of {groups.dtype} and shape {groups.shape}; expected an integer or a text "
            f"a sample, ({samples},). Correct them, or leave them out."
        )


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


def require_room(
    shape: tuple[int, ...], itemsize: int, what: str,
    remedy: str = "Lower task.steps or task.train_samples.",
) -> None:
    """Raise :class:`DataError` where an array of that shape would not fit into memory."""
    size, room = math.prod(shape) * itemsize, memory()
    if size > room:
        raise DataError(
            f"{what} would take {size} bytes as an array of shape {shape}; expected no more than "
            f"{room}, half of the memory. {remedy}"
        )


def read_npz(
    path: Path, what: str, arrays: Mapping[str, str], *, strict: bool = False,
    optional: Collection[str] = (), fields: bool = False,
) -> dict[str, NDArray[Any]]:
    """The named arrays of an ``.npz``; no pickle. ``arrays``: what each is, in words.

    ``strict``: it holds no others, but for those ``optional`` ones that are there; ``fields``:
    arrays may have fields by name. Raises :class:`DataError`.
    """
    try:
        return read_arrays(Path(path), arrays, strict=strict, optional=optional, fields=fields)
    except (OSError, ValueError) as error:
        expected = ", ".join(f"{name} {meaning}" for name, meaning in arrays.items())
        raise DataError(
            f"{path} cannot be read as {what} ({error}); expected an .npz file with {expected}. "
            "Fetch or make the file again."
        ) from error


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


def _check_classes(labels: NDArray[Any], classes: int, what: str) -> None:
    """Raise :class:`DataError` where a label, of any shape, is none of ``classes``."""
    wrong = np.argwhere((labels < 0) | (labels >= classes))
    if len(wrong):
        raise DataError(
            f"sample {wrong[0][0]} of {what} has the label {labels[tuple(wrong[0])]}; expected "
            f"0 to {classes - 1}. Fetch or make the data again, or correct model.classes."
        )


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


def arranged(
    inputs: NDArray[np.generic],
    labels: NDArray[Any],
    task: TaskConfig,
    classes: int,
    source: str = "",
    groups: NDArray[Any] | None = None,
) -> Samples:
    """Samples as the configuration asks for them: steps in the order of ``task.permutation``,
    every ``task.stride``-th of them.

    ``inputs`` (B, C, L), ``labels`` (B,), ``groups`` (B,) or None. Raises :class:`DataError` where
    L is not ``task.steps`` or a label is none of ``classes``.
    """
    _check_classes(labels, classes, f"task {task.name!r}")
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
    return Samples(inputs, labels.astype(np.int64), source, groups=groups)


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
