"""The cells: their equations, parameters and units, once for all backends.

Everything here is NumPy and the C library's mathematics; no simulator is imported. What can be
added to a state-space cell is a small class in a file of its own.
"""

from pynn_models.cells.branches import Branches
from pynn_models.cells.checks import CellParameterError
from pynn_models.cells.diagonal import diagonalised
from pynn_models.cells.egru import EgruCell
from pynn_models.cells.history import History
from pynn_models.cells.leaky import LeakyCell
from pynn_models.cells.multiplicity import Multiplicity
from pynn_models.cells.propagation import propagator
from pynn_models.cells.quantities import (
    EGRU_PARAMETERS,
    EGRU_VARIABLES,
    PARAMETERS,
    VARIABLES,
    Quantity,
)
from pynn_models.cells.reset import Reset
from pynn_models.cells.state_space import StateSpaceCell

__all__ = [
    "EGRU_PARAMETERS",
    "EGRU_VARIABLES",
    "PARAMETERS",
    "VARIABLES",
    "Branches",
    "CellParameterError",
    "EgruCell",
    "History",
    "LeakyCell",
    "Multiplicity",
    "Quantity",
    "Reset",
    "StateSpaceCell",
    "diagonalised",
    "propagator",
]
