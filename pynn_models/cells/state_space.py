"""The state-space cell: linear modes, a threshold, and what can be added to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pynn_models.cells.branches import Branches
from pynn_models.cells.checks import CellParameterError, FloatArray, check_values, frozen_copy
from pynn_models.cells.history import History
from pynn_models.cells.multiplicity import Multiplicity
from pynn_models.cells.reset import Reset

_ARRAYS = ("tau", "c_re", "d", "theta", "bias", "omega", "c_im")


@dataclass(frozen=True, eq=False, kw_only=True)
class StateSpaceCell:
    """H state-space neurons of N modes each, k the reference step, dt the timestep in ms::

        abar_n  = exp(-dt/tau_n) * (cos(omega_n dt) + i sin(omega_n dt))
        x_n[k]  = abar_n x_n[k-1] + u[k]                              x_n[-1] = 0
        y[k]    = sum_n (c_re_n Re x_n[k] - c_im_n Im x_n[k]) + d u[k]
        s[k]    = 1 if y[k] > theta else 0                            strictly, and no reset
        u[k]    = bias + sum of weighted spikes, currents and graded input that arrive at step k
                  + sum of the branches' b_p[k], if there are any

    where the input weight bbar, and the factor 2 of a conjugate pair, are folded into c.
    A neuron without memory has N = 0 modes and d = 1. Without `omega` and `c_im` the modes are
    real: Im x = 0.

    A `reset` takes from the modes, z for x[k-1]; a `history` adds h[k] to the thresholds; a
    `multiplicity` has further ones. A step of a neuron with all of them, in this order, which is a
    contract between the backends::

        z_n    = 0 (hard, s[k-1] > 0)  or  (Re x - r_re s[k-1]) + i (Im x - r_im s[k-1]) (soft)
        x_n    = ((a_re Re z - a_im Im z) + u) + i (a_re Im z + a_im Re z)
        x_n    = 0 if the reset is hard and rest > 0
        y      = (sum over ascending n of c_re Re x - c_im Im x) + d u
        h      = sum over ascending j of the a_j whose p[k-j] = 1
        s      = number of j with y > theta_j + h, and 0 if rest > 0
        p[k]   = 1 if y > theta else 0
        rest   = refractory if s > 0, else max(rest - 1, 0)

    With ``differences`` it sends s[k] - s[k-1], where that is not 0, in place of s[k], to cells
    that add up what such synapses bring (sigma-delta; Yousefzadeh & Sifalakis, arXiv 2107.07305)::

        I[k] = I[k-1] + sum of w (s[k'] - s[k'-1]),  k' = k - lag,     in u[k] in place of w s[k']

    All state (x, s[k-1], rest, the last p, I) is 0 at first, and again at a sample's first step.

    Shapes: tau, omega, c_re, c_im (H, N); d, theta, bias (H,).
    Units: tau ms, omega rad/ms, the others dimensionless (see `PARAMETERS`).
    Values: finite, apart from tau = +inf (no leak) and theta = +inf (no spike); tau > 0.
    The arrays are kept as read-only float64 copies.
    Raises: `CellParameterError`.
    Source: Stan & Rhodes, arXiv 2401.00955 (Binary S4D).
    """

    tau: FloatArray
    c_re: FloatArray
    d: FloatArray
    theta: FloatArray
    bias: FloatArray
    omega: FloatArray | None = None
    c_im: FloatArray | None = None
    branches: Branches | None = None
    reset: Reset | None = None
    history: History | None = None
    multiplicity: Multiplicity | None = None
    differences: bool = False

    def __post_init__(self) -> None:
        if (self.omega is None) != (self.c_im is None):
            missing, given = ("omega", "c_im") if self.omega is None else ("c_im", "omega")
            raise CellParameterError(
                f"StateSpaceCell: {given} is given and {missing} is not; complex modes need both, "
                "real modes neither. Give zeros for the missing one, or leave out both."
            )
        for name in _ARRAYS:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, frozen_copy(name, value))
        self._check_shapes()
        for name in _ARRAYS:
            value = getattr(self, name)
            if value is not None:
                check_values(name, value)
        self._check_parts()

    def _check_shapes(self) -> None:
        if self.tau.ndim != 2 or self.tau.shape[0] == 0:
            raise CellParameterError(
                f"StateSpaceCell: tau has shape {self.tau.shape}, expected (H, N) with H >= 1 "
                "neurons of N >= 0 modes. One neuron is a row: tau[None, :]; no modes: (H, 0)."
            )
        n_neurons, n_modes = self.tau.shape
        for name in _ARRAYS:
            value = getattr(self, name)
            per_mode = name in {"tau", "omega", "c_re", "c_im"}
            expected = (n_neurons, n_modes) if per_mode else (n_neurons,)
            if value is not None and value.shape != expected:
                raise CellParameterError(
                    f"StateSpaceCell: {name} has shape {value.shape}, expected {expected}, "
                    f"since tau says H = {n_neurons} neurons of N = {n_modes} modes. "
                    f"Give {name} one value a {'mode' if per_mode else 'neuron'}."
                )

    def _check_parts(self) -> None:
        if self.branches is not None and len(self.branches.value_bias) != self.n_neurons:
            raise CellParameterError(
                f"StateSpaceCell: its branches are of {len(self.branches.value_bias)} neurons, "
                f"expected {self.n_neurons}, as tau says. Give them one row a neuron."
            )
        size = (self.n_neurons, self.n_modes, self.is_complex)
        faults = {
            "reset": self.reset.fault(*size) if self.reset else "",
            "history": self.history.fault(self.n_neurons) if self.history else "",
            "multiplicity": self.multiplicity.fault(self.theta) if self.multiplicity else "",
        }
        for part, fault in faults.items():
            if fault:
                raise CellParameterError(
                    f"StateSpaceCell: its {part} does not fit: {fault}. Make it for this cell."
                )

    @property
    def n_neurons(self) -> int:
        """H, the number of neurons."""
        return int(self.tau.shape[0])

    @property
    def n_modes(self) -> int:
        """N, the number of modes of each neuron."""
        return int(self.tau.shape[1])

    @property
    def is_complex(self) -> bool:
        """Whether the modes rotate, that is, whether omega and c_im are given."""
        return self.omega is not None

    @property
    def levels(self) -> int:
        """D, the most spikes of a neuron in a step."""
        return 1 if self.multiplicity is None else 1 + int(self.multiplicity.further.shape[1])

    @property
    def thresholds(self) -> FloatArray:
        """All thresholds of a neuron, ascending, (H, D); a history's h comes on top."""
        first = self.theta[:, None]
        if self.multiplicity is None:
            return first
        return np.concatenate([first, self.multiplicity.further], axis=1)
