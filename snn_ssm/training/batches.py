"""Samples in batches: kept as NumPy arrays on the host, moved to the device a batch at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snn_ssm.config import Config, ModelConfig
from snn_ssm.tasks import Samples
from snn_ssm.training.allocation import keep_memory
from snn_ssm.training.run_state import TrainingError

NORM_SAMPLES = 4096  # enough that the batch norms' statistics are known to about 0.1 %


def split(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """An order of samples in parts of ``size``; the last holds what is left."""
    return [order[start : start + size] for start in range(0, len(order), size)]


def check_shares(config: Config, samples: Samples, processes: int) -> None:
    """Raise :class:`TrainingError` where a batch has too few samples for all processes."""
    size = config.training.batch_size
    for count in (len(samples), min(len(samples), NORM_SAMPLES)):
        last = len(split(np.arange(count), size)[-1])
        if last * config.task.steps == 1 and _normed_by_batch(config.model):
            raise TrainingError(
                f"the last of the batches of {size} of {count} samples has 1, of 1 step; "
                "expected at least 2, since a batch norm has no variance of one value. Choose "
                "another training.batch_size, or task.train_samples."
            )
        if last < processes:
            raise TrainingError(
                f"the last of the batches of {size} of {count} samples has {last}, too few "
                f"for {processes} processes. Choose another training.batch_size, or "
                "fewer processes."
            )


def _normed_by_batch(model: ModelConfig) -> bool:
    """Whether any norm of the model is a batch norm."""
    product = model.mixing == "gsu" and model.gsu_norm == "batch"
    return model.norm == "batch" or model.membrane_norm or product


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
