"""The chunked convolution of :mod:`snn_ssm.model.chunks`, compiled."""

from __future__ import annotations

import ctypes
from typing import Any

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


def convolve(u: Tensor, abar: Tensor, g: Tensor, d: Tensor) -> Tensor:
    """``y[t] = sum_{j<=t} K[j] u[t-j] + d u[t]``, ``K[j] = Re(sum_n g_n abar_n^j)``.

    Shapes: ``u`` (H, B, L), ``abar`` and ``g`` (H, N), complex or real, ``d`` (H,) -> (H, B, L), of
    the dtype of ``u``. Tables of powers are made in float64 and rounded to it.
    """
    return _Convolution.apply(u, _planes(abar), _planes(g), d.double().contiguous())


def _planes(x: Tensor) -> Tensor:
    """(H, N) as (H, planes, N) float64 numbers, real and imaginary."""
    return torch.stack([x.real, x.imag] if x.is_complex() else [x], dim=1).double()


class _Convolution(torch.autograd.Function):
    """Forward and adjoint by the compiled operators, tables included."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, u: Tensor, abar: Tensor, g: Tensor, d: Tensor
    ) -> Tensor:
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
        call("chunks_forward", u, channels, sizes, u, k, enter, leave, decay, y, states)
        ctx.save_for_backward(u, states, abar, g, k, enter_t, leave_t, decay)
        ctx.sizes = sizes
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        u, states, abar, g, k, enter_t, leave_t, decay = ctx.saved_tensors
        grad_u = torch.empty_like(u) if ctx.needs_input_grad[0] else None
        grad_k, grad_enter, grad_leave, grad_decay = (
            torch.empty_like(x) for x in (k, enter_t, leave_t, decay)
        )
        call(
            "chunks_backward", u, len(u), ctx.sizes, grad.contiguous(), u, states, k, enter_t,
            leave_t, decay, grad_u, grad_k, grad_enter, grad_leave, grad_decay,
        )  # fmt: skip
        grad_abar, grad_g, grad_d = (torch.empty_like(x) for x in (abar, g, abar[:, 0, 0]))
        call(
            "tables_backward", u, len(u), ctx.sizes, abar, g, grad_k, grad_enter, grad_leave,
            grad_decay, grad_abar, grad_g, grad_d,
        )  # fmt: skip
        return grad_u, grad_abar, grad_g, grad_d
