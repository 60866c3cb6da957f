"""Spike functions: a Heaviside step forward, a surrogate gradient backward."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pynn_models.errors import SnnSsmError


class SpikeFunctionError(SnnSsmError):
    """An unknown surrogate gradient."""


class _Heaviside(torch.autograd.Function):
    """A step at 0 forward; backward the gradient times ``derivative(y)``."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, derivative: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(y)
        ctx.derivative = derivative
        return (y > 0).to(y.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return grad * ctx.derivative(y), None


def fast_sigmoid(y: Tensor, slope: float = 25.0) -> Tensor:
    """``s = 1 if y > 0 else 0``; backward ``ds/dy = 1 / (1 + slope |y|)^2``.

    Any shape. Source: Stan & Rhodes, arXiv 2401.00955, section 2 (slope 25); Zenke & Ganguli 2018.
    """
    return _Heaviside.apply(y, lambda y: (y.abs() * slope + 1).square_().reciprocal_())


def arctan(y: Tensor, slope: float = 2.0) -> Tensor:
    """``s = 1 if y > 0 else 0``; backward ``ds/dy = 1 / (1 + (pi/2 slope y)^2)``.

    The derivative of ``arctan(pi/2 slope y) / (pi/2 slope)``: 1 at the threshold, as for
    :func:`fast_sigmoid`. Any shape. Source: Fang et al. 2021 (up to the factor slope/2).
    """
    return _Heaviside.apply(
        y, lambda y: ((y * (math.pi / 2 * slope)).square_() + 1).reciprocal_()
    )


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
