"""Neurons whose spikes reset their modes: one loop over the steps, in plain torch and compiled.

    z_n[k] = x_n[k-1] - r_n s[k-1],   or, hard, 0 after a spike:  z_n[k] = x_n[k-1] (1 - s[k-1])
    x_n[k] = abar_n z_n[k] + u[k]
    y[k] = Re(sum_n g_n x_n[k]) + d u[k]
    s[k] = 1 if y[k] > theta else 0

With a refractory time of R steps no spike comes in the R steps after one, and a hard reset holds
the modes at 0 for as long. Complex or real modes; N = 1 real with a hard reset is the leaky
integrate-and-fire neuron, N = 1 complex with r a resonator that resets.

The gradient of a spike is its surrogate's. ``through``: it reaches the spike by its reset, too;
else the reset is a constant. ``instant``: none goes from a step to the one before it (spatial
learning through time, SLTT). Source: Meng et al. 2023, *Towards Memory- and Time-Efficient
Backpropagation for Training Spiking Neural Networks*; Zenke & Vogels 2021 (constant resets).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from snn_ssm.model import operators
from snn_ssm.model.kernel import real_dot
from snn_ssm.model.layout import by_channel, by_sample
from snn_ssm.model.operators import loop
from snn_ssm.model.operators.elementwise import SURROGATES
from snn_ssm.model.spiking import heaviside


@dataclass(frozen=True)
class Resetting:
    """How long neurons rest after a spike, in steps, and what the gradient sees."""

    refractory: int = 0
    through: bool = True
    instant: bool = False
    surrogate: str = "arctan"
    slope: float = 2.0


def run(
    u: Tensor, abar: Tensor, g: Tensor, d: Tensor, theta: Tensor, r: Tensor | None, how: Resetting
) -> tuple[Tensor, Tensor]:
    """Membranes y and spikes s (B, H, L) of inputs ``u`` (B, H, L).

    ``abar``, ``g``, ``r`` (H, N); ``d``, ``theta`` (H,), all used in the precision of ``u``; ``r``
    None: a hard reset. Compiled where :mod:`snn_ssm.model.operators` can do it; states are then
    kept every 32 steps and computed again on the way back. :func:`steps` is the definition.
    """
    if how.surrogate in SURROGATES and operators.usable(u, "loops"):
        y, s = loop.run(
            by_channel(u), abar, g, d, theta, r, how.refractory, how.through, how.instant,
            how.surrogate, how.slope,
        )  # fmt: skip
        return by_sample(y), by_sample(s)
    return steps(u, abar, g, d, theta, r, how)


def steps(
    u: Tensor, abar: Tensor, g: Tensor, d: Tensor, theta: Tensor, r: Tensor | None, how: Resetting
) -> tuple[Tensor, Tensor]:
    """What :func:`run` is, a step after the other in plain torch."""
    kind = u.dtype.to_complex() if abar.is_complex() else u.dtype
    abar, g = abar.to(kind), g.to(kind)
    d, theta = d.to(u.dtype), theta.to(u.dtype)
    x = abar.new_zeros(u.shape[0], *abar.shape)  # (B, H, N)
    s = torch.zeros_like(u[..., 0])  # (B, H)
    rest = torch.zeros_like(s)  # steps
    membranes, spikes = [], []
    for k in range(u.shape[-1]):
        if how.instant:
            x = x.detach()
        took = (s if how.through and not how.instant else s.detach())[..., None]
        x = x * (1 - took) if r is None else x - r.to(kind) * took
        x = abar * x + u[..., k, None]
        held = rest > 0
        if r is None:
            x = x.masked_fill(held[..., None], 0)
        y = real_dot(g, x) + d * u[..., k]
        s = heaviside(y - theta, how.surrogate, how.slope).masked_fill(held, 0)
        rest = torch.where(s > 0, how.refractory, rest - held.to(rest.dtype)).to(rest.dtype)
        membranes.append(y)
        spikes.append(s)
    return torch.stack(membranes, -1), torch.stack(spikes, -1)
