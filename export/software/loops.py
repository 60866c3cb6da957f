"""The compiled loops of the software backend, one sample after another: (B, L, H) arrays.

The arithmetic is that of the cells' contract, operation by operation: no fused multiply-add, and
exp and erf are the C library's, which numba calls.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from pynn_models.jit import njit

_SQRT_HALF = 0.7071067811865476  # the C library's M_SQRT1_2


# Inlined: a call makes the loops 4 to 8 % slower.
@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def _compare(b, k, acc, u, d, theta, spikes, membrane):  # type: ignore[no-untyped-def]
    """``y = acc + d u`` of sample b at step k, and a spike where ``y > theta``."""
    keep = membrane.shape[0] > 0
    for h in range(u.shape[2]):
        y = acc[h] + d[h] * u[b, k, h]
        spikes[b, k, h] = y > theta[h]
        if keep:
            membrane[b, k, h] = y


@njit(nogil=True)
def complex_modes(u, ar, ai, cr, ci, d, theta, spikes, membrane):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    modes = ar.shape[0]
    for b in range(samples):
        xr = np.zeros((modes, size))
        xi = np.zeros((modes, size))
        acc = np.empty(size)
        for k in range(steps):
            acc[:] = 0.0
            for n in range(modes):
                for h in range(size):
                    re = (ar[n, h] * xr[n, h] - ai[n, h] * xi[n, h]) + u[b, k, h]
                    im = ar[n, h] * xi[n, h] + ai[n, h] * xr[n, h]
                    xr[n, h] = re
                    xi[n, h] = im
                    acc[h] += cr[n, h] * re - ci[n, h] * im
            _compare(b, k, acc, u, d, theta, spikes, membrane)


@njit(nogil=True)
def real_modes(u, ar, cr, d, theta, spikes, membrane):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    modes = ar.shape[0]
    for b in range(samples):
        x = np.zeros((modes, size))
        acc = np.empty(size)
        for k in range(steps):
            acc[:] = 0.0
            for n in range(modes):
                for h in range(size):
                    x[n, h] = ar[n, h] * x[n, h] + u[b, k, h]
                    acc[h] += cr[n, h] * x[n, h]
            _compare(b, k, acc, u, d, theta, spikes, membrane)


@njit(nogil=True)
def add_product(u, emitted, weights):  # type: ignore[no-untyped-def]
    """``u[b, k] += sum_i emitted[b, k, i] weights[i]``, i ascending, silent sources passed over."""
    samples, steps, size = u.shape
    for b in range(samples):
        for k in range(steps):
            for i in range(weights.shape[0]):
                value = emitted[b, k, i]
                if value != 0:
                    for h in range(size):
                        u[b, k, h] += value * weights[i, h]


@njit(nogil=True)
def leaky(u, decay, theta, spikes, membrane):  # type: ignore[no-untyped-def]
    """``v = decay v + u``; where v is above theta a spike, and v is 0 afterwards."""
    samples, steps, size = u.shape
    keep = membrane.shape[0] > 0
    for b in range(samples):
        v = np.zeros(size)
        for k in range(steps):
            for h in range(size):
                y = decay[h] * v[h] + u[b, k, h]
                fired = y > theta[h]
                spikes[b, k, h] = fired
                v[h] = 0.0 if fired else y
                if keep:
                    membrane[b, k, h] = y


@njit(nogil=True)
def glu(value, gate, u):  # type: ignore[no-untyped-def]
    """``u += value / (1 + exp(-gate))``."""
    samples, steps, size = u.shape
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                u[b, k, h] += value[b, k, h] / (1.0 + math.exp(-gate[b, k, h]))


@njit(nogil=True)
def gsu(value, gate, shift, gain, u):  # type: ignore[no-untyped-def]
    """``u += gain GELU(value gate + shift)``: ``((z / 2) (1 + erf(z / sqrt(2)))) gain``."""
    samples, steps, size = u.shape
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                z = value[b, k, h] * gate[b, k, h] + shift[h]
                gelu = (0.5 * z) * (1.0 + math.erf(z * _SQRT_HALF))
                u[b, k, h] += gelu * gain[h]
