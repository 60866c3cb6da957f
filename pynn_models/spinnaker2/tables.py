"""The functions of gated inputs in float32: a table and a linear interpolation.

Sigmoid and normal distribution are symmetric, f(-x) = 1 - f(x), so a table of the left half does::

    t[i]  = f(-i h) rounded to float32,  i = 0 .. 1024
    T(a)  = t[i] + r (t[i+1] - t[i]),  i = the whole part of a / h, r = a / h - i;  0 from 1024 h on
    f(x)  = T(|x|) for x < 0,  1 - T(|x|) for x >= 0

h is a power of two, so that a / h and r are exact; the rest is a difference, a product and a sum,
each rounded. Sigmoid: h = 1/64, to 16, an error of at most 3.0e-6. Normal distribution: h = 1/128,
to 8, 1.9e-6. ``GELU(z) = z NORMAL(z)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pynn_models.jit import njit
from pynn_models.spinnaker2.core import Float32Array

INTERVALS = 1024


@dataclass(frozen=True, eq=False)
class FloatTable:
    """``entries`` (1025,) float32, and ``per_unit``, 1 / h."""

    entries: Float32Array
    per_unit: np.float32


def _table(function: Callable[[float], float], per_unit: int) -> FloatTable:
    values = [function(-i / per_unit) for i in range(INTERVALS + 1)]
    return FloatTable(np.array(values, np.float32), np.float32(per_unit))


SIGMOID = _table(lambda x: 1 / (1 + math.exp(-x)), 64)
NORMAL = _table(lambda x: math.erfc(-x * math.sqrt(0.5)) / 2, 128)


# With the loops that call it in one file: numba keeps those, and looks at their file alone.
@njit(nogil=True)
def half(table, per_unit, x):  # type: ignore[no-untyped-def]
    """f(x) of one float32."""
    t = abs(x) * per_unit
    left = np.float32(0)
    if t < np.float32(INTERVALS):
        i = int(t)
        left = table[i] + (t - np.float32(i)) * (table[i + 1] - table[i])
    return left if x < np.float32(0) else np.float32(1) - left


@njit(nogil=True)
def _glu(v, g, shift, gain, table, per_unit, u):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                u[b, k, h] = u[b, k, h] + v[b, k, h] * half(table, per_unit, g[b, k, h])


@njit(nogil=True)
def _gsu(v, g, shift, gain, table, per_unit, u):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                product = v[b, k, h] * g[b, k, h]
                z = product + shift[h]
                gelu = z * half(table, per_unit, z)
                u[b, k, h] = u[b, k, h] + gelu * gain[h]


class FloatKind(NamedTuple):
    """A kind of branch: its ``number`` in C, where 0 is none, its table, and ``u = u + b``:
    ``loop(v, g, shift, gain, table, per_unit, u)``."""

    number: int
    table: FloatTable
    loop: Callable[..., None]


FLOAT_KINDS = {"glu": FloatKind(1, SIGMOID, _glu), "gsu": FloatKind(2, NORMAL, _gsu)}
