"""Weighted sums of spikes, compiled: what arrives in a ring buffer before it saturates."""

from __future__ import annotations

from typing import Any

import numba
from numpy.typing import NDArray


@numba.njit(nogil=True, cache=True)
def _add_weighted(total, spikes, weights):  # type: ignore[no-untyped-def]
    samples, steps, size = total.shape
    for b in range(samples):
        for k in range(steps):
            for i in range(weights.shape[0]):
                count = spikes[b, k, i]
                if count == 1:
                    for h in range(size):
                        total[b, k, h] += weights[i, h]
                elif count != 0:
                    for h in range(size):
                        total[b, k, h] += count * weights[i, h]


def add_weighted(total: NDArray[Any], spikes: NDArray[Any], weights: NDArray[Any]) -> None:
    """``total[b, k, j] += sum_i spikes[b, k, i] weights[i, j]``, silent sources passed over.

    Shapes: (B, L, post), (B, L, pre), (pre, post); total and weights of one type, spikes integers.
    """
    _add_weighted(total, spikes, weights)
