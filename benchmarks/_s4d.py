"""The peer of the training benchmark: the network of state-spaces' ``s4d.py`` and ``example.py``.

Written from their equations (github.com/state-spaces/s4, ``models/s4/s4d.py``), as they are
published: a complex64 kernel from the materialised (H, N, L) Vandermonde matrix, a transform at
twice the length, GELU, a pointwise convolution to 2 H channels and a GLU; around a layer the
residual, then a layer norm; mean pooling. No dropout.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class S4DLayer(nn.Module):
    """``o = GLU(W GELU(K * u + D u) + b)``, (B, H, L) -> (B, H, L).

    ``K[l] = 2 Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(l dt A_n)``; at the start
    ``A_n = -1/2 + i pi n``.
    """

    def __init__(self, channels: int, modes: int) -> None:
        super().__init__()
        low, high = math.log(1e-3), math.log(1e-1)
        self.log_dt = nn.Parameter(low + (high - low) * torch.rand(channels))
        self.c = nn.Parameter(torch.randn(channels, modes, 2) * 0.5**0.5)
        self.log_a_real = nn.Parameter(torch.full((channels, modes), math.log(0.5)))
        self.a_imag = nn.Parameter(math.pi * torch.arange(modes).float().repeat(channels, 1))
        self.d = nn.Parameter(torch.randn(channels))
        self.mix = nn.Conv1d(channels, 2 * channels, kernel_size=1)

    def kernel(self, length: int) -> Tensor:
        """K, (H, L)."""
        a = -torch.exp(self.log_a_real) + 1j * self.a_imag  # (H, N)
        dt_a = a * torch.exp(self.log_dt)[:, None]  # (H, N)
        c = torch.view_as_complex(self.c) * (torch.exp(dt_a) - 1) / a  # (H, N)
        powers = torch.exp(dt_a[..., None] * torch.arange(length))  # (H, N, L)
        return 2 * torch.einsum("hn,hnl->hl", c, powers).real

    def forward(self, u: Tensor) -> Tensor:
        length = u.shape[-1]
        k_f = torch.fft.rfft(self.kernel(length), n=2 * length)  # (H, L + 1)
        u_f = torch.fft.rfft(u, n=2 * length)  # (B, H, L + 1)
        y = torch.fft.irfft(u_f * k_f, n=2 * length)[..., :length]  # (B, H, L)
        y = functional.gelu(y + u * self.d[:, None])
        return functional.glu(self.mix(y), dim=-2)


class S4DNetwork(nn.Module):
    """Encoder -> depth x (``norm(h + layer(h))``) -> mean -> decoder: (B, 1, L) -> (B, classes)."""

    def __init__(self, channels: int, modes: int, depth: int, classes: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(1, channels)
        self.layers = nn.ModuleList(S4DLayer(channels, modes) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(depth))
        self.decoder = nn.Linear(channels, classes)

    def forward(self, p: Tensor) -> Tensor:
        h = self.encoder(p.float().transpose(1, 2) / 255).transpose(1, 2)  # (B, H, L)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = norm((h + layer(h)).transpose(1, 2)).transpose(1, 2)
        return self.decoder(h.mean(-1))
