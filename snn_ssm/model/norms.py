"""Norms over the channels of (B, H, L), by the names of the configuration."""

from __future__ import annotations

from torch import Tensor, nn


class ChannelLayerNorm(nn.LayerNorm):
    """A layer norm over the channels of each step: (B, H, L) -> (B, H, L)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


_NORMS = {"batch": nn.BatchNorm1d, "layer": ChannelLayerNorm, "none": lambda _: nn.Identity()}


def make_norm(name: str, channels: int) -> nn.Module:
    """``batch``, ``layer`` or ``none`` for (B, H, L), H = ``channels``."""
    return _NORMS[name](channels)
