"""Tasks: one file each, the data, its encoding and its default configuration. Imports no torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pynn_models.registry import Registry
from snn_ssm.config import TaskConfig
from snn_ssm.tasks import own
from snn_ssm.tasks.base import (
    DataError,
    Samples,
    Task,
    data_directory,
    order,
)
from snn_ssm.tasks.bits import N_DMS, N_PARITY
from snn_ssm.tasks.holding import held_out, holds_out, setting
from snn_ssm.tasks.image import IMAGE
from snn_ssm.tasks.listops import LISTOPS
from snn_ssm.tasks.mitbih import MITBIH, MITBIH_INTERVALS
from snn_ssm.tasks.mnist import PSMNIST, SMNIST
from snn_ssm.tasks.own import OWN, read_samples
from snn_ssm.tasks.pathfinder import PATH_X, PATHFINDER
from snn_ssm.tasks.retrieval import RETRIEVAL
from snn_ssm.tasks.text import TEXT

TASKS: Registry[Task] = Registry(
    "task", SMNIST, PSMNIST, IMAGE, LISTOPS, TEXT, RETRIEVAL, PATHFINDER, PATH_X, MITBIH,
    MITBIH_INTERVALS, N_PARITY, N_DMS, OWN,
)  # fmt: skip


def get_task(name: str) -> Task:
    """The task of that name; raises :class:`DataError` listing the known ones."""
    if name not in TASKS:
        raise DataError(f"unknown task {name!r}; known: {', '.join(TASKS)}.")
    return TASKS[name]


def load_samples(
    data: Path | None, split: str, task: TaskConfig, *, each_step: bool = False
) -> Samples:
    """A task's samples from a data directory, or a user's own from files of their own.

    ``data`` None: ``$SNN_SSM_DATA``. ``split``: ``train``, ``test`` or ``valid``. Own samples are a
    file, or a directory with a ``train`` and a ``test``, each as :mod:`snn_ssm.tasks.own` reads
    them; their steps are not permuted. A file has no splits: it is all of each. With
    ``task.valid_samples`` or ``task.valid_fold`` some training samples are held out and are
    ``valid`` (:mod:`snn_ssm.tasks.holding`); without, only own samples have a ``valid``.
    ``each_step``: the model answers each step (``model.each_step``), and so is a table read whose
    labels or targets are the same in all of a sample. Raises :class:`DataError`.
    """
    path = data_directory(data)
    if path.is_file():
        return own_file(path, task, each_step=each_step)
    mine = own.splits(path)
    if holds_out(task) and "valid" in mine:
        raise DataError(
            f"{path} has samples to validate with, {mine['valid'].name}, and {setting(task)}. "
            "Leave one of them out."
        )
    if split == "valid" and holds_out(task):
        whole = replace(task, valid_samples=0, valid_fold="")
        return held_out(load_samples(data, "train", whole, each_step=each_step), task, True)
    if not mine:
        samples = get_task(task.name).load(path, split, task)
    elif split not in mine:
        raise DataError(
            f"{path} has a {next(iter(mine.values())).name} but no {split}.npz; expected both. Add "
            "it, or give the directory of the data sets as --data."
        )
    else:
        source = f"{path.name}/{mine[split].name}"
        samples = own.load(mine[split], source, task, each_step=each_step)
        samples = samples.take(order(len(samples), split, task))
    return held_out(samples, task, False) if split == "train" and holds_out(task) else samples


def has_valid(data: Path | None, task: TaskConfig) -> bool:
    """Whether there are samples to validate with."""
    path = data_directory(data)
    return holds_out(task) or (not path.is_file() and "valid" in own.splits(path))


def own_file(path: Path, task: TaskConfig, *, each_step: bool = False) -> Samples:
    """The samples of one file of a user's; raises :class:`DataError`."""
    return own.load(path, path.name, task, each_step=each_step)


def class_names(task: TaskConfig, count: int) -> tuple[str, ...]:
    """What a model's ``count`` classes, labels or values are called: numbers where nobody says."""
    known = TASKS.get(task.name)
    names = task.classes or (known.classes if known is not None else ())
    return names if len(names) == count else tuple(str(k) for k in range(count))


__all__ = [
    "TASKS",
    "DataError",
    "Samples",
    "Task",
    "class_names",
    "data_directory",
    "get_task",
    "has_valid",
    "load_samples",
    "read_samples",
]
