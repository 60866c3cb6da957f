"""Norms over the channels of (B, H, L), by the names of the configuration."""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from snn_ssm.model import operators
from snn_ssm.model.layout import from_rows, rows
from snn_ssm.model.operators import elementwise


class _BatchNorm(torch.autograd.Function):
    """``y = w (x - m) r + b`` of each row, ``m = mean x``, ``r = 1 / sqrt(mean (x - m)^2 + eps)``.

    Backward, with z = (x - m) r: ``db = sum dy``, ``dw = sum dy z``,
    ``dx = w r (dy - mean dy - z mean(dy z))``. Rows x (H, M), w and b (H,); returns m and the
    variance, (H,), too, which have no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.eps = eps
        if operators.usable(x):
            y, mean, var = elementwise.norm_forward(x, weight, bias, eps)
            ctx.save_for_backward(x, weight, mean, var)
            ctx.mark_non_differentiable(mean, var)
            return y, mean, var
        mean = x.mean(1)  # (H,)
        centred = x - mean[:, None]  # (H, M)
        var = torch.linalg.vector_norm(centred, dim=1).square() / x.shape[1]  # (H,)
        ctx.save_for_backward(x, weight, mean, var)
        ctx.mark_non_differentiable(mean, var)
        scale = weight * torch.rsqrt(var + eps)
        return centred.mul_(scale[:, None]).add_(bias[:, None]), mean, var

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad: Tensor, *_: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, weight, mean, var = ctx.saved_tensors
        if operators.usable(x):
            grad = grad.contiguous()
            return *elementwise.norm_backward(grad, x, weight, mean, var, ctx.eps), None
        rate = torch.rsqrt(var + ctx.eps)
        z = (x - mean[:, None]).mul_(rate[:, None])  # (H, M)
        grad_bias, grad_weight = grad.sum(1), (grad * z).sum(1)
        z.mul_(-grad_weight[:, None] / x.shape[1]).sub_(grad_bias[:, None] / x.shape[1])
        return z.add_(grad).mul_((weight * rate)[:, None]), grad_weight, grad_bias, None


class ChannelBatchNorm(nn.BatchNorm1d):
    """A batch norm a channel; in evaluation ``(x - mean) w / sqrt(var + eps) + b``, in this order.

    PyTorch's own folds the mean into the shift, ``x scale + (b - mean scale)``: of a channel that
    is its mean at every step it leaves a rounding error, by whose sign a neuron would spike.
    Here it leaves b. In training over the whole row of a channel, as it lies in memory, where
    PyTorch's own takes (B, H, L) by samples. ``alone``: what it sees is the whole batch.
    """

    alone = True

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self._of_batch(x)
        scale = self.weight / torch.sqrt(self.running_var + self.eps)  # (H,)
        return (x - self.running_mean[:, None]) * scale[:, None] + self.bias[:, None]

    def _of_batch(self, x: Tensor) -> Tensor:
        flat = rows(x)  # (H, B L)
        if x.device.type != "cpu":
            return from_rows(super().forward(flat[None])[0], x)
        y, mean, var = _BatchNorm.apply(flat, self.weight, self.bias, self.eps)
        self.follow(mean, var, flat.shape[1])
        return from_rows(y, x)

    @torch.no_grad()
    def follow(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Move the running statistics towards those of ``count`` values, (H,) each.

        Without a momentum: their average over all batches.
        """
        self.num_batches_tracked += 1
        momentum = self.momentum
        factor = 1.0 / float(self.num_batches_tracked) if momentum is None else momentum
        self.running_mean += factor * (mean - self.running_mean)
        self.running_var += factor * (var * (count / max(1, count - 1)) - self.running_var)


def in_one_pass(x: Tensor, norm: nn.Module) -> TypeGuard[ChannelBatchNorm]:
    """Whether an operator may norm ``x`` by the statistics of this batch and do something else."""
    return (
        isinstance(norm, ChannelBatchNorm)
        and norm.training
        and norm.alone
        and norm.weight.dtype == x.dtype
        and operators.usable(x)
    )


class ChannelLayerNorm(nn.LayerNorm):
    """A layer norm over the channels of each step: (B, H, L) -> (B, H, L)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


_NORMS = {"batch": ChannelBatchNorm, "layer": ChannelLayerNorm, "none": lambda _: nn.Identity()}


def make_norm(name: str, channels: int) -> nn.Module:
    """``batch``, ``layer`` or ``none`` for (B, H, L), H = ``channels``."""
    return _NORMS[name](channels)
