"""Norms over the channels of (B, H, L), by the names of the configuration."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelBatchNorm(nn.BatchNorm1d):
    """A batch norm a channel; in evaluation ``(x - mean) w / sqrt(var + eps) + b``, in this order.

    PyTorch's own folds the mean into the shift, ``x scale + (b - mean scale)``: of a channel that
    is its mean at every step it leaves a rounding error, by whose sign a neuron would spike.
    Here it leaves b.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        scale = self.weight / torch.sqrt(self.running_var + self.eps)  # (H,)
        return (x - self.running_mean[:, None]) * scale[:, None] + self.bias[:, None]


class ChannelLayerNorm(nn.LayerNorm):
    """A layer norm over the channels of each step: (B, H, L) -> (B, H, L)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


_NORMS = {"batch": ChannelBatchNorm, "layer": ChannelLayerNorm, "none": lambda _: nn.Identity()}


def make_norm(name: str, channels: int) -> nn.Module:
    """``batch``, ``layer`` or ``none`` for (B, H, L), H = ``channels``."""
    return _NORMS[name](channels)
