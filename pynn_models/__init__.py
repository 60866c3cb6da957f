"""What PyNN lacks to run state-space spiking networks: cells and connectors, a folder a backend.

Importing this package imports no simulator.
"""

from pynn_models.cells import (
    EGRU_PARAMETERS,
    EGRU_VARIABLES,
    PARAMETERS,
    VARIABLES,
    Branches,
    CellParameterError,
    EgruCell,
    History,
    LeakyCell,
    Multiplicity,
    Quantity,
    Reset,
    StateSpaceCell,
    diagonalised,
    propagator,
)
from pynn_models.errors import SnnSsmError

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
    "SnnSsmError",
    "StateSpaceCell",
    "diagonalised",
    "propagator",
]
