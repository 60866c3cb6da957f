"""The compiled loops of the software backend: the kinds' own, and the product of a projection.

The arithmetic is that of the cells' contract, operation by operation: no fused multiply-add, and
exp and erf are the C library's, which numba calls.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from pynn_models.jit import njit


@functools.cache
def compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """A kind's loop as machine code, which needs no lock; compiled at its first call."""
    compiled_loop: Callable[..., None] = njit(nogil=True)(loop)
    return compiled_loop


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
