"""The loop of :mod:`snn_ssm.model.reset` with a history or a recurrent matrix, compiled."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from snn_ssm.model.operators.library import call, constant
from snn_ssm.model.operators.loop import Loop, Settings, planes_of


class _Feedback(ctypes.Structure):
    _fields_ = [("loop", Loop), *((n, ctypes.c_int64) for n in ("history", "memory", "wired"))]


def run(
    u: Tensor, abar: Tensor, g: Tensor, d: Tensor, theta: Tensor, r: Tensor | None,
    history: Tensor | None, weight: Tensor | None, taps: Tensor | None, settings: Settings,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Membranes and spikes (B, H, L) of inputs ``u`` (B, H, L), as ``reset.run`` says.

    ``weight`` (H, H), (to, from); ``taps`` (H, M): what each of a neuron's spikes weighs 1, 2, ...
    steps later, None: 1 a step later. The others as :func:`snn_ssm.model.operators.loop.run`.
    """
    tables = [planes_of(x, u.dtype) for x in (abar, g)]
    takes = None if r is None else planes_of(r, u.dtype)
    others = [
        None if x is None else x.to(u.dtype).contiguous() for x in (d, theta, history, weight, taps)
    ]
    y, s = _FeedbackLoop.apply(u, *tables, takes, *others, settings)
    return y, s


def _grouped(x: Tensor, lanes: int) -> Tensor:
    """(B, H, L) -> (groups, L, H, lanes), filled up with samples of zeros."""
    groups = -(-len(x) // lanes)
    x = functional.pad(x, (0, 0, 0, 0, 0, groups * lanes - len(x)))
    return x.unflatten(0, (groups, lanes)).permute(0, 3, 2, 1).contiguous()


def _ungrouped(x: Tensor, batch: int) -> Tensor:
    """The inverse of :func:`_grouped`, by channels in memory."""
    channels, length = x.shape[2], x.shape[1]
    by_channel = x.permute(2, 0, 3, 1).reshape(channels, -1, length)[:, :batch]
    return by_channel.contiguous().transpose(0, 1)


def _late(s: Tensor, taps: Tensor | None) -> Tensor:
    """``sum_m taps_m s[k - 1 - m]``, (B, H, L) -> (B, H, L)."""
    before = functional.pad(s, (1, 0))[..., :-1]
    if taps is None:
        return before
    padded = functional.pad(before, (taps.shape[1] - 1, 0))
    return functional.conv1d(padded, taps.flip(-1)[:, None], groups=len(taps))


class _FeedbackLoop(torch.autograd.Function):
    """Forward and backward by the compiled operators; states are kept every few steps only."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, u: Tensor, abar: Tensor, g: Tensor, r: Tensor | None, d: Tensor, theta: Tensor,
        history: Tensor | None, weight: Tensor | None, taps: Tensor | None, settings: Settings,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        batch, channels, length = u.shape
        planes, _, modes = abar.shape
        lanes, kept = (constant(name, u, part="loops") for name in ("loop_lanes", "loop_kept"))
        groups = -(-batch // lanes)
        loop = Loop(channels, batch, length, modes, planes, r is None, *settings)
        memory = 1 if taps is None else taps.shape[1]
        acts = _Feedback(
            loop, 0 if history is None else history.shape[1], memory, weight is not None
        )
        inputs = _grouped(u, lanes)
        states = u.new_empty(
            groups, -(-length // kept), channels, planes * modes + 2, lanes
        )
        v, y, s = (torch.empty_like(inputs) for _ in range(3))
        call(
            "feedback_forward", u, groups, acts, inputs, abar, g, r, d, theta, history, weight,
            taps, v, y, s, states, part="loops",
        )  # fmt: skip
        membranes, spikes = _ungrouped(y, batch), _ungrouped(s, batch)
        ctx.save_for_backward(v, y, spikes, states, abar, g, r, d, theta, history, weight, taps)
        ctx.acts = acts
        ctx.set_materialize_grads(False)
        return membranes, spikes

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad_y: Tensor | None, grad_s: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        v, y, s, states, abar, g, r, d, theta, history, weight, taps = ctx.saved_tensors
        groups, _, channels, lanes = v.shape
        planes, _, modes = abar.shape
        dy = torch.zeros_like(v) if grad_y is None else _grouped(grad_y, lanes)
        ds = None if grad_s is None else _grouped(grad_s, lanes)
        grad_v = torch.empty_like(v)
        sums = [v.new_empty(groups, planes * modes, channels) for _ in range(3)]  # abar, g, r
        grad_d, grad_theta = v.new_empty(groups, channels), v.new_empty(groups, channels)
        grad_a = None if history is None else v.new_empty(groups, *history.shape)
        call(
            "feedback_backward", v, groups, ctx.acts, dy, ds, v, y, states, abar, g, r, d, theta,
            history, weight, taps, grad_v, *sums, grad_d, grad_theta, grad_a, part="loops",
        )  # fmt: skip
        grad_u = _ungrouped(grad_v, len(s))
        tables = [x.sum(0).unflatten(0, (planes, modes)).transpose(1, 2) for x in sums]
        return (
            grad_u, *tables[:2], None if r is None else tables[2], grad_d.sum(0),
            grad_theta.sum(0), None if grad_a is None else grad_a.sum(0),
            *_wiring(grad_u, s, weight, taps), None,
        )  # fmt: skip


def _wiring(
    grad: Tensor, s: Tensor, weight: Tensor | None, taps: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of the matrix and its taps, from that of the input that they add to."""
    if weight is None:
        return None, None
    flat = grad.transpose(0, 1).flatten(1)  # (H, B L)
    of_weight = flat @ _late(s, taps).transpose(0, 1).flatten(1).t()
    if taps is None:
        return of_weight, None
    late = (weight.t() @ flat).unflatten(1, (len(s), -1)).transpose(0, 1)  # (B, H, L)
    length = s.shape[-1]
    each = [
        (late[..., m + 1 :] * s[..., : max(length - 1 - m, 0)]).sum((0, 2))
        for m in range(taps.shape[1])
    ]
    return of_weight, torch.stack(each, -1)
