"""``filter``: ``z[k] = a z[k-1] + (1 - a) u[k]``, by leaky neurons, each of its own a."""

from __future__ import annotations

import numpy as np

from export.description.readouts.kind import FloatArray, Pooling, silent
from pynn_models.cells import StateSpaceCell


def _leaky(bias: FloatArray, tau: FloatArray, timestep: float) -> StateSpaceCell:
    """``a = exp(-dt / tau)``: a mode of that decay, read with 1 - a."""
    decay = tau[:, None]  # (K, 1)
    return silent(bias, decay, d=0.0, gain=-np.expm1(-timestep / decay))


FILTER = Pooling(
    "filter",
    accumulator=_leaky,
    terms=lambda steps: np.ones_like(steps),
    learned=True,
)
