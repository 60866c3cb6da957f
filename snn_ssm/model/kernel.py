"""The convolution kernel of a diagonal state-space layer, and three ways to apply the layer.

``convolve`` (FFT) is for training, ``scan`` (blockwise) and ``step`` for inference. All are pure
functions of the discrete poles ``abar`` and the readout weights ``g = c bbar`` of each mode:

    x_n[k] = abar_n x_n[k-1] + u[k],    y[k] = Re(sum_n g_n x_n[k]) + d u[k],

where ``g`` carries the input weight bbar and, for complex modes, the factor 2 of the conjugate
pair. Complex or real modes, float32 or float64. Source: Gu et al. 2022, section 3.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from snn_ssm.model.layout import by_channel, by_sample

_SCAN_BLOCK = 32


def powers(abar: Tensor, count: int) -> Tensor:
    """``abar^0, abar^1, ..., abar^(count-1)``: shape (H, N) -> (H, N, count).

    Each doubling multiplies the table by one power, so the rounding error of the power l grows
    as l times the machine epsilon, like that of the recurrence itself.
    """
    table = torch.ones_like(abar)[..., None]  # (H, N, 1)
    factor = abar[..., None]  # (H, N, 1), abar^size
    while table.shape[-1] < count:
        table = torch.cat([table, table * factor], dim=-1)
        factor = factor * factor
    return table[..., :count]


def kernel(abar: Tensor, g: Tensor, length: int) -> Tensor:
    """``K[l] = Re(sum_n g_n abar_n^l)``: the impulse response, shape (H, N) -> (H, length).

    The Vandermonde matrix is never formed: with l = i m + j, ``abar^l = (abar^m)^i abar^j`` is a
    product of two tables of about sqrt(length) powers, and K a matrix product over the modes.
    Memory is O(H N sqrt(L) + H L) instead of O(H N L). The result is real, in the precision of
    ``g``.
    """
    m = 1 << max(0, math.ceil(math.log2(math.sqrt(length))))
    short = powers(abar, m)  # (H, N, m)
    long = powers(short[..., -1] * abar, -(-length // m))  # (H, N, L/m), powers of abar^m
    weighted = long * g[..., None]  # (H, N, L/m)
    if abar.is_complex():
        left = torch.cat([weighted.real, -weighted.imag], dim=1)  # (H, 2N, L/m)
        right = torch.cat([short.real, short.imag], dim=1)  # (H, 2N, m)
    else:
        left, right = weighted, short
    return torch.bmm(left.transpose(1, 2), right).flatten(1)[:, :length]  # (H, L)


def _fft_size(length: int) -> int:
    """The smallest 2^a 3^b 5^c at or above ``2 length - 1``, so that nothing wraps around."""
    target = max(1, 2 * length - 1)
    best = 1 << (target - 1).bit_length()
    for fives in range(8):
        for threes in range(12):
            odd = 5**fives * 3**threes
            if odd >= 2 * target:
                break
            best = min(best, odd << max(0, math.ceil(math.log2(target / odd))))
    return best


class _CausalConvolution(torch.autograd.Function):
    """The convolution and its adjoint, two large transforms each.

    Written out because autograd's own adjoint of a padded real transform costs 1.5 times as much.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, k: Tensor) -> Tensor:
        size = _fft_size(u.shape[-1])
        u_f = torch.fft.rfft(by_channel(u), n=size)  # (H, B, F)
        k_f = torch.fft.rfft(k, n=size)[:, None]  # (H, 1, F)
        ctx.save_for_backward(u_f, k_f)
        ctx.size = size
        return by_sample(torch.fft.irfft(u_f * k_f, n=size)[..., : u.shape[-1]])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor]:  # type: ignore[override]
        u_f, k_f = ctx.saved_tensors
        length = grad.shape[-1]
        grad_f = torch.fft.rfft(by_channel(grad), n=ctx.size)  # (H, B, F)
        grad_k = torch.fft.irfft((grad_f * u_f.conj()).sum(1), n=ctx.size)[..., :length]
        if not ctx.needs_input_grad[0]:
            return None, grad_k
        grad_u = torch.fft.irfft(grad_f * k_f.conj(), n=ctx.size)[..., :length]
        return by_sample(grad_u), grad_k


def convolve(u: Tensor, k: Tensor, d: Tensor) -> Tensor:
    """``y[t] = sum_{j<=t} K[j] u[t-j] + d u[t]``: causal convolution by FFT.

    Shapes: ``u`` (B, H, L), ``k`` (H, L), ``d`` (H,) -> (B, H, L).
    """
    impulse = torch.cat([k[:, :1] + d[:, None], k[:, 1:]], dim=-1)  # (H, L): d belongs to K[0]
    return _CausalConvolution.apply(u, impulse)


def convolve_bidirectional(u: Tensor, k: Tensor, k_back: Tensor, d: Tensor) -> Tensor:
    """``y[t] = sum_j K[j] u[t-j] + sum_j K_back[j] u[t+1+j] + d u[t]``: sees the future.

    Shapes as :func:`convolve`, ``k_back`` (H, L). For training only: it has no recurrence.
    """
    back = convolve(u.flip(-1), k_back, torch.zeros_like(d)).flip(-1)  # (B, H, L)
    return convolve(u, k, d) + torch.nn.functional.pad(back[..., 1:], (0, 1))


def step(
    x: Tensor, u: Tensor, abar: Tensor, g: Tensor, d: Tensor
) -> tuple[Tensor, Tensor]:
    """``x' = abar x + u``, ``y = Re(sum_n g_n x'_n) + d u``: one step of the recurrence.

    Shapes: ``x`` (B, H, N), ``u`` (B, H), ``abar`` and ``g`` (H, N), ``d`` (H,) ->
    new state (B, H, N), ``y`` (B, H).
    """
    if not abar.is_complex():
        x = abar * x + u[..., None]  # (B, H, N)
        return x, (g * x).sum(-1) + d * u
    x = abar * x  # (B, H, N)
    pairs = torch.view_as_real(x)  # (B, H, N, 2), the same memory
    pairs[..., 0] += u[..., None]
    weights = torch.view_as_real(g.conj().resolve_conj())  # (H, N, 2): (Re g, -Im g)
    return x, (pairs * weights).sum((-2, -1)) + d * u


def scan(
    u: Tensor, abar: Tensor, g: Tensor, d: Tensor, x: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The recurrence over a whole sequence, in blocks of a parallel prefix scan.

    Within a block the states follow from log2(block) shifted additions
    ``x[k] += abar^s x[k-s]``; the state at a block's end enters the next, so a sequence may be
    cut anywhere. Shapes: ``u`` (B, H, L), ``x`` (B, H, N) or None for zeros -> ``y`` (B, H, L) and
    the last state (B, H, N). Memory O(B H N) beyond input and output.
    """
    if x is None:
        x = abar.new_zeros(u.shape[0], *abar.shape)  # (B, H, N)
    table = powers(abar, _SCAN_BLOCK + 1)  # (H, N, block + 1)
    out = []
    for start in range(0, u.shape[-1], _SCAN_BLOCK):
        part = u[..., start : start + _SCAN_BLOCK]  # (B, H, T)
        size = part.shape[-1]
        states = part[:, :, None, :].to(abar.dtype).expand(-1, -1, abar.shape[1], -1)
        shift = 1
        while shift < size:
            shifted = table[..., shift, None] * states[..., :-shift]  # (B, H, N, T - shift)
            states = torch.cat(
                [states[..., :shift], states[..., shift:] + shifted], dim=-1
            )  # (B, H, N, T)
            shift *= 2
        states = states + table[..., 1 : size + 1] * x[..., None]  # (B, H, N, T)
        x = states[..., -1]
        out.append(real_dot(g[..., None], states, dim=-2) + d[:, None] * part)
    return torch.cat(out, dim=-1), x


def real_dot(g: Tensor, x: Tensor, dim: int = -1) -> Tensor:
    """``Re(sum g x)`` over the modes, without the unused imaginary half."""
    if x.is_complex():
        return (g.real * x.real - g.imag * x.imag).sum(dim)
    return (g * x).sum(dim)
