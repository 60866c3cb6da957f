"""The cells that can be trained: one file each, registered here."""

from pynn_models.registry import Registry
from snn_ssm.kinds.cells.egru import EGRU
from snn_ssm.kinds.cells.kind import TrainedCell
from snn_ssm.kinds.cells.lif import LEAKY_THRESHOLD, LIF
from snn_ssm.kinds.cells.native import NATIVE
from snn_ssm.kinds.cells.stock import STOCK

CELLS: Registry[TrainedCell] = Registry("cells", NATIVE, STOCK, LIF, EGRU)

__all__ = ["CELLS", "LEAKY_THRESHOLD", "TrainedCell"]
