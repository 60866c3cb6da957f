"""Why two runs of a neuron came apart, when a reset or a threshold history is the reason."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray
from pynn_models.cells import Reset, StateSpaceCell

_CLOSE = 1e-9  # of the largest membrane: what rounding and its growth stay far below


def cause_of(
    cell: object, spikes: NDArray[np.integer], one: FloatArray, other: FloatArray
) -> str | None:
    """The part of a neuron by which its spikes first differ in the last of these steps.

    ``spikes`` (L,): how often it spiked in each step but the last, the same in both runs; ``one``
    and ``other`` (L,): its membranes. Where the membranes first differ, in step j, the state that
    step j - 1 left behind is to blame if a reset acted on it: a soft one after a spike, a hard one
    in the steps of its rest, too. Where they are equal to the end, the decision is: within a
    step of a refractory time that time, else a history if there is one.
    None: neither, so that the neuron's input, modes or thresholds differ.
    """
    if not isinstance(cell, StateSpaceCell):
        return None
    size = max(float(np.abs(one).max()), float(np.abs(other).max()))
    apart = np.flatnonzero(~(np.abs(one - other) <= _CLOSE * size))
    if len(apart):
        step = int(apart[0])
        return "reset" if cell.reset is not None and _acts(cell.reset, spikes, step) else None
    rest = 0 if cell.reset is None else cell.reset.refractory
    if rest and spikes[-rest - 2 : -1].any():
        return "refractory"
    return None if cell.history is None else "history"


def _acts(reset: Reset, spikes: NDArray[np.integer], step: int) -> bool:
    """Whether a reset changed the state that a step began with, or held it."""
    long = reset.refractory if reset.is_hard else 0
    return bool(spikes[max(step - 1 - long, 0) : step].any())
