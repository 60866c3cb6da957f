"""The loop of :mod:`snn_ssm.model.reset`, compiled."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from snn_ssm.model.operators.library import call, constant

Settings = tuple[int, bool, bool, int, float]  # refractory, through, instant, surrogate, slope


class Loop(ctypes.Structure):
    """What the loops in C++ are told besides their arrays."""

    _fields_ = [
        *(
            (name, ctypes.c_int64)
            for name in (
                "channels", "batch", "length", "modes", "planes", "hard", "refractory", "through",
                "instant", "kind",
            )
        ),
        ("slope", ctypes.c_double),
    ]  # fmt: skip


def run(
    u: Tensor, abar: Tensor, g: Tensor, d: Tensor, theta: Tensor, r: Tensor | None,
    settings: Settings,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Membranes and spikes (H, B, L) of inputs ``u`` (H, B, L), as ``reset.run`` says.

    ``abar``, ``g`` and ``r`` (H, N), complex or real, ``d`` and ``theta`` (H,), of any precision:
    they are used in that of ``u``. ``r`` None: all modes to 0.
    """
    tables = [planes_of(x, u.dtype) for x in (abar, g)]
    takes = None if r is None else planes_of(r, u.dtype)
    d, theta = d.to(u.dtype).contiguous(), theta.to(u.dtype).contiguous()
    y, s = _Reset.apply(u, *tables, takes, d, theta, settings)
    return y, s


def planes_of(x: Tensor, dtype: torch.dtype) -> Tensor:
    """(H, N) as (planes, H, N) real numbers."""
    return torch.stack([x.real, x.imag] if x.is_complex() else [x]).to(dtype).contiguous()


class _Reset(torch.autograd.Function):
    """Forward and backward by the compiled operators; states are kept every few steps only."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, u: Tensor, abar: Tensor, g: Tensor, r: Tensor | None, d: Tensor, theta: Tensor,
        settings: Settings,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        channels, batch, length = u.shape
        planes, _, modes = abar.shape
        loop = Loop(channels, batch, length, modes, planes, r is None, *settings)
        lanes, kept = (constant(name, u, part="loops") for name in ("loop_lanes", "loop_kept"))
        groups = -(-channels * batch // lanes)
        states = u.new_empty(groups, -(-length // kept), planes * modes + 2, lanes)
        y, s = torch.empty_like(u), torch.empty_like(u)
        call(
            "loop_forward", u, groups, loop, u, abar, g, r, d, theta, y, s, states, part="loops"
        )
        ctx.save_for_backward(u, states, abar, g, r, d, theta)
        ctx.loop, ctx.groups = loop, groups
        ctx.set_materialize_grads(False)
        return y, s

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad_y: Tensor | None, grad_s: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        u, states, abar, g, r, d, theta = ctx.saved_tensors
        grad_y = torch.zeros_like(u) if grad_y is None else grad_y.contiguous()
        grad_s = None if grad_s is None else grad_s.contiguous()
        channels, batch = u.shape[:2]
        planes, _, modes = abar.shape
        grad_u = torch.empty_like(u)
        grad_abar, grad_g, grad_r = (
            u.new_empty(planes, modes, channels, batch) for _ in range(3)
        )
        grad_d, grad_theta = u.new_empty(channels, batch), u.new_empty(channels, batch)
        call(
            "loop_backward", u, ctx.groups, ctx.loop, grad_y, grad_s, u, states, abar, g, r, d,
            theta, grad_u, grad_abar, grad_g, grad_r, grad_d, grad_theta, part="loops",
        )  # fmt: skip
        sums = [x.sum(-1).transpose(1, 2) for x in (grad_abar, grad_g, grad_r)]  # (planes, H, N)
        of_r = None if r is None else sums[2]
        return grad_u, *sums[:2], of_r, grad_d.sum(-1), grad_theta.sum(-1), None
