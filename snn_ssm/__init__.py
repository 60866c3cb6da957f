"""Training of state-space spiking networks in PyTorch.

Importing this package imports no torch: the deployment side reads configurations and checkpoints
without it. The names that need torch are loaded at first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_ssm.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from snn_ssm.config import Config, ModelConfig, TaskConfig, TrainingConfig
    from snn_ssm.model import Network, Transformer, build_network
    from snn_ssm.training import load_network, train

__version__ = "0.1.0"
_LAZY = {
    "Checkpoint": "snn_ssm.checkpoint",
    "load_checkpoint": "snn_ssm.checkpoint",
    "save_checkpoint": "snn_ssm.checkpoint",
    "Config": "snn_ssm.config",
    "ModelConfig": "snn_ssm.config",
    "TaskConfig": "snn_ssm.config",
    "TrainingConfig": "snn_ssm.config",
    "Network": "snn_ssm.model",
    "Transformer": "snn_ssm.model",
    "build_network": "snn_ssm.model",
    "load_network": "snn_ssm.training",
    "train": "snn_ssm.training",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Checkpoint",
    "Config",
    "ModelConfig",
    "Network",
    "TaskConfig",
    "TrainingConfig",
    "Transformer",
    "build_network",
    "load_checkpoint",
    "load_network",
    "save_checkpoint",
    "train",
]
