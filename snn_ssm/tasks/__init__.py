"""Tasks: one file each, the data, its encoding and its default configuration. Imports no torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pynn_models.registry import Registry
from snn_ssm.config import TaskConfig
from snn_ssm.tasks.base import (
    DataError,
    Samples,
    Task,
    check_steps,
    data_directory,
    order,
    read_samples,
)
from snn_ssm.tasks.bits import N_DMS, N_PARITY
from snn_ssm.tasks.image import IMAGE
from snn_ssm.tasks.listops import LISTOPS
from snn_ssm.tasks.mitbih import MITBIH
from snn_ssm.tasks.mnist import PSMNIST, SMNIST
from snn_ssm.tasks.pathfinder import PATH_X, PATHFINDER
from snn_ssm.tasks.retrieval import RETRIEVAL
from snn_ssm.tasks.text import TEXT

TASKS: Registry[Task] = Registry(
    "task", SMNIST, PSMNIST, IMAGE, LISTOPS, TEXT, RETRIEVAL, PATHFINDER, PATH_X, MITBIH, N_PARITY,
    N_DMS,
)  # fmt: skip


def get_task(name: str) -> Task:
    """The task of that name; raises :class:`DataError` listing the known ones."""
    if name not in TASKS:
        raise DataError(f"unknown task {name!r}; known: {', '.join(TASKS)}.")
    return TASKS[name]


def load_samples(data: Path | None, split: str, task: TaskConfig) -> Samples:
    """A task's samples from a data directory, or a user's own from ``.npz`` files.

    ``data`` None: ``$SNN_SSM_DATA``. Own samples are a file, or a directory with ``train.npz`` and
    ``test.npz``; their steps are not permuted. A file has no splits: it is all of either. Raises
    :class:`DataError`.
    """
    path = data_directory(data)
    if path.suffix == ".npz":
        return _own(path, path.name, task)
    files = {name: path / f"{name}.npz" for name in ("train", "test")}
    found = [name for name, file in files.items() if file.exists()]
    if not found:
        return get_task(task.name).load(path, split, task)
    if split not in found:
        raise DataError(
            f"{path} has a {found[0]}.npz but no {split}.npz; expected both. Add it, or give the "
            "directory of the data sets as --data."
        )
    samples = _own(files[split], f"{path.name}/{split}.npz", task)
    chosen = order(len(samples), split, task)
    return replace(samples, inputs=samples.inputs[chosen], labels=samples.labels[chosen])


def _own(path: Path, source: str, task: TaskConfig) -> Samples:
    samples = read_samples(path)
    check_steps(samples.inputs, task)
    return replace(samples, source=source)


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
