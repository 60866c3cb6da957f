"""Integer spikes: several thresholds, and a spike that counts how many the membrane exceeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pynn_models.cells.checks import CellParameterError, FloatArray, check_values, frozen_copy

MOST_SPIKES = 255  # of a neuron in a step: what fits a byte


@dataclass(frozen=True, eq=False, kw_only=True)
class Multiplicity:
    """D - 1 further thresholds of a neuron, ascending from theta = theta_1::

        s[k] = number of j = 1..D with y[k] > theta_j                 strictly

    sent as one spike of multiplicity s[k]: it brings s[k] times its weight.

    Shape: further (H, D - 1), D = 2 to 255. Unit: dimensionless. Values: no NaN; theta <= further,
    ascending; inf: never. Kept as a read-only float64 copy. Raises: `CellParameterError`.
    Source: Luo et al. 2024, *Integer-Valued Training and Spike-Driven Inference Spiking Neural
    Network* (I-LIF).
    """

    further: FloatArray

    def __post_init__(self) -> None:
        further = frozen_copy("further", self.further)
        if further.ndim != 2 or 0 in further.shape or further.shape[1] >= MOST_SPIKES:
            raise CellParameterError(
                f"Multiplicity: further has shape {further.shape}, expected (H, D - 1), H >= 1 "
                f"neurons and D = 2 to {MOST_SPIKES}. Leave it out of a cell of binary spikes."
            )
        check_values("further", further)
        object.__setattr__(self, "further", further)

    def fault(self, theta: FloatArray) -> str:
        """What does not fit a cell of these first thresholds, in words; empty where all does."""
        if len(self.further) != len(theta):
            return f"further is of {len(self.further)} neurons, expected {len(theta)}, as tau says"
        every = np.concatenate([theta[:, None], self.further], axis=1)
        falls = np.argwhere(every[:, 1:] < every[:, :-1])
        if len(falls) == 0:
            return ""
        h, j = (int(i) for i in falls[0])
        return (
            f"further[{h}][{j}] is {every[h, j + 1]}, below {every[h, j]} before it; expected "
            "thresholds in ascending order, theta the first"
        )
