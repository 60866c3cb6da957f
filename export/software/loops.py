"""The compiled loops of the software backend: the kinds' own, and the product of a projection.

The arithmetic is that of the cells' contract, operation by operation: no fused multiply-add, and
exp and erf are the C library's, which numba calls.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Projection
from pynn_models.jit import njit


@functools.cache
def compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """A kind's loop as machine code, which needs no lock; compiled at its first call."""
    compiled_loop: Callable[..., None] = njit(nogil=True)(loop)
    return compiled_loop


def add_arriving(
    u: FloatArray, emitted: NDArray[Any], projection: Projection, lead: int, steps: slice
) -> None:
    """``u[b, k + lag_ij, j] += emitted[b, k, i] w_ij``, k in ``steps``: what these steps bring.

    u (B, L, post), emitted (B, L, pre); ``lead``: the delay of lag 0. i ascending; what would
    arrive after the last step does not.
    """
    if isinstance(projection.delay, int):
        lag = projection.delay - lead
        add_product(u, emitted, projection.weights, lag, steps.start, steps.stop)
        return
    starts, targets, weights, delays = _by_source(projection)
    add_synapses(u, emitted, starts, targets, weights, delays - lead, steps.start, steps.stop)


def _by_source(projection: Projection) -> tuple[NDArray[Any], ...]:
    """Where each source's synapses begin, (pre + 1,), and targets, weights, delays of each."""
    found = projection.synapses()
    starts = np.searchsorted(found.sources, np.arange(len(projection.weights) + 1))
    return starts, found.targets, found.weights, found.delays


@njit(nogil=True)
def add_product(u, emitted, weights, lag, first, last):  # type: ignore[no-untyped-def]
    """``u[b, k + lag] += sum_i emitted[b, k, i] weights[i]``, silent sources passed over.

    Two sources at once, one after the other: ``u`` is read and written half as often.
    """
    samples, steps, size = u.shape
    sending = np.empty(weights.shape[0], np.int64)
    for b in range(samples):
        for k in range(first, min(last, steps - lag)):
            count = 0
            for i in range(weights.shape[0]):
                sending[count] = i
                count += emitted[b, k, i] != 0
            for n in range(0, count - 1, 2):
                i, j = sending[n], sending[n + 1]
                one, other = emitted[b, k, i], emitted[b, k, j]
                for h in range(size):
                    sum_ = u[b, k + lag, h] + one * weights[i, h]
                    u[b, k + lag, h] = sum_ + other * weights[j, h]
            if count % 2:
                i = sending[count - 1]
                for h in range(size):
                    u[b, k + lag, h] += emitted[b, k, i] * weights[i, h]


@njit(nogil=True)
def add_synapses(  # type: ignore[no-untyped-def]
    u, emitted, starts, targets, weights, lags, first, last
):
    """The same, a synapse at a time, each with its own lag."""
    samples, steps, _ = u.shape
    for b in range(samples):
        for k in range(first, last):
            for i in range(len(starts) - 1):
                value = emitted[b, k, i]
                if value != 0:
                    for n in range(starts[i], starts[i + 1]):
                        if k + lags[n] < steps:
                            u[b, k + lags[n], targets[n]] += value * weights[n]
