"""The functions of gated inputs in SpiNNaker's integers: a table and a linear interpolation.

Sigmoid and normal distribution are symmetric, f(-x) = 1 - f(x), so a table of the left half does::

    t[i]  = rint(f(-i h) 2^16),  i = 0 .. 1024                             u0.16, t[0] = 2^15
    T(a)  = t[i] - (((t[i] - t[i+1]) r + 2^(k-1)) >> k),  i = a >> k, r = a mod 2^k
    f(x)  = T(|x|) for x < 0,  2^16 - T(|x|) for x >= 0                     in units of 2^-16

where x is s16.15, h = 2^(k - 15), and T(a) is 0 beyond the table. Sigmoid: h = 1/64, to 16.
Normal distribution: h = 1/128, to 8. The largest error is below 1.1 units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INTERVALS = 1024
UNIT = 1 << 16


@dataclass(frozen=True, eq=False)
class HalfTable:
    """``entries`` (1025,) uint16, and ``step_bits`` k, the log2 of a step in units of 2^-15."""

    entries: NDArray[np.uint16]
    step_bits: int


def _table(function: Callable[[float], float], step_bits: int) -> HalfTable:
    steps = np.arange(INTERVALS + 1) * 2.0 ** (step_bits - 15)
    values = np.array([function(-float(x)) for x in steps])
    return HalfTable(np.rint(values * UNIT).astype(np.uint16), step_bits)


SIGMOID = _table(lambda x: 1 / (1 + math.exp(-x)), 9)
NORMAL = _table(lambda x: math.erfc(-x * math.sqrt(0.5)) / 2, 8)
"""The distribution function of the normal distribution: ``GELU(z) = z NORMAL(z)``."""
