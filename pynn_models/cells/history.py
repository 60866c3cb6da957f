"""A threshold that remembers: it rises, or falls, with the last steps' membranes above it."""

from __future__ import annotations

from dataclasses import dataclass

from pynn_models.cells.checks import CellParameterError, FloatArray, check_values, frozen_copy

LONGEST_HISTORY = 32  # steps: bits of a word


@dataclass(frozen=True, eq=False, kw_only=True)
class History:
    """What the last J pre-spikes p, 0 or 1, add to all thresholds of a neuron::

        p[k] = 1 if y[k] > theta else 0                               strictly; p = 0 before k = 0
        h[k] = ((0 + a_1 p[k-1]) + a_2 p[k-2]) + ... + a_J p[k-J]     j ascending
        s[k] = 1 if y[k] > theta + h[k] else 0

    A pre-spike is of the membrane alone: neither h nor a refractory time keeps it away.

    Shape: a (H, J), 1 <= J <= 32. Unit: dimensionless. Values: finite. Kept as a read-only
    float64 copy. Raises: `CellParameterError`.
    Source: D-RF, a resonate-and-fire neuron with a dynamic threshold.
    """

    a: FloatArray

    def __post_init__(self) -> None:
        a = frozen_copy("a", self.a)
        if a.ndim != 2 or a.shape[0] == 0 or not 1 <= a.shape[1] <= LONGEST_HISTORY:
            raise CellParameterError(
                f"History: a has shape {a.shape}, expected (H, J), H >= 1 neurons and J = 1 to "
                f"{LONGEST_HISTORY} steps. Leave the history out of a cell that has none."
            )
        check_values("a", a)
        object.__setattr__(self, "a", a)

    @property
    def steps(self) -> int:
        """J, the number of steps that count."""
        return int(self.a.shape[1])

    def fault(self, n_neurons: int) -> str:
        """What does not fit a cell of H neurons, in words; empty where all does."""
        if len(self.a) == n_neurons:
            return ""
        return f"a is of {len(self.a)} neurons, expected {n_neurons}, as tau says"
