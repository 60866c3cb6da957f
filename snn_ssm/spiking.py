"""Spike functions: a Heaviside step forward, a surrogate gradient backward."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pynn_models.errors import SnnSsmError


class SpikeFunctionError(SnnSsmError):
    """An unknown surrogate gradient."""


class _FastSigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(y)
        ctx.slope = slope
        return (y > 0).to(y.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return grad / (y.abs() * ctx.slope + 1).square_(), None


class _Arctan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(y)
        ctx.slope = slope
        return (y > 0).to(y.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return grad / ((y * (math.pi / 2 * ctx.slope)).square_() + 1), None


def fast_sigmoid(y: Tensor, slope: float = 25.0) -> Tensor:
    """``s = 1 if y > 0 else 0``; backward ``ds/dy = 1 / (1 + slope |y|)^2``.

    Any shape. Source: Stan & Rhodes, arXiv 2401.00955, section 2 (slope 25); Zenke & Ganguli 2018.
    """
    return _FastSigmoid.apply(y, slope)


def arctan(y: Tensor, slope: float = 2.0) -> Tensor:
    """``s = 1 if y > 0 else 0``; backward ``ds/dy = 1 / (1 + (pi/2 slope y)^2)``.

    The derivative of ``arctan(pi/2 slope y) / (pi/2 slope)``: 1 at the threshold, as for
    :func:`fast_sigmoid`. Any shape. Source: Fang et al. 2021 (up to the factor slope/2).
    """
    return _Arctan.apply(y, slope)


_SURROGATES = {"fast-sigmoid": fast_sigmoid, "arctan": arctan}


def heaviside(y: Tensor, surrogate: str, slope: float) -> Tensor:
    """``s = 1 if y > 0 else 0`` with the named surrogate gradient.

    Raises :class:`SpikeFunctionError` for an unknown name.
    """
    if surrogate not in _SURROGATES:
        raise SpikeFunctionError(
            f"unknown surrogate gradient {surrogate!r}; use one of {', '.join(_SURROGATES)}."
        )
    return _SURROGATES[surrogate](y, slope)
