"""The chunked convolution of :mod:`snn_ssm.model.chunks`, compiled."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import torch
from torch import Tensor

from snn_ssm.model.operators.library import call

STEPS = 48  # T: measured best of 32, 48, 64, 96, by 2 to 10 %, with less memory than 32
_LANES = 16  # what states are filled up to, as STEPS is: whole vectors of any target


class _Sizes(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int64)
        for name in ("batch", "length", "steps", "count", "modes", "planes", "state")
    ]


class Norm(NamedTuple):
    """A batch norm before a convolution: weight and bias (H,), and what is added to a variance."""

    weight: Tensor
    bias: Tensor
    eps: float


def convolve(u: Tensor, abar: Tensor, g: Tensor, d: Tensor) -> Tensor:
    """``y[t] = sum_{j<=t} K[j] u[t-j] + d u[t]``, ``K[j] = Re(sum_n g_n abar_n^j)``.

    Shapes: ``u`` (H, B, L), ``abar`` and ``g`` (H, N), complex or real, ``d`` (H,) -> (H, B, L), of
    the dtype of ``u``. Tables of powers are made in float64 and rounded to it.
    """
    found: Tensor = _Convolution.apply(u, None, None, 0.0, *_modes(abar, g, d))[0]
    return found


def convolve_normed(
    h: Tensor, norm: Norm, abar: Tensor, g: Tensor, d: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """:func:`convolve` of ``h`` (H, B, L) normed over its batch, which is never in memory.

    Returns y, h, and its mean and variance (H,), which have no gradient. The h to go on with is the
    one that is returned: its gradient is added to that of the norm in one pass.
    """
    return _Convolution.apply(h, *norm, *_modes(abar, g, d))  # type: ignore[no-any-return]


def _modes(abar: Tensor, g: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _planes(abar), _planes(g), d.double().contiguous()


def _planes(x: Tensor) -> Tensor:
    """(H, N) as (H, planes, N) float64 numbers, real and imaginary."""
    if not x.is_complex():
        return x[:, None].double()
    return torch.view_as_real(x.resolve_conj()).transpose(1, 2).double().contiguous()


class _Convolution(torch.autograd.Function):
    """Forward and adjoint by the compiled operators, tables and the norm (or None) included."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, u: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float,
        abar: Tensor, g: Tensor, d: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        channels, batch, length = u.shape
        planes, modes = abar.shape[1:]
        state = -(-planes * modes // _LANES) * _LANES
        sizes = _Sizes(batch, length, STEPS, -(-length // STEPS), modes, planes, state)
        k, decay = u.new_empty(channels, STEPS), u.new_empty(channels, state)
        enter, enter_t, leave, leave_t = (u.new_empty(channels, STEPS * state) for _ in range(4))
        call(
            "tables_forward", u, channels, sizes, abar, g, d, k, enter, enter_t, leave, leave_t,
            decay,
        )  # fmt: skip
        y = torch.empty_like(u)
        states = u.new_empty(channels, batch, sizes.count, state)
        mean, var = u.new_empty(channels), u.new_empty(channels)
        call(
            "chunks_forward", u, channels, sizes, u, weight, bias, eps, k, enter, leave, decay, y,
            states, mean, var,
        )  # fmt: skip
        ctx.save_for_backward(
            u, weight, bias, mean, var, states, abar, g, k, enter_t, leave_t, decay
        )
        ctx.sizes, ctx.eps = sizes, eps
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(mean, var)
        return y, u, mean, var

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad: Tensor | None, more: Tensor | None, *_: None
    ) -> tuple[Tensor | None, ...]:
        if grad is None:
            return more, None, None, None, None, None, None
        u, weight, bias, mean, var, states, abar, g, k, enter_t, leave_t, decay = ctx.saved_tensors
        normed = weight is not None
        grad_u = torch.empty_like(u) if normed or ctx.needs_input_grad[0] else None
        grad_weight, grad_bias = (torch.empty_like(mean) if normed else None for _ in range(2))
        grad_k, grad_enter, grad_leave, grad_decay = (
            torch.empty_like(x) for x in (k, enter_t, leave_t, decay)
        )
        call(
            "chunks_backward", u, len(u), ctx.sizes, grad.contiguous(), u, weight, bias, ctx.eps,
            mean, var, None if more is None else more.contiguous(), states, k, enter_t, leave_t,
            decay, grad_u, grad_weight, grad_bias, grad_k, grad_enter, grad_leave, grad_decay,
        )  # fmt: skip
        grad_abar, grad_g, grad_d = (torch.empty_like(x) for x in (abar, g, abar[:, 0, 0]))
        call(
            "tables_backward", u, len(u), ctx.sizes, abar, g, grad_k, grad_enter, grad_leave,
            grad_decay, grad_abar, grad_g, grad_d,
        )  # fmt: skip
        return grad_u, grad_weight, grad_bias, None, grad_abar, grad_g, grad_d
