"""The Transformer baseline: an encoder that attends to all steps of a sequence at once."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from snn_ssm.config import ModelConfig
from snn_ssm.model.norms import make_norm
from snn_ssm.model.sequence import Output, SequenceModel

_WAVELENGTHS = 10_000.0  # ratio of the slowest to the fastest position signal
_EXPANSION = 4  # of the feed-forward part


def positions(h: Tensor) -> Tensor:
    """``P[2i, t] = sin(t w_i)``, ``P[2i+1, t] = cos(t w_i)``, ``w_i = 10000^(-2i/H)``.

    Shape (H, L) of a stream (B, H, L), whose dtype and device they have; computed in float64.
    Source: Vaswani et al. 2017, section 3.5.
    """
    channels, length = h.shape[1:]
    index = torch.arange(channels, dtype=torch.float64, device=h.device)
    rate = _WAVELENGTHS ** (-2 * torch.div(index, 2, rounding_mode="floor") / channels)  # (H,)
    time = torch.arange(length, dtype=torch.float64, device=h.device)
    angle = rate[:, None] * time  # (H, L)
    odd = (index % 2 == 1)[:, None]
    return torch.where(odd, torch.cos(angle), torch.sin(angle)).to(h.dtype)


class _Sublayer(nn.Module):
    """Pre-norm: ``h + D(f(norm(h)))``; post-norm: ``norm(h + D(f(h)))``: (B, H, L) -> (B, H, L)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.prenorm = config.prenorm
        self.norm = make_norm(config.norm, config.channels)
        self.dropout = nn.Dropout(config.dropout)

    @abstractmethod
    def transform(self, x: Tensor) -> Tensor:
        """The map f of steps (B, L, H) -> (B, L, H)."""

    def forward(self, h: Tensor) -> Tensor:
        x = self.norm(h) if self.prenorm else h  # (B, H, L)
        h = h + self.dropout(self.transform(x.transpose(1, 2)).transpose(1, 2))
        return h if self.prenorm else self.norm(h)


class Attention(_Sublayer):
    """``f(x) = W_o [head_1, ..., head_J] + b_o``, ``head = softmax(q k^T / sqrt(H/J)) v``.

    ``(q, k, v) = W x + b``, W (3H, H), split into J heads. No mask: every step sees every other.
    Source: Vaswani et al. 2017, section 3.2.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        h = config.channels
        self.heads = config.heads
        self.input = nn.Linear(h, 3 * h)
        self.output = nn.Linear(h, h)

    def transform(self, x: Tensor) -> Tensor:
        split = self.input(x).unflatten(-1, (3, self.heads, -1))  # (B, L, 3, J, H/J)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # (B, J, L, H/J) each
        seen = functional.scaled_dot_product_attention(q, k, v)  # (B, J, L, H/J)
        return self.output(seen.transpose(1, 2).flatten(2))


class FeedForward(_Sublayer):
    """``f(x) = W_2 GELU(W_1 x + b_1) + b_2`` through 4H hidden features.

    Source: Vaswani et al. 2017, section 3.3, with the exact GELU for the ReLU.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        h = config.channels
        self.hidden = nn.Linear(h, _EXPANSION * h)
        self.output = nn.Linear(_EXPANSION * h, h)

    def transform(self, x: Tensor) -> Tensor:
        return self.output(functional.gelu(self.hidden(x)))


class TransformerBlock(nn.Module):
    """Attention, then the feed-forward part, each with its norm, dropout and residual."""

    def __init__(self, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feedforward = FeedForward(config)

    def forward(self, h: Tensor) -> Tensor:
        return self.feedforward(self.attention(h))


class Transformer(SequenceModel):
    """``h = encoder(p) + P``, depth x block, pooling, decoder; P the positions' sines.

    Sees the whole sequence at once: it has no recurrence, and no spikes. Source: Vaswani et al.
    2017, encoder only.
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__(config, seed, TransformerBlock)

    def forward(self, p: Tensor, lengths: Tensor | None = None) -> Output:
        """Logits, and no membranes and no spikes; lengths are refused."""
        h = self.encode(p)  # (B, H, L)
        h = h + positions(h)
        for block in self.blocks:
            h = block(h)
        return Output(self.pool(h, lengths), [], [])
