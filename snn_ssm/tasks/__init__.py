"""Tasks: one file each, the data, its encoding and its default configuration. Imports no torch."""

from __future__ import annotations

from snn_ssm.tasks.base import DataError, Samples, Task
from snn_ssm.tasks.mnist import PSMNIST, SMNIST

TASKS: dict[str, Task] = {task.name: task for task in (SMNIST, PSMNIST)}


def get_task(name: str) -> Task:
    """The task of that name; raises :class:`DataError` listing the known ones."""
    if name not in TASKS:
        raise DataError(f"unknown task {name!r}; known: {', '.join(TASKS)}.")
    return TASKS[name]


__all__ = ["TASKS", "DataError", "Samples", "Task", "get_task"]
