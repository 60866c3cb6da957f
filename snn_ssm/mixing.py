"""Feature mixing: what one layer's spikes contribute to the residual stream."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LinearMixing(nn.Module):
    """``o[t] = W s[t] + b`` (without ``bias``: ``W s[t]``): shape (B, H, L) -> (B, H, L).

    ``weight`` (H, H) is (to, from), ``bias`` (H,), both drawn from U(-1/sqrt(H), 1/sqrt(H)).
    """

    def __init__(self, channels: int, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(channels)
        self.weight = nn.Parameter(torch.empty(channels, channels).uniform_(-bound, bound))
        drawn = torch.empty(channels).uniform_(-bound, bound)
        self.bias = nn.Parameter(drawn) if bias else None

    def forward(self, s: Tensor) -> Tensor:
        o = torch.matmul(self.weight, s)  # (B, H, L)
        return o if self.bias is None else o + self.bias[:, None]
