"""PyNN's population, mended for MPI. Imports PyNN: load it through `pynn_models.nest`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyNN.nest
from numpy.typing import NDArray


class Population(pyNN.nest.Population):
    """PyNN's own, also of one neuron, or with none in some process of an MPI run.

    Of one neuron PyNN's mask of those that are a process's own, (size,), has no axis; and of none
    it looks for the smallest number.
    """

    def _create_cells(self) -> None:
        super()._create_cells()
        self._mask_local: NDArray[np.bool_] = np.atleast_1d(self._mask_local)

    def id_to_index(self, id: Any) -> Any:
        """The places of neurons with these numbers, PyNN's method; none of none."""
        none = isinstance(id, np.ndarray) and id.size == 0
        return np.empty(0, np.int64) if none else super().id_to_index(id)
