"""How each kind of cell is said in NIR: one file each, registered here."""

from export.interchange.cells.kind import CellRule, Ports
from export.interchange.cells.leaky import LEAKY
from export.interchange.cells.state_space import STATE_SPACE
from pynn_models.registry import Registry

CELLS: Registry[CellRule] = Registry("rule to say a cell in NIR", STATE_SPACE, LEAKY)

__all__ = ["CELLS", "CellRule", "Ports"]
