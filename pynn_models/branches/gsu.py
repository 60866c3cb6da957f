"""The gated spiking unit: ``b = n GELU(v g + t)``, v of spikes and g of membranes."""

from __future__ import annotations

import math

import numpy as np

from pynn_models.branches.kind import BranchKind, FloatArray

_SQRT_HALF = 0.7071067811865476  # the C library's M_SQRT1_2


def _loop(value, gate, shift, gain, u):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                z = value[b, k, h] * gate[b, k, h] + shift[h]
                gelu = (0.5 * z) * (1.0 + math.erf(z * _SQRT_HALF))
                u[b, k, h] += gelu * gain[h]


def _bound(
    value: FloatArray, gate: FloatArray, shift: FloatArray, gain: FloatArray
) -> FloatArray:
    return np.abs(gain) * (value * gate + shift)  # |GELU(z)| <= |z|


GSU = BranchKind("gsu", loop=_loop, bound=_bound, graded=True, uses=("shift", "gain"))
