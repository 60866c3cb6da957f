"""The chunked convolution of :mod:`snn_ssm.model.chunks`, compiled."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from snn_ssm.model.operators.library import call

STEPS = 48  # T: measured best of 32, 48, 64, 96, by 2 to 10 %, with less memory than 32
_LANES = 16  # what states are filled up to, and steps a multiple of: whole vectors of any target


class _Sizes(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int64)
        for name in ("batch", "length", "steps", "count", "modes", "planes", "state")
    ]


def convolve(
    u: Tensor, k: Tensor, enter: Tensor, leave: Tensor, decay: Tensor
) -> Tensor:
    """``Y_c = U_c A + Re(X_c F)``, ``X_{c+1} = D X_c + U_c E`` in chunks of T steps.

    Shapes: ``u`` (H, B, L), ``k`` (H, T), A's diagonals; ``enter`` (H, T, N): E, ``leave``
    (H, N, T): F, ``decay`` (H, N): D, complex or real -> (H, B, L), of the dtype of ``u``, in which
    the tables are used. T a multiple of 16.
    """
    planes = 2 if decay.is_complex() else 1
    return _Convolution.apply(
        u,
        k.to(u.dtype).contiguous(),
        _planes(enter, 2).to(u.dtype),
        _planes(leave.conj() if planes == 2 else leave, 1).to(u.dtype),
        _planes(decay, 1).to(u.dtype),
        decay.shape[1],
        planes,
    )


def _planes(x: Tensor, axis: int) -> Tensor:
    """Modes along an axis as real numbers: N real parts, N imaginary ones, filled up with zeros."""
    parts = torch.cat([x.real, x.imag], axis) if x.is_complex() else x
    missing = -parts.shape[axis] % _LANES
    return functional.pad(parts, [0, 0] * (x.ndim - 1 - axis) + [0, missing]).contiguous()


class _Convolution(torch.autograd.Function):
    """Forward and adjoint by the compiled operators."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, u: Tensor, k: Tensor, enter: Tensor, leave: Tensor, decay: Tensor,
        modes: int, planes: int,
    ) -> Tensor:
        channels, batch, length = u.shape
        steps, state = enter.shape[1:]
        sizes = _Sizes(batch, length, steps, -(-length // steps), modes, planes, state)
        y = torch.empty_like(u)
        states = u.new_empty(channels, batch, sizes.count, state)
        call("chunks_forward", u, channels, sizes, u, k, enter, leave, decay, y, states)
        ctx.save_for_backward(u, states, k, enter, leave, decay)
        ctx.sizes = sizes
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        u, states, k, enter, leave, decay = ctx.saved_tensors
        grad = grad.contiguous()
        grad_u = torch.empty_like(u) if ctx.needs_input_grad[0] else None
        grad_k, grad_enter, grad_decay = (torch.empty_like(x) for x in (k, enter, decay))
        grad_leave = torch.empty_like(enter)
        call(
            "chunks_backward", u, len(u), ctx.sizes, grad, u, states, k,
            enter.transpose(1, 2).contiguous(), leave.transpose(1, 2).contiguous(), decay,
            grad_u, grad_k, grad_enter, grad_leave, grad_decay,
        )  # fmt: skip
        return grad_u, grad_k, grad_enter, grad_leave.transpose(1, 2), grad_decay, None, None
