"""The cells that never spike: accumulators of logits, and neurons that gather the stream."""

from __future__ import annotations

import numpy as np

from export.description.network import FloatArray
from pynn_models.cells import Branches, StateSpaceCell


def accumulator(classes: int, pooling: str, bias: FloatArray) -> StateSpaceCell:
    """Neurons that never spike: non-leaky (mean pooling) or without memory (last)."""
    if pooling == "last":
        return memoryless(bias)
    return StateSpaceCell(
        tau=np.full((classes, 1), np.inf),
        c_re=np.ones((classes, 1)),
        d=np.zeros(classes),
        theta=np.full(classes, np.inf),
        bias=bias,
    )


def memoryless(bias: FloatArray, branches: Branches | None = None) -> StateSpaceCell:
    """Neurons that never spike and whose membrane is their input, ``y = u``."""
    size = len(bias)
    return StateSpaceCell(
        tau=np.empty((size, 0)),
        c_re=np.empty((size, 0)),
        d=np.ones(size),
        theta=np.full(size, np.inf),
        bias=bias,
        branches=branches,
    )
