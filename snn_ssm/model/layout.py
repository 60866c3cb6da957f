"""How activations (B, H, L) lie in memory: a channel's values of all samples and steps together.

Shapes stay (B, H, L) everywhere. A tensor is the transposed view of one of (H, B, L), so that norms
sum over contiguous numbers, one matrix product mixes the channels of all samples, and a layer's
convolution has a channel's samples side by side. Elementwise functions keep the order of their
inputs; functions that need it take any, by a copy.
"""

from __future__ import annotations

from torch import Tensor


def by_channel(x: Tensor) -> Tensor:
    """(B, H, L) -> (H, B, L), contiguous: a view of what lies so, else a copy."""
    return x.transpose(0, 1).contiguous()


def by_sample(x: Tensor) -> Tensor:
    """The inverse of :func:`by_channel`, a view: (H, B, L) -> (B, H, L)."""
    return x.transpose(0, 1)


def rows(x: Tensor) -> Tensor:
    """(B, H, L) -> (H, B L), a row a channel, contiguous: a view of what lies so, else a copy."""
    return by_channel(x).flatten(1)


def from_rows(x: Tensor, like: Tensor) -> Tensor:
    """(H', B L) -> (B, H', L), a view; B and L are those of ``like`` (B, H, L)."""
    return x.view(len(x), like.shape[0], like.shape[2]).transpose(0, 1)
