"""Spike functions: steps forward, a surrogate gradient backward.

A surrogate is the derivative, as a function of the distance y from the threshold, that stands in
for that of the step. ``slope`` makes it narrower; its height at the threshold is fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pynn_models.errors import SnnSsmError
from snn_ssm.model import operators
from snn_ssm.model.layout import by_channel, by_sample, from_rows, rows
from snn_ssm.model.operators import elementwise

Derivative = Callable[[Tensor, float], Tensor]

STEP_SHARE = 0.15  # of the step's largest magnitude: the threshold of the published GSU

# Multi-Gaussian: height and width of the negative side lobes, width of the centre, and a damping.
_LOBE, _SPREAD, _SIGMA, _DAMPING = 0.15, 6.0, 0.5, 0.5


class SpikeFunctionError(SnnSsmError):
    """An unknown surrogate gradient."""


def _fast_sigmoid(y: Tensor, slope: float) -> Tensor:
    return (y.abs() * slope + 1).square_().reciprocal_()


def _arctan(y: Tensor, slope: float) -> Tensor:
    return ((y * (math.pi / 2 * slope)).square_() + 1).reciprocal_()


def _triangle(y: Tensor, slope: float) -> Tensor:
    return (1 - y.abs() * slope).clamp_(min=0)


def _gaussian(x: Tensor, mean: float, sigma: float) -> Tensor:
    scale = 1 / (sigma * math.sqrt(2 * math.pi))
    return ((x - mean) / sigma).square_().mul_(-0.5).exp_().mul_(scale)


def _multi_gaussian(y: Tensor, slope: float) -> Tensor:
    x, wide = y * slope, _SPREAD * _SIGMA
    centre = (1 + _LOBE) * _gaussian(x, 0.0, _SIGMA)
    lobes = _gaussian(x, _SIGMA, wide) + _gaussian(x, -_SIGMA, wide)
    return _DAMPING * (centre - _LOBE * lobes)


def _shifted_gaussian(y: Tensor, slope: float) -> Tensor:
    return _gaussian(y, 0.5 / slope, 1 / slope)


_DERIVATIVES: dict[str, Derivative] = {
    "fast-sigmoid": _fast_sigmoid,
    "arctan": _arctan,
    "triangle": _triangle,
    "multi-gaussian": _multi_gaussian,
    "shifted-gaussian": _shifted_gaussian,  # for attacks: snn_ssm.model.sensitivity
}


def derivative(surrogate: str) -> Derivative:
    """A surrogate's function of the distance from the threshold and the slope.

    Raises :class:`SpikeFunctionError` for an unknown name.
    """
    if surrogate not in _DERIVATIVES:
        raise SpikeFunctionError(
            f"unknown surrogate gradient {surrogate!r}; use one of {', '.join(_DERIVATIVES)}."
        )
    return _DERIVATIVES[surrogate]


def _compiled(y: Tensor, surrogate: str) -> bool:
    """Whether operators do the work for a membrane: (B, H, L), and not a single step."""
    known = surrogate in elementwise.SURROGATES
    return known and y.ndim == 3 and y.shape[-1] > 1 and operators.usable(y)


def _where(compare: Callable[..., Tensor], y: Tensor, level: Tensor | float) -> Tensor:
    """1 where ``y`` compares so with a level, else 0, in the order of ``y`` in memory."""
    if torch.compiler.is_compiling():  # it cannot trace ``out`` of such an order, and fuses both
        return compare(y, level).to(y.dtype)
    return compare(y, level, out=torch.empty_like(y))  # twice as fast as a mask made a number


class _Heaviside(torch.autograd.Function):
    """A step at 0 forward; backward the gradient times the surrogate's derivative at y."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, surrogate: str, slope: float) -> Tensor:
        ctx.save_for_backward(y)
        ctx.surrogate, ctx.slope = surrogate, slope
        return _where(torch.gt, y, 0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        if _compiled(y, ctx.surrogate):
            both = by_channel(grad), by_channel(y)
            found = elementwise.step_backward(*both, ctx.surrogate, ctx.slope)
            return by_sample(found), None, None
        return grad * derivative(ctx.surrogate)(y, ctx.slope), None, None


class _Integer(torch.autograd.Function):
    """Steps at 1/2, 3/2, ..., D - 1/2; backward the gradient within 1/2 of the range 0 to D."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(y)
        ctx.levels = levels
        # ceil(y - 1/2) counts the steps strictly below y
        return (y - 0.5).ceil_().clamp_(0, levels)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return grad * ((y > -0.5) & (y < ctx.levels + 0.5)), None


class _Ternary(torch.autograd.Function):
    """Steps at delta and -delta; backward the surrogate at either, to y and to delta."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, delta: Tensor, surrogate: str, slope: float) -> Tensor:
        ctx.save_for_backward(y, delta)
        ctx.surrogate, ctx.slope = surrogate, slope
        ctx.compiled = _compiled(y, surrogate) and delta.shape == (y.shape[1], 1)
        if ctx.compiled:
            return from_rows(elementwise.ternary_forward(rows(y), delta[:, 0].contiguous()), y)
        return _where(torch.gt, y, delta).sub_(_where(torch.lt, y, -delta))

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor, Tensor | None, None, None]:
        y, delta = ctx.saved_tensors
        if ctx.compiled:
            found, grad_delta = elementwise.ternary_backward(
                rows(grad), rows(y), delta[:, 0].contiguous(), ctx.surrogate, ctx.slope
            )
            return from_rows(found, y), grad_delta[:, None], None, None
        slope_at = derivative(ctx.surrogate)
        above = slope_at(y - delta, ctx.slope)
        below = slope_at(-y - delta, ctx.slope)
        grad_delta = None
        if ctx.needs_input_grad[1]:
            grad_delta = (grad * (below - above)).sum_to_size(delta.shape)
        return grad * (above + below), grad_delta, None, None


class _Bernoulli(torch.autograd.Function):
    """A spike of probability sigmoid(y) forward; backward the probability's derivative."""

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        probability = torch.sigmoid(y)
        ctx.save_for_backward(probability)
        return torch.bernoulli(probability)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        (probability,) = ctx.saved_tensors
        return grad * probability * (1 - probability)


def heaviside(y: Tensor, surrogate: str, slope: float) -> Tensor:
    """``s = 1 if y > 0 else 0`` with the named surrogate gradient.

    Any shape. Raises :class:`SpikeFunctionError` for an unknown name.
    """
    derivative(surrogate)
    return _Heaviside.apply(y, surrogate, slope)


def fast_sigmoid(y: Tensor, slope: float = 25.0) -> Tensor:
    """``s = 1 if y > 0 else 0``; backward ``ds/dy = 1 / (1 + slope |y|)^2``.

    Any shape. Source: Stan & Rhodes, arXiv 2401.00955, section 2 (slope 25); Zenke & Ganguli 2018.
    """
    return heaviside(y, "fast-sigmoid", slope)


def arctan(y: Tensor, slope: float = 2.0) -> Tensor:
    """``s = 1 if y > 0 else 0``; backward ``ds/dy = 1 / (1 + (pi/2 slope y)^2)``.

    The derivative of ``arctan(pi/2 slope y) / (pi/2 slope)``: 1 at the threshold, as for
    :func:`fast_sigmoid`. Any shape. Source: Fang et al. 2021 (up to the factor slope/2).
    """
    return heaviside(y, "arctan", slope)


def triangle(y: Tensor, slope: float = 1.0) -> Tensor:
    """``s = 1 if y > 0 else 0``; backward ``ds/dy = max(0, 1 - slope |y|)``.

    Any shape. Source: Esser et al. 2016 (slope 1); Bellec et al. 2018 damp it by a factor of 0.3.
    """
    return heaviside(y, "triangle", slope)


def multi_gaussian(y: Tensor, slope: float = 1.0) -> Tensor:
    """``s = 1 if y > 0 else 0``; backward a Gaussian with negative side lobes, x = slope y::

        ds/dy = g ((1 + h) N(x | 0, sigma) - h N(x | sigma, s sigma) - h N(x | -sigma, s sigma))

    with N(x | mean, standard deviation), h = 0.15, s = 6, sigma = 0.5 and g = 0.5. Any shape.
    Source: Yin, Corradi & Bohte 2021, *Accurate and efficient time-domain classification with
    adaptive spiking recurrent neural networks* (slope 1; g is that of their published code).
    """
    return heaviside(y, "multi-gaussian", slope)


def integer(y: Tensor, levels: int) -> Tensor:
    """``s = sum_{j=1..D} H(y - (j - 1/2))``: 0 to D = ``levels`` spikes, y rounded and clamped.

    Comparisons are strict. Backward ``ds/dy = 1`` for -1/2 < y < D + 1/2, else 0. Any shape.
    Source: Luo et al. 2024, *Integer-Valued Training and Spike-Driven Inference Spiking Neural
    Network* (I-LIF), with a step for the range outside.
    """
    return _Integer.apply(y, levels)


def count(y: Tensor, first: Tensor, levels: int) -> Tensor:
    """``s = sum_{j=0..D-1} H(y - (first + j))``, D = ``levels``: the steps at and above ``first``.

    ``first`` of a shape that expands to that of ``y``. Without a gradient, for inference.
    """
    steps = [(y > first + j).to(y.dtype) for j in range(levels)]
    return torch.stack(steps).sum(0)


def ternary(y: Tensor, delta: Tensor, surrogate: str, slope: float) -> Tensor:
    """``T(y) = H(y - delta) - H(-y - delta)``: -1, 0 or 1, both comparisons strict.

    Backward, with D the surrogate's derivative: ``dT/dy = D(y - delta) + D(-y - delta)`` and
    ``dT/ddelta = D(-y - delta) - D(y - delta)``. ``y`` of any shape, ``delta`` > 0 of one that
    expands to it. Raises :class:`SpikeFunctionError` for an unknown surrogate.
    Source: Stan & Rhodes, arXiv 2401.00955, section 2.
    """
    derivative(surrogate)
    return _Ternary.apply(y, delta, surrogate, slope)


def step_threshold(y: Tensor) -> Tensor:
    """``delta = 0.15 max_h |y|`` of each sample and step: (B, H, L) -> (B, 1, L).

    A constant in the gradient. Source: as :func:`ternary`.
    """
    return STEP_SHARE * y.detach().abs().amax(1, keepdim=True)


def bernoulli(y: Tensor) -> Tensor:
    """``s = 1`` with probability ``p = sigmoid(y)``, else 0; backward ``ds/dy = p (1 - p)``.

    Any shape; draws from torch's generator. The gradient is that of the mean, passed straight
    through the sampling. For training: what is evaluated is the likelier of both, ``y > 0``.
    Source: Bengio, Leonard & Courville 2013, *Estimating or Propagating Gradients Through
    Stochastic Neurons*.
    """
    return _Bernoulli.apply(y)
