"""Quantisation-aware training: values rounded to what a target represents, one function a target.

Each is rounding forward and the identity backward (a straight-through gradient), computed in
float64 whatever the model's precision, so that training, the reference and lowering round alike.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snn_ssm.grids import DECAY_GRID, FASTEST_DECAY, POLE_GRID, POLE_RADIUS, SLOWEST_DECAY


class _RoundThrough(torch.autograd.Function):
    """Rounding whose gradient is that of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return grad


def round_through(x: Tensor) -> Tensor:
    """``rint(x)``, half to even; backward the gradient as it comes. Any shape."""
    return _RoundThrough.apply(x)


def quantise_weights(weight: Tensor, bits: int) -> Tensor:
    """``q rint(W / q)``, ``q = max|W| / (2^(bits-1) - 1)``: signed integers and one scale.

    Any shape, float32 or float64; the result is of the same. ``bits`` 0, or a W of zeros: W
    itself. The scale q counts as constant in the gradient. Source: Jacob et al. 2018, section 3.
    """
    if bits == 0:
        return weight
    exact = weight.double()
    scale = exact.detach().abs().max() / (2 ** (bits - 1) - 1)
    divisor = torch.where(scale > 0, scale, 1.0)
    return (round_through(exact / divisor) * divisor).to(weight.dtype)


def quantise_poles(abar: Tensor) -> Tensor:
    """Real and imaginary part in Q0.31, inside of the unit circle::

        n = rint(2^31 abar)               real and imaginary part each
        n = trunc(n (2^31 - 1) / |n|)     where |n| > 2^31 - 1: towards zero, so that it leaks
        abar = n / 2^31

    Any shape, float64 or complex128, which is what the result is of. The gradient passes straight
    through. The state-space cell of SpiNNaker holds its poles so, and a time constant is that of
    |abar| < 1: rounded to the nearest, a slow pole that rotates would grow. Lowering rounds alike
    (:func:`snn_ssm.poles.rounded_pole`).
    """
    parts = torch.view_as_real(abar) if abar.is_complex() else abar[..., None]  # (..., 1 or 2)
    units = round_through(parts * POLE_GRID)
    nearest = units.detach()
    radius = (nearest * nearest).sum(-1, keepdim=True).sqrt()
    inside = torch.trunc(nearest * POLE_RADIUS / torch.where(radius > 0, radius, 1.0))
    excess = nearest - torch.where(radius > POLE_RADIUS, inside, nearest)
    rounded = (units - excess) / POLE_GRID
    return torch.view_as_complex(rounded) if abar.is_complex() else rounded[..., 0]


def grid_decays(rate: Tensor) -> Tensor:
    """``exp(-n / 2^15)``, ``n = clip(rint(2^15 rate), 66, 2^18)``: decays of a stock synapse.

    ``rate`` > 0, a step's share of the time constant, any shape, float64. The gradient is that of
    ``exp(-rate)``; none beyond the slowest decay, of 496 steps, and the fastest,
    of an eighth of a step.
    """
    n = round_through(rate * DECAY_GRID).clamp(SLOWEST_DECAY, FASTEST_DECAY)
    return torch.exp(-n / DECAY_GRID)
