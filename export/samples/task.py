"""The task that a network was trained for."""

from __future__ import annotations

from export.description.network import Network
from snn_ssm.config import TaskConfig, from_dict


def task_of(network: Network) -> TaskConfig:
    """The ``[task]`` of the configuration that a network was trained with."""
    return from_dict(TaskConfig, dict(network.origin.get("task", {})), "task")
