"""Neurons that gather the stream, and never spike."""

from __future__ import annotations

import numpy as np

from export.description.network import FloatArray
from pynn_models.cells import Branches, StateSpaceCell


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
