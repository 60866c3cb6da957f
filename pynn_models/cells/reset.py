"""What a spike does to the modes of its neuron."""

from __future__ import annotations

from dataclasses import dataclass

from pynn_models.cells.checks import CellParameterError, FloatArray, check_values, frozen_copy

LONGEST_REST = 2**20  # steps: beyond it a slip


@dataclass(frozen=True, eq=False, kw_only=True)
class Reset:
    """What the s[k-1] spikes of a step take from each mode before the next one::

        soft:  z_n = x_n[k-1] - r_n s[k-1],   r = r_re + i r_im
        hard:  z_n = 0 where s[k-1] > 0, else x_n[k-1]                 (r_re is None)

    and then ``x_n[k] = abar_n z_n + u[k]``. After a spike the neuron is silent for ``refractory``
    steps; with a hard reset its modes are 0 in these steps, so that y = d u.

    Shapes: r_re, r_im (H, N), r_im where the modes rotate. Units: dimensionless; steps.
    Values: finite; refractory from 0. The arrays are kept as read-only float64 copies.
    Raises: `CellParameterError`.
    """

    r_re: FloatArray | None = None
    r_im: FloatArray | None = None
    refractory: int = 0

    def __post_init__(self) -> None:
        if self.r_re is None and self.r_im is not None:
            raise CellParameterError(
                "Reset: r_im is given and r_re is not; a soft reset of complex modes needs both, "
                "a hard one neither. Give zeros for the missing one, or leave out both."
            )
        for name in ("r_re", "r_im"):
            value = getattr(self, name)
            if value is not None:
                value = frozen_copy(name, value)
                check_values(name, value)
                object.__setattr__(self, name, value)
        whole = isinstance(self.refractory, int) and not isinstance(self.refractory, bool)
        if not whole or not 0 <= self.refractory <= LONGEST_REST:
            raise CellParameterError(
                f"Reset: refractory is {self.refractory!r}, expected a whole number of steps, "
                f"0 to {LONGEST_REST}. Divide milliseconds by the timestep and round."
            )

    @property
    def is_hard(self) -> bool:
        """Whether a spike sets the modes to 0, and takes no r from them."""
        return self.r_re is None

    def fault(self, n_neurons: int, n_modes: int, is_complex: bool) -> str:
        """What does not fit a cell of H neurons of N modes, in words; empty where all does."""
        if self.r_re is None:
            return ""
        if (self.r_im is not None) != is_complex:
            found = "is not given" if is_complex else "is given"
            return f"r_im {found}; expected it with modes that rotate, and only with these"
        for name, value in (("r_re", self.r_re), ("r_im", self.r_im)):
            if value is not None and value.shape != (n_neurons, n_modes):
                return f"{name} has shape {value.shape}, expected {(n_neurons, n_modes)}, as tau"
        return ""
