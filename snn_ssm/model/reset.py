"""Neurons whose spikes act back: one loop over the steps, in plain torch and compiled.

    v[k] = u[k] + sum_j R_j s_j[k - 1 - d_j]                     of a recurrent layer, else u[k]
    z_n[k] = x_n[k-1] - r_n s[k-1],   or, hard, 0 after a spike:  z_n[k] = x_n[k-1] (1 - s[k-1])
    x_n[k] = abar_n z_n[k] + v[k]
    y[k] = Re(sum_n g_n x_n[k]) + d v[k]
    s[k] = 1 if y[k] > theta + sum_j a_j p[k-j] else 0,   p[k] = 1 if y[k] > theta else 0

With a refractory time of R steps no spike comes in the R steps after one, and a hard reset holds
the modes at 0 for as long. Complex or real modes; N = 1 real with a hard reset is the leaky
integrate-and-fire neuron, N = 1 complex with r a resonator that resets. Neurons without a reset
have r = 0, those without a history no a.

The gradient of a spike is its surrogate's. ``through``: it reaches the spike by its reset, too;
else the reset is a constant. ``instant``: none goes from a step to the one before it (spatial
learning through time, SLTT). Source: Meng et al. 2023, *Towards Memory- and Time-Efficient
Backpropagation for Training Spiking Neural Networks*; Zenke & Vogels 2021 (constant resets).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from snn_ssm.model import operators
from snn_ssm.model.delays import Recurrent
from snn_ssm.model.kernel import real_dot
from snn_ssm.model.layout import by_channel, by_sample
from snn_ssm.model.operators import feedback, loop
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


class Neurons(NamedTuple):
    """``abar``, ``g``, ``r`` (H, N), r None for a hard reset; ``d``, ``theta`` (H,)."""

    abar: Tensor
    g: Tensor
    d: Tensor
    theta: Tensor
    r: Tensor | None


def run(
    u: Tensor, neurons: Neurons, how: Resetting, history: Tensor | None = None,
    own: Recurrent | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Membranes y and spikes s (B, H, L) of inputs ``u`` (B, H, L), in whose precision all is used.

    ``history`` (H, J): a; ``own``: what the spikes bring, R and d. Compiled where
    :mod:`snn_ssm.model.operators` can do it, which is not with delays a synapse; states are then
    kept every 32 steps and computed again on the way back. :func:`steps` is the definition.
    """
    each = own is None or own.delays is None or own.delays.position.ndim == 1
    if not (each and how.surrogate in SURROGATES and operators.usable(u, "loops")):
        return steps(u, neurons, how, history, own)
    settings = (
        how.refractory, how.through, how.instant, SURROGATES.index(how.surrogate), how.slope,
    )  # fmt: skip
    if history is None and own is None:
        y, s = loop.run(by_channel(u), *neurons, settings)
        return by_sample(y), by_sample(s)
    weight = None if own is None else own.weight
    taps = None if own is None or own.delays is None else own.delays.taps()
    return feedback.run(u, *neurons, history, weight, taps, settings)


def steps(
    u: Tensor, neurons: Neurons, how: Resetting, history: Tensor | None = None,
    own: Recurrent | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """What :func:`run` is, a step after the other in plain torch."""
    kind = u.dtype.to_complex() if neurons.abar.is_complex() else u.dtype
    abar, g = neurons.abar.to(kind), neurons.g.to(kind)
    r = None if neurons.r is None else neurons.r.to(kind)
    d, theta = neurons.d.to(u.dtype), neurons.theta.to(u.dtype)
    a = u.new_zeros(u.shape[1], 0) if history is None else history.to(u.dtype)
    product = None if own is None else own.product()
    x = abar.new_zeros(u.shape[0], *abar.shape)  # (B, H, N)
    s = torch.zeros_like(u[..., 0])  # (B, H)
    past = u.new_zeros(*u.shape[:2], 1 if own is None else own.memory)  # spikes, the latest last
    above = u.new_zeros(*u.shape[:2], a.shape[1])  # p, the latest first
    rest = torch.zeros_like(s)  # steps
    membranes, spikes = [], []
    # Taken apart at once: the gradient of an indexed step would be an array of all steps.
    for now in u.movedim(-1, 0).unbind():
        if how.instant:
            x, past, above = x.detach(), past.detach(), above.detach()
        took = (s if how.through and not how.instant else s.detach())[..., None]
        x = x * (1 - took) if r is None else x - r * took
        v = now if product is None else now + product(past)
        x = abar * x + v[..., None]
        held = rest > 0
        if r is None:
            x = x.masked_fill(held[..., None], 0)
        y = real_dot(g, x) + d * v
        level = theta + (a * above).sum(-1)
        s = heaviside(y - level, how.surrogate, how.slope).masked_fill(held, 0)
        rest = torch.where(s > 0, how.refractory, rest - held.to(rest.dtype)).to(rest.dtype)
        past = torch.cat([past[..., 1:], s[..., None]], -1)
        if history is not None:
            p = heaviside(y - theta, how.surrogate, how.slope)
            above = torch.cat([p[..., None], above[..., :-1]], -1)
        membranes.append(y)
        spikes.append(s)
    return torch.stack(membranes, -1), torch.stack(spikes, -1)
