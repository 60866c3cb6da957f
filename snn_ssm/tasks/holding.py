"""Which training samples are held out to validate with: of ``groups``, whole ones.

A group is what samples have in common that those to come will not: the patient, the speaker, the
device. Held out at random, samples of one patient train and validate, and the validation says how
well that patient is known, not how well another will be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig
from snn_ssm.tasks.base import DataError, Samples

_SEED = 3


def holds_out(task: TaskConfig) -> bool:
    """Whether a configuration holds out training samples."""
    return task.valid_samples > 0 or task.valid_fold != ""


def setting(task: TaskConfig) -> str:
    """The key that holds samples out and its value, for messages."""
    if task.valid_fold:
        return f"task.valid_fold is {task.valid_fold!r}"
    return f"task.valid_samples is {task.valid_samples}"


def held_out(samples: Samples, task: TaskConfig, valid: bool) -> Samples:
    """Of the training samples those held out to validate with, or the others, in their order.

    ``task.valid_fold = "I/K"``: part I of K, each sample in one of them (:func:`folds`).
    ``task.valid_samples``: so many samples, or whole groups of that many at least
    (:func:`_drawn`). Both are always the same. Raises :class:`DataError` where none would be left
    to train on, and for more parts than there are samples or groups.
    """
    if task.valid_fold:
        part, parts = map(int, task.valid_fold.split("/"))
        held = folds(samples, parts, task) == part - 1
    else:
        held = _drawn(samples, task)
    return samples.take(np.flatnonzero(held == valid))


def folds(samples: Samples, parts: int, task: TaskConfig) -> NDArray[np.int64]:
    """The part 0 ... ``parts - 1`` of each sample, (B,).

    Groups go, the largest first and of equal ones the first by name, each to the part that has the
    fewest samples so far. Without groups samples are dealt out in a shuffled order.
    """
    if samples.groups is None:
        count, of = len(samples), np.random.default_rng(_SEED).permutation(len(samples))
        if parts > count:
            raise _too_few(task, f"{count} training samples", parts)
        dealt = np.empty(count, np.int64)
        dealt[of] = np.arange(count) % parts
        return dealt
    names, of, sizes = np.unique(samples.groups, return_inverse=True, return_counts=True)
    if parts > len(names):
        raise _too_few(task, f"{_groups(names)} of training samples", parts)
    loads, placed = np.zeros(parts, np.int64), np.empty(len(names), np.int64)
    for group in np.argsort(-sizes, kind="stable"):
        placed[group] = loads.argmin()
        loads[placed[group]] += sizes[group]
    return placed[of]


def _drawn(samples: Samples, task: TaskConfig) -> NDArray[np.bool_]:
    """Which samples are held out, (B,): the last ``task.valid_samples`` of a shuffled order.

    Or the last groups of a shuffled order of groups, no more than it takes to have so many.
    """
    count, generator = len(samples), np.random.default_rng(_SEED)
    held = np.zeros(count, bool)
    if task.valid_samples >= count:
        raise DataError(
            f"{setting(task)}, but {task.name!r} has {count} training samples. Lower it, so that "
            "some are left to train on."
        )
    if samples.groups is None:
        held[generator.permutation(count)[count - task.valid_samples :]] = True
        return held
    names, of, sizes = np.unique(samples.groups, return_inverse=True, return_counts=True)
    backwards = generator.permutation(len(names))[::-1]
    enough = int(np.searchsorted(sizes[backwards].cumsum(), task.valid_samples)) + 1
    if enough == len(names):
        raise DataError(
            f"{setting(task)}, held out in whole groups, and {task.name!r} has {_groups(names)} of "
            f"{count} training samples, none of which would be left to train on. Lower it, or "
            "give samples more groups."
        )
    return np.isin(of, backwards[:enough])


def _groups(names: NDArray[np.generic]) -> str:
    return "one group" if len(names) == 1 else f"{len(names)} groups"


def _too_few(task: TaskConfig, found: str, parts: int) -> DataError:
    return DataError(
        f"{setting(task)}, but {task.name!r} has {found}; expected {parts} at least, one a part. "
        "Ask for fewer parts, or give more samples or groups."
    )
