"""What a kind of readout is: how the steps of a sample become scores."""

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
    """Scores ``y[k] / terms(k + 1)`` of the membranes y of silent neurons, at each step k.

    ``accumulator(bias, tau, timestep)``: the neurons, whose input is ``R s + bias``, of the
    constants (K,); ``tau`` (K,) and the timestep, in ms, are for a kind whose time constants are
    learned (``learned``). ``terms(steps)``: the sum of the weights that the
    membrane gives to so many steps, any shape: what it is divided by.
    """

    name: str
    accumulator: Callable[..., StateSpaceCell]
    terms: Callable[[Any], Any]
    learned: bool = False


def silent(
    bias: FloatArray, tau: FloatArray, d: float, gain: FloatArray | float = 1.0
) -> StateSpaceCell:
    """Neurons that never spike, of real modes of the time constants ``tau`` (K, N), c = gain."""
    return StateSpaceCell(
        tau=tau,
        c_re=np.ones(tau.shape) * gain,
        d=np.full(len(bias), d),
        theta=np.full(len(bias), np.inf),
        bias=bias,
    )
