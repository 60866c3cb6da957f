"""What a user's file or folder holds, however it was stored: samples filled up to one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig
from snn_ssm.tasks.base import DataError, Samples, check_groups, require_room, whole_lengths
from snn_ssm.tasks.checks import MOST_CLASSES

_TOO_LONG = "All are as long as the longest in memory: cut that one, or give fewer samples."


@dataclass(frozen=True)
class Recordings:
    """``inputs`` (B, C, L), ``lengths`` (B,) or None, and what is to be answered, if it is known.

    ``answers``: labels, integers or text, or targets, real, of the shapes of :class:`Samples`.
    ``names``: of classes, labels or values; ``sample_rate``: in Hz, 0 where it is not known;
    ``where``: the file or folder, for messages; ``sensor``: width and height, of events;
    ``groups`` (B,): as :class:`Samples` has them; ``encoded``: by what the inputs were encoded
    before they were stored, as :mod:`snn_ssm.tasks.own.encoded` has it; "": not. ``channels``: the
    names of the inputs, where a table has them; ``written``: whether labels that are integers were
    written as text, and so may be names. ``at_steps``: the answers at each step, where a table has
    them there and they are the same in all of a sample. ``samples``: their names, where the data
    have any.
    """

    where: Path
    inputs: NDArray[np.generic]
    lengths: NDArray[np.int64] | None = None
    answers: NDArray[Any] | None = None
    names: tuple[str, ...] = ()
    sample_rate: float = 0.0
    sensor: tuple[int, ...] = ()
    groups: NDArray[Any] | None = None
    encoded: str = ""
    channels: tuple[str, ...] = ()
    written: bool = False
    at_steps: NDArray[Any] | None = None
    samples: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def longest(self) -> int:
        """The steps of the longest sample."""
        return self.inputs.shape[-1] if self.lengths is None else int(self.lengths.max())

    @property
    def are_targets(self) -> bool:
        """Whether the answers are values and not labels."""
        return self.answers is not None and self.answers.dtype.kind == "f"


def each_step(found: Recordings) -> bool:
    """Whether answers have the axes of those at each step; labels of (B, K) have them, too."""
    axes = 3 if found.are_targets else 2
    return found.answers is not None and found.answers.ndim == axes


def by_name(found: Recordings, columns: Sequence[str]) -> Recordings:
    """The recordings with the channels in the order ``columns``, where both have names.

    Raises :class:`DataError` for other channels.
    """
    if not columns or not found.channels:
        return found
    if set(columns) != set(found.channels):
        raise DataError(
            f"{found.where} has the channels {', '.join(found.channels)}; expected those of "
            f"task.columns, which were trained on, in any order: {', '.join(columns)}. Rename, add "
            "or leave out columns."
        )
    order = [found.channels.index(name) for name in columns]
    return replace(found, inputs=found.inputs[:, order], channels=tuple(columns))


def filled_up(items: Sequence[NDArray[Any]], where: Path) -> tuple[NDArray[Any], Any]:
    """Items of (n, ...) each, of one type, as (B, L, ...), 0 behind their ends, and lengths (B,).

    Raises :class:`DataError` for an item without a step, for items of other shapes behind their
    first axis, and for more than memory holds.
    """
    lengths = np.array([len(item) for item in items], np.int64)
    shapes = {item.shape[1:] for item in items}
    if not len(items) or lengths.min() < 1 or len(shapes) != 1:
        found = f"{len(items)} samples" if not len(items) else (
            f"sample {int(lengths.argmin())} without a step" if lengths.min() < 1
            else f"samples of {' and '.join(str(shape) for shape in sorted(shapes))} channels"
        )
        raise DataError(
            f"{where} has {found}; expected samples of a step at least, all of the same channels. "
            "Correct the file, or leave that sample out."
        )
    dtype = np.result_type(*{item.dtype for item in items})
    shape = (len(items), int(lengths.max()), *shapes.pop())
    require_room(shape, dtype.itemsize, f"the samples of {where}", _TOO_LONG)
    found_array = np.zeros(shape, dtype)
    for row, item in zip(found_array, items, strict=True):
        row[: len(item)] = item
    return found_array, lengths


def by_channel(values: NDArray[Any]) -> NDArray[Any]:
    """(B, L, C) or, of one channel, (B, L) -> (B, C, L)."""
    wide = values[..., None] if values.ndim == 2 else values
    return np.ascontiguousarray(wide.transpose(0, 2, 1))


def check_recordings(found: Recordings) -> Recordings:
    """The recordings, in the machine's byte order, with whole lengths; raises :class:`DataError`.
    """
    path, inputs, answers = found.where, found.inputs, found.answers
    if inputs.ndim != 3 or (answers is not None and answers.shape[:1] != inputs.shape[:1]):
        other = "" if answers is None else f" and labels {answers.shape}"
        raise DataError(
            f"{path}: inputs have shape {inputs.shape}{other}; expected (B, C, L) and (B,), or of "
            "ragged samples (steps, C) with offsets (B + 1,). Make the file again."
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
    if answers is not None:
        _check_answers(path, answers, -1 if answers.ndim == 2 or found.written else 0)
    try:
        lengths = None if found.lengths is None else whole_lengths(found.lengths, inputs)
        if found.groups is not None:
            check_groups(found.groups, len(inputs))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return replace(found, inputs=_native(inputs), lengths=lengths)


def _native(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("="), copy=False)  # torch takes no other


def _check_answers(path: Path, answers: NDArray[Any], least: int) -> None:
    if answers.dtype.kind == "f":
        if not np.isfinite(answers).all() or answers.ndim > 3:
            raise DataError(
                f"{path}: targets of shape {answers.shape} are not all finite numbers of a sample, "
                "(B, K), or of a step, (B, K, L). Make the file again."
            )
        return
    if answers.dtype.kind in "iu" and (answers.min() < least or answers.max() >= MOST_CLASSES):
        low = answers.dtype.kind == "i" and answers.min() < least
        extreme = f"the least is {answers.min()}" if low else f"the largest is {answers.max()}"
        raise DataError(
            f"{path}: labels are integers from 0 on, but {extreme}. Make the file again."
        )


def numbered(found: Recordings, classes: Sequence[str]) -> Recordings:
    """The recordings with labels of text as the numbers of ``classes``; raises :class:`DataError`.

    Where a class has a number for its name, so have labels that were written as numbers.
    """
    answers = found.answers
    named = any(name.isascii() and name.isdigit() for name in classes)
    if answers is not None and answers.dtype.kind == "i" and found.written and named:
        answers = np.where(answers < 0, "", answers.astype(np.str_))
    if answers is None or answers.dtype.kind in "iuf":
        return found
    if answers.dtype.kind != "U" or not classes:
        raise DataError(
            f"{found.where}: labels are integers from 0 on, but they are {answers.dtype}. Name the "
            "classes (task.classes, or an array names), or make the file again."
        )
    at = {name: k for k, name in enumerate(classes)}
    if answers.ndim == 2:
        at[""] = -1  # a step that has no label
    unknown = sorted(set(np.unique(answers).tolist()) - set(at))
    if unknown:
        raise DataError(
            f"{found.where} has the label {unknown[0]!r}; expected one of {', '.join(classes)}. "
            "Correct task.classes, or make the file again."
        )
    numbers = np.array([at[name] for name in answers.ravel().tolist()], np.int64)
    return replace(found, answers=numbers.reshape(answers.shape))


def answering(found: Recordings, each_step: bool) -> Recordings:
    """The recordings with their answers at each step, where that is asked for and they have any."""
    answers = found.at_steps if each_step and found.at_steps is not None else found.answers
    return replace(found, answers=answers, at_steps=None)


def _check_labelled(found: Recordings) -> None:
    """Raise :class:`DataError` for a sample of a table that has no label."""
    answers = found.answers
    if answers is None or answers.ndim != 1 or answers.dtype.kind not in "iU":
        return
    missing = answers == ("" if answers.dtype.kind == "U" else -1)
    if missing.any():
        raise DataError(
            f"recording {int(missing.argmax())} of {found.where} has an empty label. Fill it in, "
            "or leave that recording out."
        )


def to_samples(found: Recordings, classes: Sequence[str], source: str) -> Samples:
    """The samples of recordings that have answers; raises :class:`DataError` where they have none.
    """
    if classes and found.names and tuple(classes) != found.names:
        raise DataError(
            f"{found.where} has the names {', '.join(found.names)}, and task.classes are "
            f"{', '.join(classes)}. Correct task.classes, or make the file again."
        )
    _check_labelled(found)
    found = numbered(found, classes or found.names)
    answers = found.answers
    if answers is None:
        raise DataError(
            f"{found.where} has neither labels nor targets; expected one of them. Add it, or ask "
            "for answers only: snn-ssm predict."
        )
    if found.are_targets:
        wide = answers[:, None] if answers.ndim == 1 else answers
        labels = wide.transpose(0, 2, 1) if wide.ndim == 3 else wide  # (B, L, K) or (B, K)
        labels = np.ascontiguousarray(labels, np.float64)
    else:
        labels = answers.astype(np.int64)
    return Samples(
        found.inputs, labels, source, found.lengths, tuple(classes) or found.names,
        found.sample_rate, found.groups,
    )


def fitted(found: Recordings, task: TaskConfig) -> Recordings:
    """The recordings filled up with 0, or cut behind their longest, to ``task.steps`` steps.

    Raises :class:`DataError` for a sample that is longer.
    """
    steps, length = task.steps, found.inputs.shape[-1]
    if length == steps:
        return found
    lengths = found.lengths
    if lengths is None:
        lengths = np.full(len(found), length, np.int64)
    if lengths.max() > steps:
        b = int(lengths.argmax())
        raise DataError(
            f"sample {b} of {found.where} has {lengths[b]} steps, but task.steps is {steps}. Cut "
            f"it, or train with --set task.steps={lengths[b]}."
        )
    return replace(
        found, inputs=_to_steps(found.inputs, steps, 0), lengths=lengths,
        answers=_steps_of_answers(found, length, steps),
    )


def _to_steps(values: NDArray[Any], steps: int, fill: int) -> NDArray[Any]:
    """(..., L) -> (..., steps)."""
    made = np.full((*values.shape[:-1], steps), fill, values.dtype)
    count = min(steps, values.shape[-1])
    made[..., :count] = values[..., :count]
    return made


def _steps_of_answers(found: Recordings, length: int, steps: int) -> NDArray[Any] | None:
    answers = found.answers
    if answers is None or not each_step(found) or answers.shape[-1] != length:
        return answers  # of the sample, as labels of which any may hold
    return _to_steps(answers, steps, 0 if found.are_targets else -1)
