"""The leaky integrate-and-fire cell, reset to 0 by a spike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pynn_models.cells.branches import Branches
from pynn_models.cells.checks import CellParameterError, FloatArray, freeze_vectors
from pynn_models.cells.reset import Reset
from pynn_models.cells.state_space import StateSpaceCell


@dataclass(frozen=True, eq=False, kw_only=True)
class LeakyCell:
    """H leaky integrate-and-fire neurons with reset, k the reference step, dt the timestep in ms::

        v[k] = exp(-dt/tau) v[k-1] + u[k]                             v[-1] = 0
        s[k] = 1 if v[k] > theta else 0                               strictly
        v[k] = 0 where s[k] = 1
        u[k] = bias + sum of weighted spikes + currents that arrive at step k

    Shapes: tau, theta, bias (H,). Units: tau ms, the others dimensionless.
    Values: finite, tau > 0. The arrays are kept as read-only float64 copies.
    Raises: `CellParameterError`.
    """

    tau: FloatArray
    theta: FloatArray
    bias: FloatArray
    branches: ClassVar[Branches | None] = None
    levels: ClassVar[int] = 1

    def __post_init__(self) -> None:
        freeze_vectors(self)
        if not (np.isfinite(self.tau).all() and np.isfinite(self.theta).all()):
            raise CellParameterError(
                "LeakyCell: tau or theta is infinite, expected finite numbers. Look for overflow "
                "in the checkpoint that this value comes from."
            )

    def as_state_space(self) -> StateSpaceCell:
        """The same neurons as state-space cells: one real mode, c = 1, d = 0, a hard reset.

        Spikes and membranes are equal to the last bit.
        """
        size = self.n_neurons
        return StateSpaceCell(
            tau=self.tau[:, None], c_re=np.ones((size, 1)), d=np.zeros(size), theta=self.theta,
            bias=self.bias, reset=Reset(),
        )  # fmt: skip

    @property
    def n_neurons(self) -> int:
        """H, the number of neurons."""
        return len(self.tau)
