"""What is minimised for each kind of output, summed over a batch; a sample counts as one.

With scores z, what is to be answered t and weights w of classes, labels or values:

    classes, labels   -w_t log softmax(z)_t
    multi-label       sum_k w_k (softplus(z_k) - t_k z_k)
    values            sum_k w_k e(z_k - t_k),  e(x) = x^2 (mse), or with delta d (huber)
                      x^2 / 2 where |x| <= d, else d (|x| - d / 2)

With P = ``training.prefixes`` half of it is that of the samples, half the mean of those of their
first 1/P, 2/P, ..., (P - 1)/P, so that answers come early.

Where each step is answered, a sample's loss is the mean over its steps that have an answer.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from snn_ssm.config import ModelConfig, TrainingConfig
from snn_ssm.model.pooling import kept

Loss = Callable[[Tensor, Tensor, Tensor | None, TrainingConfig], Tensor]


def _cross_entropy(
    z: Tensor, label: Tensor, weight: Tensor | None, training: TrainingConfig
) -> Tensor:
    losses = functional.cross_entropy(
        z.flatten(0, -2), label.flatten(), weight, reduction="none", ignore_index=-1
    )
    return losses.view(label.shape)


def _binary(z: Tensor, label: Tensor, weight: Tensor | None, training: TrainingConfig) -> Tensor:
    losses = functional.binary_cross_entropy_with_logits(z, label.to(z.dtype), reduction="none")
    return _weighted(losses, weight)


def _error(z: Tensor, target: Tensor, weight: Tensor | None, training: TrainingConfig) -> Tensor:
    target = target.to(z.dtype)
    if training.value_loss == "huber":
        losses = functional.huber_loss(z, target, reduction="none", delta=training.huber_delta)
    else:
        losses = functional.mse_loss(z, target, reduction="none")
    return _weighted(losses, weight)


def _weighted(losses: Tensor, weight: Tensor | None) -> Tensor:
    return (losses if weight is None else losses * weight).sum(-1)


_LOSSES: dict[str, Loss] = {
    "classes": _cross_entropy,
    "labels": _cross_entropy,
    "multi-label": _binary,
    "values": _error,
}


def counted(label: Tensor, lengths: Tensor | None) -> Tensor:
    """Which steps have an answer, (B, L): those of a sample that are not labelled -1."""
    steps = label.shape[1]
    counts = label >= 0 if label.ndim == 2 else torch.ones_like(label[..., 0], dtype=torch.bool)
    return counts if lengths is None else counts & kept(lengths, steps)


def loss_sum(
    scores: Tensor, label: Tensor, lengths: Tensor | None, model: ModelConfig,
    training: TrainingConfig,
) -> Tensor:
    """The sum of all samples' losses, float32: scores (B, K) or (B, L, K), as the module says."""
    z = scores.float()
    weights = training.class_weights
    weight = z.new_tensor(weights) if weights else None
    losses = _LOSSES[model.output](z, label, weight, training)  # (B,) or (B, L)
    if not model.each_step:
        return losses.sum()
    counts = counted(label, lengths)
    mean = torch.where(counts, losses, 0).sum(1) / counts.sum(1).clamp(min=1)
    return mean.sum()


def prefix_loss(
    scores: Tensor, label: Tensor, model: ModelConfig, training: TrainingConfig
) -> Tensor:
    """The sum of all samples' mean losses over their beginnings: scores (B, P - 1, K)."""
    count = scores.shape[1]
    every = label.repeat_interleave(count, 0)
    return loss_sum(scores.flatten(0, 1), every, None, model, training) / count


def right(scores: Tensor, label: Tensor, lengths: Tensor | None, model: ModelConfig) -> Tensor:
    """The sum over samples of the share of right answers in each, (); 0 of values."""
    if model.output == "values":
        return scores.new_zeros(())
    if model.output == "multi-label":
        return ((scores > 0) == (label > 0)).double().mean(-1).sum()
    hits = scores.argmax(-1) == label
    if not model.each_step:
        return hits.sum()
    counts = counted(label, lengths)
    return ((hits & counts).sum(1) / counts.sum(1).clamp(min=1)).double().sum()
