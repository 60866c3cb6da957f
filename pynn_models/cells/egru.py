"""The event-based gated recurrent unit (EGRU): a GRU that is heard only above a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pynn_models.cells.branches import Branches
from pynn_models.cells.checks import CellParameterError, FloatArray, freeze_vectors


@dataclass(frozen=True, eq=False, kw_only=True)
class EgruCell:
    """H event-based gated recurrent units, k the reference step::

        z[k] = 1 / (1 + exp(-(receptor update    + update_bias)))
        r[k] = 1 / (1 + exp(-(receptor reset     + reset_bias)))
        q[k] = receptor recurrent + recurrent_bias
        g[k] = tanh((receptor input + bias) + r[k] q[k])
        v[k] = z[k] h[k-1] + (1 - z[k]) g[k]                             h[-1] = 0
        s[k] = 1 if v[k] > theta else 0                                  strictly
        y[k] = s[k] v[k]                                                 what is sent
        h[k] = v[k] - s[k] theta

    where a receptor is the sum of the weighted spikes, currents and values y that arrive at it in
    step k. The membrane is v, before the reset. An event carries y: a step without one sends
    nothing. A layer's own y of the step before reaches update, reset and recurrent by projections
    of a lag of one step. Operations are in the order written; exp and tanh are the C library's.
    The last bits of a membrane depend on the order in which values y are added up; with theta > 0
    no event has the value 0, and |h|, |v| and y are at most 1.

    Shapes: theta and the four biases (H,). Dimensionless; nothing depends on the timestep.
    Values: finite, theta > 0; inf: never an event. The arrays are kept as read-only float64 copies.
    Raises: `CellParameterError`.
    Source: Subramoney, Nazeer, Schöne, Mayr & Kappel, ICLR 2023, arXiv 2206.06178; the biases stand
    as in its published code, that of q within what r multiplies.
    """

    theta: FloatArray
    bias: FloatArray
    update_bias: FloatArray
    reset_bias: FloatArray
    recurrent_bias: FloatArray
    branches: ClassVar[Branches | None] = None
    levels: ClassVar[int] = 1

    def __post_init__(self) -> None:
        freeze_vectors(self)
        low = np.flatnonzero(~(self.theta > 0))
        if len(low):
            raise CellParameterError(
                f"EgruCell: theta[{low[0]}] is {self.theta[low[0]]}, expected a number above 0, so "
                "that no event carries the value 0. Train with model.cells = \"egru\", whose "
                "thresholds are between 0 and 1."
            )

    @property
    def n_neurons(self) -> int:
        """H, the number of neurons."""
        return len(self.theta)
