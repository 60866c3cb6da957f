"""Feature mixing: what one layer's spikes contribute to the residual stream."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LinearMixing(nn.Module):
    """``o[t] = W s[t] + b``: shape (B, H, L) -> (B, H, L).

    ``weight`` (H, H) is (to, from), ``bias`` (H,), both drawn from U(-1/sqrt(H), 1/sqrt(H)).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(channels)
        self.weight = nn.Parameter(torch.empty(channels, channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))

    def forward(self, s: Tensor) -> Tensor:
        return torch.matmul(self.weight, s) + self.bias[:, None]  # (B, H, L)
