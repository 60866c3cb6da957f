"""Weighted sums of spikes, compiled: what arrives in a ring buffer before it saturates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pynn_models.jit import njit


@njit(nogil=True)
def _add_weighted(total, spikes, weights):  # type: ignore[no-untyped-def]
    samples, steps, size = total.shape
    sources = weights.shape[0]
    once = np.empty(sources + 1, np.int64)  # those that fire once, in order
    for b in range(samples):
        for k in range(steps):
            n = 0
            for i in range(sources):
                count = spikes[b, k, i]
                once[n] = i
                n += count == 1
                if count > 1:
                    for h in range(size):
                        total[b, k, h] += count * weights[i, h]
            fours = n - n % 4  # four at a time: a quarter of the sums' loads and stores
            for a in range(0, fours, 4):
                p, q, r, s = once[a], once[a + 1], once[a + 2], once[a + 3]
                for h in range(size):
                    total[b, k, h] += (weights[p, h] + weights[q, h]) + (
                        weights[r, h] + weights[s, h]
                    )
            for a in range(fours, n):
                p = once[a]
                for h in range(size):
                    total[b, k, h] += weights[p, h]


def add_weighted(total: NDArray[Any], spikes: NDArray[Any], weights: NDArray[Any]) -> None:
    """``total[b, k, j] += sum_i spikes[b, k, i] weights[i, j]``, silent sources passed over.

    Shapes: (B, L, post), (B, L, pre), (pre, post); total and weights of one type, spikes integers
    >= 0. Exact where no sum leaves the type's range, or its mantissa.
    """
    _add_weighted(total, spikes, weights)
