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


@njit(nogil=True)
def _limit(total, buffer):  # type: ignore[no-untyped-def]
    samples, steps, size = total.shape
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                buffer[b, k, h] = min(total[b, k, h], 65535)


def limited(total: NDArray[Any]) -> NDArray[np.uint16]:
    """``min(65535, total)`` of sums >= 0, (B, L, H)."""
    buffer = np.empty(total.shape, np.uint16)
    _limit(total, buffer)
    return buffer


@njit(nogil=True)
def _subtract(exc, inh, plus, minus, difference):  # type: ignore[no-untyped-def]
    samples, steps, size = difference.shape
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                difference[b, k, h] = (np.int32(exc[b, k, h]) << plus) - (
                    np.int32(inh[b, k, h]) << minus
                )


def subtracted(
    exc: NDArray[np.uint16], inh: NDArray[np.uint16], shifts: tuple[int, int]
) -> NDArray[np.int32]:
    """``(exc << r_exc) - (inh << r_inh)``, (B, L, H); never overflows for shifts of 0 to 15."""
    difference = np.empty(exc.shape, np.int32)
    _subtract(exc, inh, np.int32(shifts[0]), np.int32(shifts[1]), difference)
    return difference


def add_weighted(total: NDArray[Any], spikes: NDArray[Any], weights: NDArray[Any]) -> None:
    """``total[b, k, j] += sum_i spikes[b, k, i] weights[i, j]``, silent sources passed over.

    Shapes: (B, L, post), (B, L, pre), (pre, post); total and weights of one type, spikes integers
    >= 0. Exact where no sum leaves the type's range, or its mantissa.
    """
    _add_weighted(total, spikes, weights)
