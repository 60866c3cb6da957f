"""Tasks: one file each, the data, its encoding and its default configuration. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from snn_ssm.config import TaskConfig
from snn_ssm.tasks.base import (
    DataError,
    Samples,
    Task,
    check_steps,
    data_directory,
    read_samples,
)
from snn_ssm.tasks.image import IMAGE
from snn_ssm.tasks.listops import LISTOPS
from snn_ssm.tasks.mitbih import MITBIH
from snn_ssm.tasks.mnist import PSMNIST, SMNIST
from snn_ssm.tasks.pathfinder import PATH_X, PATHFINDER
from snn_ssm.tasks.retrieval import RETRIEVAL
from snn_ssm.tasks.text import TEXT

_ALL: tuple[Task, ...] = (
    SMNIST, PSMNIST, IMAGE, LISTOPS, TEXT, RETRIEVAL, PATHFINDER, PATH_X, MITBIH,
)
TASKS: dict[str, Task] = {task.name: task for task in _ALL}


def get_task(name: str) -> Task:
    """The task of that name; raises :class:`DataError` listing the known ones."""
    if name not in TASKS:
        raise DataError(f"unknown task {name!r}; known: {', '.join(TASKS)}.")
    return TASKS[name]


def load_samples(data: Path | None, split: str, task: TaskConfig) -> Samples:
    """A task's samples from a data directory, or those of an ``.npz`` file.

    ``data`` None: ``$SNN_SSM_DATA``. A file has no splits: it is all of any that is asked for, and
    its steps are not permuted. Raises :class:`DataError`.
    """
    path = data_directory(data)
    if path.suffix == ".npz":
        samples = read_samples(path)
        check_steps(samples.inputs, task)
        return samples
    return get_task(task.name).load(path, split, task)


__all__ = [
    "TASKS",
    "DataError",
    "Samples",
    "Task",
    "data_directory",
    "get_task",
    "load_samples",
    "read_samples",
]
