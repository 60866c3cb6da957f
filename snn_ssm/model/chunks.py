"""The causal convolution of a state-space layer in chunks of steps: matrix products and states.

The same function as :func:`snn_ssm.model.kernel.convolve` of ``kernel.kernel``, and in float32 the
faster one for long sequences and few modes. A chunk c of T steps has the inputs U_c, (B, T) for
each channel, and the states X_c (B, N) before it, X_0 = 0:

    Y_c = U_c A + Re(X_c F),    X_{c+1} = D X_c + U_c E,

    A[s, t] = K[t - s] for s <= t, else 0,  K[j] = Re(sum_n g_n abar_n^j) + d (j = 0),
    E[s, n] = abar_n^(T-1-s),    F[n, t] = g_n abar_n^(t+1),    D = abar^T.

A complex number is two real ones in the products: Re(x f) = Re x Re f - Im x Im f.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from snn_ssm.model import operators
from snn_ssm.model.kernel import powers
from snn_ssm.model.layout import by_channel, by_sample
from snn_ssm.model.norms import ChannelBatchNorm
from snn_ssm.model.operators import convolution

STEPS = 64  # T
# Measured on one thread against the transforms, 64 channels, forward and backward (times faster):
# 16 complex modes 1.05 to 1.3 at 784 x 32, 1.1 to 1.2 at 4,096 x 6, 1.6 to 1.7 at 16,384 x 2; 0.75
# at 784 x 4, 0.7 at 128 x 64, 0.55 at 256 x 8; 32 complex modes 0.75 to 0.9 below 16,384 steps;
# in float64 0.8 to 0.9.
_SHORTEST = 512  # steps of a sequence
_MOST_MODES = 32  # real modes; a complex one counts twice
# Compiled: 16 complex modes 1.1 at 64 x 64, 1.6 at 128 x 64, 1.8 at 196 x 64, 2.7 at 784 x 4, in
# float64 1.6 to 2.7; 32 modes 1.4 to 2.8; 64 modes 0.9 at 784 x 32, 1.5 at 4,096 x 6.
_SHORTEST_COMPILED = 128
_MOST_COMPILED = 64


def worth_it(u: Tensor, abar: Tensor) -> bool:
    """Whether chunks beat transforms for an input ``u`` (B, H, L) and modes ``abar`` (H, N).

    It does not ask for B, so that no sample is computed otherwise in another batch. On a GPU it was
    not measured, and transforms stay.
    """
    modes = abar.shape[-1] * (2 if abar.is_complex() else 1)
    if operators.usable(u):
        return u.shape[-1] >= _SHORTEST_COMPILED and modes <= _MOST_COMPILED
    return (
        u.device.type == "cpu"
        and u.dtype == torch.float32
        and u.shape[-1] >= _SHORTEST
        and modes <= _MOST_MODES
    )


def convolve(u: Tensor, abar: Tensor, g: Tensor, d: Tensor) -> Tensor:
    """``y[t] = sum_{j<=t} K[j] u[t-j] + d u[t]``, in the precision of ``u``; K as above.

    Shapes: ``u`` (B, H, L), ``abar`` and ``g`` (H, N), ``d`` (H,) -> (B, H, L), any L. Tables are
    of the precision of ``abar`` and then rounded to that of ``u``. Memory beyond input and output:
    a copy of the input, and the states, 2N/T of it. One chunk's states follow from the last one's,
    so that slow modes are no less exact than by :func:`snn_ssm.model.kernel.scan`.
    """
    if operators.usable(u):
        return by_sample(convolution.convolve(by_channel(u), abar, g, d))
    table = powers(abar, STEPS + 1)  # (H, N, T + 1)
    weighted = g[..., None] * table  # (H, N, T + 1)
    real = weighted.real if abar.is_complex() else weighted
    k = real[..., :STEPS].sum(1)  # (H, T)
    k = torch.cat([k[:, :1] + d[:, None], k[:, 1:]], dim=-1)  # d belongs to K[0]
    enter = _parts(table[..., :STEPS].flip(-1).transpose(1, 2))  # (H, T, M): E
    leave = _parts(weighted[..., 1:].conj().transpose(1, 2)).transpose(1, 2)  # (H, M, T): F
    decay = table[..., STEPS].to(u.dtype.to_complex() if abar.is_complex() else u.dtype)
    return _ChunkedConvolution.apply(
        u, k.to(u.dtype), enter.to(u.dtype), leave.to(u.dtype), decay[:, None]
    )


def convolve_normed(
    h: Tensor, norm: ChannelBatchNorm, abar: Tensor, g: Tensor, d: Tensor
) -> tuple[Tensor, Tensor]:
    """``convolve(norm(h), abar, g, d)`` in training, and h to go on with; compiled.

    One pass over h, whose normed values are never in memory, and one back, which adds the gradient
    of the h that is returned to that of the norm.
    """
    values = convolution.Norm(norm.weight, norm.bias, norm.eps)
    y, same, mean, var = convolution.convolve_normed(by_channel(h), values, abar, g, d)
    norm.follow(mean, var, h.shape[0] * h.shape[2])
    return by_sample(y), by_sample(same)


def _parts(x: Tensor) -> Tensor:
    """Complex numbers (..., N) as (..., 2N), real and imaginary parts by turns; real ones as is."""
    return torch.view_as_real(x.resolve_conj()).flatten(-2) if x.is_complex() else x


def _whole(x: Tensor, like: Tensor) -> Tensor:
    """The inverse of :func:`_parts`: complex where ``like`` is."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2))) if like.is_complex() else x


def _in_chunks(x: Tensor) -> Tensor:
    """(B, H, L) -> (H, B C, T), filled up with zeros to whole chunks; a view where none is needed.
    """
    batch, channels, length = x.shape
    count = -(-length // STEPS)
    if length == count * STEPS:
        return by_channel(x).view(channels, batch * count, STEPS)
    copy = x.new_empty(channels, batch, count * STEPS)
    copy[..., :length] = x.transpose(0, 1)
    copy[..., length:] = 0
    return copy.view(channels, batch * count, STEPS)


def _in_one(x: Tensor, batch: int, length: int) -> Tensor:
    """The inverse of :func:`_in_chunks`: (H, B C, T) -> (B, H, L), by channels in memory."""
    return by_sample(x.view(len(x), batch, -1)[..., :length].contiguous())


def _toeplitz(k: Tensor) -> Tensor:
    """``A[s, t] = k[t - s]``, 0 for t < s: (H, T) -> (H, T, T)."""
    steps = k.shape[-1]
    return functional.pad(k, (steps - 1, 0)).unfold(-1, steps, 1).flip(1)


def _diagonals(a: Tensor) -> Tensor:
    """``sum_s a[s, s + j]``, the adjoint of :func:`_toeplitz`: (H, T, T) -> (H, T)."""
    steps = a.shape[-1]
    wide = functional.pad(a, (0, steps)).flatten(1)  # (H, 2 T^2): rows of 2T, zeros at their end
    skewed = wide.as_strided(a.shape, (wide.shape[1], 2 * steps + 1, 1))  # [s, j] = a[s, s + j]
    return skewed.sum(1)


class _ChunkedConvolution(torch.autograd.Function):
    """The two equations of the module, and their adjoint; autocast must not touch the products.

    With ``G_c = dL/dX_{c+1}``, 0 for the last chunk: ``G_{c-1} = dY_c F^H + conj(D) G_c``,
    ``dU_c = dY_c A^T + Re(G_c E^H)``, ``dA = sum U_c^T dY_c``, ``dE = sum U_c^T G_c``,
    ``dF = sum X_c^H dY_c``, ``dD = sum G_c conj(X_c)``.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, u: Tensor, k: Tensor, enter: Tensor, leave: Tensor, decay: Tensor
    ) -> Tensor:
        batch, _, length = u.shape
        chunks = _in_chunks(u)  # (H, B C, T)
        with torch.autocast(u.device.type, enabled=False):
            added = _whole(torch.bmm(chunks, enter), decay).unflatten(1, (batch, -1))
            states = torch.zeros_like(added)  # (H, B, C, N): X
            for c in range(1, states.shape[2]):
                torch.addcmul(added[:, :, c - 1], decay, states[:, :, c - 1], out=states[:, :, c])
            y = torch.bmm(chunks, _toeplitz(k))
            y.baddbmm_(_parts(states).flatten(1, 2), leave)  # (H, B C, T)
        ctx.save_for_backward(chunks, k, enter, leave, decay, states)
        return _in_one(y, batch, length)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        with torch.autocast(grad.device.type, enabled=False):
            return _adjoint(grad, ctx.needs_input_grad[0], *ctx.saved_tensors)


def _adjoint(
    grad: Tensor, of_u: bool, chunks: Tensor, k: Tensor, enter: Tensor, leave: Tensor,
    decay: Tensor, states: Tensor,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    """The gradients of u (where asked for), k, enter, leave and decay from that of y (B, H, L)."""
    batch, _, length = grad.shape
    grads = _in_chunks(grad)  # (H, B C, T)
    from_y = _whole(torch.bmm(grads, leave.transpose(1, 2)), decay).unflatten(1, (batch, -1))
    after = torch.zeros_like(states)  # (H, B, C, N): G
    back = decay.conj().resolve_conj()
    for c in range(after.shape[2] - 1, 0, -1):
        torch.addcmul(from_y[:, :, c], back, after[:, :, c], out=after[:, :, c - 1])
    grad_decay = (after[:, :, :-1] * states[:, :, :-1].conj()).sum((1, 2))[:, None]
    flat = _parts(after).flatten(1, 2)  # (H, B C, M)
    inputs = chunks.transpose(1, 2)  # (H, T, B C)
    grad_k = _diagonals(torch.bmm(inputs, grads))
    grad_enter = torch.bmm(inputs, flat)
    grad_leave = torch.bmm(_parts(states).flatten(1, 2).transpose(1, 2), grads)
    if not of_u:
        return None, grad_k, grad_enter, grad_leave, grad_decay
    grad_u = torch.bmm(grads, _toeplitz(k).transpose(1, 2))
    grad_u.baddbmm_(flat, enter.transpose(1, 2))
    return _in_one(grad_u, batch, length), grad_k, grad_enter, grad_leave, grad_decay
