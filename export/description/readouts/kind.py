"""What a kind of readout is: how the steps of a sample become one vector of logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pynn_models.cells import StateSpaceCell

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Pooling:
    """Logits ``R pooled(s) / terms + r`` of spikes s, and the silent neurons that compute them.

    ``pooled(s)``: (B, L, size) -> (B, size), a weighted sum of steps. ``accumulator(bias)``:
    neurons whose membrane is, at the end, the same sum of ``R s + r``, r the constants (K,).
    ``terms(steps)``: the sum of the steps' weights, by which either is divided.
    """

    name: str
    pooled: Callable[[NDArray[Any]], FloatArray]
    accumulator: Callable[[FloatArray], StateSpaceCell]
    terms: Callable[[int], float]


def silent(bias: FloatArray, tau: FloatArray, d: float) -> StateSpaceCell:
    """Neurons that never spike, of real modes of the time constants ``tau`` (K, N) and c = 1."""
    return StateSpaceCell(
        tau=tau,
        c_re=np.ones(tau.shape),
        d=np.full(len(bias), d),
        theta=np.full(len(bias), np.inf),
        bias=bias,
    )
