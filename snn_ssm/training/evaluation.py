"""Running a network over samples without training it: accuracy, activity, and settled norms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_ssm.checkpoint import Checkpoint
from snn_ssm.config import ModelConfig
from snn_ssm.model.sequence import SequenceModel
from snn_ssm.results.metrics import Activity, measure
from snn_ssm.tasks import TASKS, Samples
from snn_ssm.tasks.base import check_samples
from snn_ssm.tasks.scores import class_table
from snn_ssm.training.batches import load, split
from snn_ssm.training.distributed import World
from snn_ssm.training.optimisation import sent


@dataclass(frozen=True)
class Evaluation:
    """The class predicted for every sample (B,), the share that is right, and what was active."""

    predictions: NDArray[np.int64]
    accuracy: float
    activity: Activity


def _input_activity(p: Tensor, config: ModelConfig) -> Tensor:
    """How often each channel of (B, C, L) is not 0, or each symbol of (B, 1, L) comes: (C,)."""
    if config.encoder == "embedding":
        return torch.bincount(p.flatten().long(), minlength=config.inputs)
    return p.ne(0).sum((0, 2))


@torch.no_grad()
def evaluate(
    network: SequenceModel, samples: Samples, batch_size: int = 100, world: World | None = None
) -> Evaluation:
    """Run a network on samples by convolution; every process of ``world`` takes its share.

    Raises ``DataError`` for a label that the network has no class for, or an input out of range.
    """
    world = world or World()
    network.eval()
    config = network.config
    check_samples(samples, config, "those to evaluate")
    predictions = torch.zeros(len(samples), dtype=torch.int64, device=world.device)
    inputs = torch.zeros(config.inputs, dtype=torch.int64, device=world.device)
    layers = 0 if config.architecture == "transformer" else config.depth
    outputs = torch.zeros(2, layers, config.channels, dtype=torch.int64, device=world.device)
    own = np.arange(len(samples))[world.rank :: world.size]
    for index in split(own, batch_size):
        p, _ = load(samples, index, world.device)
        out = network(p)
        predictions[torch.from_numpy(index).to(world.device)] = out.logits.argmax(-1)
        inputs += _input_activity(p, config)
        for i, s in enumerate(out.outputs):
            outputs[0, i] += sent(s, config).sum((0, 2), dtype=torch.float64).long()
            outputs[1, i] += s.ne(0).sum((0, 2))
    sums = world.sum(outputs).cpu().numpy()
    found = world.sum(predictions).cpu().numpy()
    return Evaluation(
        found,
        float((found == samples.labels).mean()),
        Activity(
            len(samples),
            samples.inputs.shape[-1],
            world.sum(inputs).cpu().numpy(),
            *sums,
        ),
    )


def report(checkpoint: Checkpoint, samples: Samples, found: Evaluation) -> dict[str, Any]:
    """An evaluation in numbers: accuracy, what :mod:`snn_ssm.results.metrics` says, each class."""
    config = checkpoint.config
    names: Sequence[str] = [str(label) for label in range(config.model.classes)]
    task = TASKS.get(config.task.name)
    if task is not None and len(task.classes) == len(names):
        names = task.classes
    return {
        "test_accuracy": found.accuracy,
        "test_samples": len(samples),
        "data": samples.source,
        "steps": found.activity.steps,
        **measure(checkpoint, found.activity),
        "classes": [asdict(row) for row in class_table(samples.labels, found.predictions, names)],
    }


@torch.no_grad()
def settle_norms(network: SequenceModel, batches: Iterable[Tensor]) -> None:
    """Set every batch norm's statistics to the average over ``batches`` (B, C, L).

    While weights change fast, the running averages lag behind them, and a Heaviside network
    forgives no shifted threshold: accuracy in evaluation can be half of that in training.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over what follows
    network.train()
    for p in batches:
        network(p)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
