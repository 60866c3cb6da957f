"""Samples in batches: kept as NumPy arrays on the host, moved to the device a batch at a time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snn_ssm.tasks import Samples
from snn_ssm.training.allocation import keep_memory


def split(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """An order of samples in parts of ``size``; the last holds what is left."""
    return [order[start : start + size] for start in range(0, len(order), size)]


def load(
    samples: Samples, index: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Inputs (B, C, L) and labels (B,) of some samples, on a device.

    All batches of every training and evaluation come from here, before their activations.
    """
    keep_memory()
    return _move(samples.inputs[index], device), _move(samples.labels[index], device)


def _move(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """To CUDA from pinned memory, without waiting until the copy is done."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
