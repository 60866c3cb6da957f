"""Running a network over samples without training it: accuracy, activity, and settled norms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_ssm.checkpoint import Checkpoint
from snn_ssm.config import Config, ModelConfig
from snn_ssm.kinds.outputs import OUTPUTS, OutputKind
from snn_ssm.kinds.outputs.answered import answered, no_counts
from snn_ssm.model.pooling import kept
from snn_ssm.model.sequence import SequenceModel
from snn_ssm.results.health import layer_warnings
from snn_ssm.results.metrics import Activity, measure
from snn_ssm.tasks import Samples, class_names
from snn_ssm.tasks.checks import check_samples
from snn_ssm.training.batches import load, split
from snn_ssm.training.distributed import World
from snn_ssm.training.optimisation import sent


@dataclass(frozen=True)
class Evaluation:
    """What was answered of every sample, how good that is, and what was active.

    ``predictions``: of the shape of the samples' labels; ``counts``: the sums of their kind of
    output (:class:`snn_ssm.kinds.outputs.OutputKind`); ``metrics``: what follows from them.
    """

    predictions: NDArray[Any]
    counts: NDArray[np.float64]
    metrics: dict[str, Any]
    activity: Activity

    @property
    def accuracy(self) -> float | None:
        """The share of answers that are right; None of values."""
        found: float | None = self.metrics["accuracy"]
        return found


def _input_activity(p: Tensor, kept_steps: Tensor | None, config: ModelConfig) -> Tensor:
    """How often each channel of (B, C, L) is not 0, or each symbol of (B, 1, L) comes: (C,)."""
    if config.encoder == "embedding":
        symbols = p[:, 0].long()
        symbols = symbols.flatten() if kept_steps is None else symbols[kept_steps]
        return torch.bincount(symbols, minlength=config.inputs)
    return _of_kept(p.ne(0), kept_steps).sum((0, 2))


def _of_kept(x: Tensor, kept_steps: Tensor | None) -> Tensor:
    """(B, C, L), 0 behind the ends of samples: ``kept_steps`` (B, L), None: all."""
    return x if kept_steps is None else x * kept_steps[:, None]


@torch.no_grad()
def evaluate(
    network: SequenceModel, samples: Samples, batch_size: int = 100, world: World | None = None
) -> Evaluation:
    """Run a network on samples by convolution; every process of ``world`` takes its share.

    Raises ``DataError`` for samples that the network is not made for.
    """
    world = world or World()
    network.eval()
    config = network.config
    kind = OUTPUTS[config.output]
    check_samples(samples, config, "those to evaluate")
    predictions = np.zeros(samples.labels.shape, np.float64 if kind.real else np.int64)
    counts = no_counts(kind, config.classes)
    inputs = torch.zeros(config.inputs, dtype=torch.int64, device=world.device)
    layers = 0 if config.architecture == "transformer" else config.depth
    outputs = torch.zeros(2, layers, config.channels, dtype=torch.int64, device=world.device)
    own = np.arange(len(samples))[world.rank :: world.size]
    for index in split(own, batch_size):
        batch = load(samples, index, world.device)
        out = network(batch.inputs, batch.lengths)
        scores = out.logits.double().cpu().numpy()
        predictions[index] = _decided(scores, kind)
        counted, labels = answered(
            scores, samples.labels[index], _part(samples.lengths, index)
        )
        counts = kind.merge(counts, kind.counts(counted, np.asarray(labels)))
        steps = None if batch.lengths is None else kept(batch.lengths, batch.inputs.shape[-1])
        inputs += _input_activity(batch.inputs, steps, config)
        for i, s in enumerate(out.outputs):
            spikes = _of_kept(sent(s, config), steps)
            outputs[0, i] += spikes.sum((0, 2), dtype=torch.float64).long()
            outputs[1, i] += spikes.ne(0).sum((0, 2))
    sums = world.sum(outputs).cpu().numpy()
    found = world.sum(torch.from_numpy(predictions).to(world.device)).cpu().numpy()
    total = reduce(kind.merge, world.gather(counts))
    names = [str(k) for k in range(config.classes)]
    return Evaluation(
        found,
        total,
        kind.metrics(total, names),
        Activity(
            len(samples),
            samples.mean_steps,
            world.sum(inputs).cpu().numpy(),
            *sums,
        ),
    )


def _part(
    lengths: NDArray[np.int64] | None, index: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    return None if lengths is None else lengths[index]


def _decided(scores: NDArray[np.float64], kind: OutputKind) -> NDArray[Any]:
    """The answers to scores (B, K) or (B, L, K)."""
    answers = kind.decide(scores.reshape(-1, scores.shape[-1]))
    return answers.reshape(*scores.shape[:-1], *answers.shape[1:])


def scores_of(split: str, found: Evaluation) -> dict[str, Any]:
    """The metrics of a split but for its classes, such as ``test_accuracy``."""
    return {f"{split}_{key}": v for key, v in found.metrics.items() if key != "classes"}


def answers_of(
    config: Config, samples: Samples, found: Evaluation, split: str
) -> dict[str, Any]:
    """How good the answers on a split's samples are, of each class or value, too.

    Keys such as ``test_accuracy`` and ``valid_accuracy``, ``classes`` (of the test) and
    ``valid_classes``; of a fold ``valid_counts``, which add up to those of all folds
    (:mod:`snn_ssm.results.folds`).
    """
    names = class_names(config.task, config.model.classes)
    rows = OUTPUTS[config.model.output].metrics(found.counts, names)["classes"]
    return {
        **scores_of(split, found),
        f"{split}_samples": len(samples),
        "classes" if split == "test" else f"{split}_classes": rows,
        **({"valid_counts": found.counts.tolist()} if config.task.valid_fold else {}),
    }


def report(
    checkpoint: Checkpoint, samples: Samples, found: Evaluation, split: str = "test"
) -> dict[str, Any]:
    """An evaluation in numbers: how good the answers are (:func:`answers_of`), and what
    :mod:`snn_ssm.results.metrics` says of the costs."""
    config = checkpoint.config
    return {
        **answers_of(config, samples, found, split),
        "output": config.model.output,
        "data": samples.source,
        "steps": found.activity.steps,
        **measure(checkpoint, found.activity),
        "warnings": layer_warnings(found.activity, config.model),
    }


@torch.no_grad()
def settle_norms(network: SequenceModel, batches: Iterable[tuple[Tensor, int]]) -> None:
    """Set every batch norm's statistics to the average over the samples of ``batches``.

    Each is its inputs (B, C, L), or this process's part of them, and of how many samples the batch
    is: its statistics count as often, so that a last batch of one sample moves them but little.
    While weights change fast, the running averages lag behind them, and a Heaviside network
    forgives no shifted threshold: accuracy in evaluation can be half of that in training.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
    network.train()
    seen = 0
    for p, count in batches:
        seen += count
        for norm in norms:
            norm.momentum = count / seen
        network(p)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
