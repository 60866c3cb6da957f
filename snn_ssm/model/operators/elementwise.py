"""Batch norm, steps and products, compiled: what :mod:`snn_ssm.model` defines in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from snn_ssm.model.operators.library import call

SURROGATES = ("fast-sigmoid", "arctan", "triangle")  # in the order of spikes.h; others by torch


def norm_forward(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The normed rows (H, M), and mean and variance (H,) of each."""
    y, mean, var = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
    call("norm_forward", x, len(x), x.shape[1], eps, x, weight, bias, y, mean, var)
    return y, mean, var


def norm_backward(
    grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, var: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x (H, M), weight and bias (H,)."""
    grad_x, grad_weight, grad_bias = (torch.empty_like(like) for like in (x, weight, weight))
    call(
        "norm_backward", x, len(x), x.shape[1], eps, grad, x, weight, mean, var, grad_x,
        grad_weight, grad_bias,
    )  # fmt: skip
    return grad_x, grad_weight, grad_bias


def norm_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (H,) of the rows (H, M)."""
    mean, var = x.new_empty(len(x)), x.new_empty(len(x))
    call("norm_moments", x, len(x), x.shape[1], x, mean, var)
    return mean, var


def norm_apply(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, mean: Tensor, var: Tensor
) -> Tensor:
    """The rows (H, M) normed by a mean and a variance (H,)."""
    y = torch.empty_like(x)
    call("norm_apply", x, len(x), x.shape[1], x, weight, bias, eps, mean, var, y)
    return y


def norm_sums(
    grad: Tensor, x: Tensor, eps: float, mean: Tensor, var: Tensor
) -> tuple[Tensor, Tensor]:
    """``sum dy z`` and ``sum dy`` of each row: the gradients of weight and bias (H,)."""
    along, plain = torch.empty_like(mean), torch.empty_like(mean)
    call("norm_sums", x, len(x), x.shape[1], grad, x, eps, mean, var, along, plain)
    return along, plain


def norm_gradient(
    grad: Tensor, x: Tensor, weight: Tensor, eps: float, mean: Tensor, var: Tensor,
    along: Tensor, plain: Tensor,
) -> Tensor:  # fmt: skip
    """The gradient of x (H, M), from the means of ``dy z`` and of ``dy`` (H,) over the batch."""
    grad_x = torch.empty_like(x)
    call(
        "norm_gradient", x, len(x), x.shape[1], grad, x, weight, eps, mean, var, along, plain,
        grad_x,
    )  # fmt: skip
    return grad_x


def step_backward(grad: Tensor, y: Tensor, surrogate: str, slope: float) -> Tensor:
    """``grad f'(y)``, of one shape and order in memory, f' a surrogate of ``SURROGATES``."""
    grad_y = torch.empty_like(y)
    call("step_backward", y, y.numel(), SURROGATES.index(surrogate), slope, grad, y, grad_y)
    return grad_y


def ternary_forward(y: Tensor, delta: Tensor) -> Tensor:
    """``H(y - delta) - H(-y - delta)`` of rows (H, M), delta (H,)."""
    s = torch.empty_like(y)
    call("ternary_forward", y, len(y), y.shape[1], y, delta, s)
    return s


def ternary_backward(
    grad: Tensor, y: Tensor, delta: Tensor, surrogate: str, slope: float
) -> tuple[Tensor, Tensor]:
    """The gradients of y (H, M) and delta (H,)."""
    grad_y, grad_delta = torch.empty_like(y), torch.empty_like(delta)
    call(
        "ternary_backward", y, len(y), y.shape[1], SURROGATES.index(surrogate), slope, grad, y,
        delta, grad_y, grad_delta,
    )  # fmt: skip
    return grad_y, grad_delta


def gate_forward(
    value: Tensor, gate: Tensor, weight: Tensor, bias: Tensor, eps: float, h: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """``h + GELU(norm(value gate))`` of rows (H, M), and the norm's mean and variance (H,)."""
    out, mean, var = torch.empty_like(value), torch.empty_like(weight), torch.empty_like(weight)
    call(
        "gate_forward", value, len(value), value.shape[1], value, gate, weight, bias, eps, h, out,
        mean, var,
    )  # fmt: skip
    return out, mean, var


def gate_backward(
    grad: Tensor, value: Tensor, gate: Tensor, weight: Tensor, bias: Tensor, eps: float,
    mean: Tensor, var: Tensor,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The gradients of value and gate (H, M), of weight and bias (H,)."""
    found = [torch.empty_like(like) for like in (value, gate, weight, bias)]
    call(
        "gate_backward", value, len(value), value.shape[1], grad, value, gate, weight, bias, eps,
        mean, var, *found,
    )  # fmt: skip
    return tuple(found)


def mix(
    weight: Tensor, x: Tensor, bias: Tensor | None, onto: Tensor | None = None,
    transposed: bool = False,
) -> Tensor:  # fmt: skip
    """``W x + b + onto``, or with W^T: (H', H) or (H, H'), (H, M), (H',), (H', M) -> (H', M)."""
    to = weight.shape[1 if transposed else 0]
    y = x.new_empty(to, x.shape[1])
    call("mix", x, x.shape[1], to, len(x), x.shape[1], transposed, weight, x, bias, onto, y)
    return y


def mix_weight(grad: Tensor, x: Tensor) -> Tensor:
    """The gradient of :func:`mix`'s W, ``dy x^T``: (H', M), (H, M) -> (H', H)."""
    found = x.new_empty(len(grad), len(x))
    call("mix_weight", x, len(grad), len(x), x.shape[1], grad, x, found)
    return found
