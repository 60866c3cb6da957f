"""From the residual stream at every step to scores: of the sample, or of each step.

With h (B, H, L), the decoder ``u[k] = W h[k] + b`` and n the length of a sample:

    mean    z[k] = (u[0] + ... + u[k]) / (k + 1)
    last    z[k] = u[k]
    filter  z[k] = a z[k-1] + (1 - a) u[k],    a = exp(-1 / tau), tau = exp(log_tau) learned, (K,)

The scores of a sample are z[n - 1], those of each step z, (B, L, K); what stands behind a sample's
end has no part in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from snn_ssm.config import ModelConfig


def kept(lengths: Tensor, steps: int) -> Tensor:
    """Which steps belong to their sample: lengths (B,) -> (B, L), bool."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def ends(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The last step that belongs to its sample: (B, L, K) -> (B, K)."""
    if lengths is None:
        return x[:, -1]
    return x[torch.arange(len(x), device=x.device), lengths - 1]


class Pooling(nn.Module):
    """A kind of pooling of a configuration, with its parameters."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.kind = config.pooling
        if self.kind == "filter":
            first = torch.full((config.classes,), math.log(config.pooling_tau))
            self.log_tau = nn.Parameter(first)

    def features(self, h: Tensor, lengths: Tensor | None) -> Tensor:
        """Mean or last step of the stream, (B, H, L) -> (B, H), before a decoder."""
        if self.kind == "last":
            return ends(h.transpose(1, 2), lengths)
        # A sum's gradient is a number a channel; that of a mean would be divided at every step.
        if lengths is None:
            return h.sum(-1) / h.shape[-1]
        return (h * kept(lengths, h.shape[-1])[:, None]).sum(-1) / lengths[:, None]

    def forward(
        self, h: Tensor, decoder: nn.Linear, lengths: Tensor | None, each_step: bool
    ) -> Tensor:
        """Scores (B, K), or (B, L, K) of each step."""
        if self.kind != "filter" and not each_step:
            return decoder(self.features(h, lengths))
        u = decoder(h.transpose(1, 2))  # (B, L, K)
        z = _STEPS[self.kind](self, u)
        return z if each_step else ends(z, lengths)

    def decay(self) -> tuple[Tensor, Tensor]:
        """``a`` and ``1 - a``, (K,)."""
        rate = -torch.exp(-self.log_tau)
        return torch.exp(rate), -torch.expm1(rate)


def _filtered(pooling: Pooling, u: Tensor) -> Tensor:
    """By doubling: after pass i a step holds the sum over the 2^i steps up to it."""
    a, gain = pooling.decay()
    z, shift = gain * u, 1
    while shift < u.shape[1]:
        behind = nn.functional.pad(z[:, :-shift], (0, 0, shift, 0))
        z = z + a**shift * behind
        shift *= 2
    return z


def _averaged(pooling: Pooling, u: Tensor) -> Tensor:
    count = torch.arange(1, u.shape[1] + 1, device=u.device, dtype=u.dtype)
    return u.cumsum(1, dtype=torch.float64).to(u.dtype) / count[:, None]


_STEPS: dict[str, Callable[[Pooling, Tensor], Tensor]] = {
    "mean": _averaged,
    "last": lambda pooling, u: u,
    "filter": _filtered,
}
