"""Samples in batches: kept as NumPy arrays on the host, moved to the device a batch at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snn_ssm.tasks import Samples
from snn_ssm.training.allocation import keep_memory


def split(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """An order of samples in parts of ``size``; the last holds what is left."""
    return [order[start : start + size] for start in range(0, len(order), size)]


class Batch(NamedTuple):
    """Inputs (B, C, L), what is to be answered, and lengths (B,), None where all steps count."""

    inputs: Tensor
    labels: Tensor
    lengths: Tensor | None


def load(samples: Samples, index: NDArray[np.int64], device: torch.device) -> Batch:
    """Some samples, on a device.

    All batches of every training and evaluation come from here, before their activations.
    """
    keep_memory()
    lengths = samples.lengths
    return Batch(
        _move(samples.inputs[index], device),
        _move(samples.labels[index], device),
        None if lengths is None else _move(lengths[index], device),
    )


def _move(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """To CUDA from pinned memory, without waiting until the copy is done."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
