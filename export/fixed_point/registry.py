"""The families of cells that SpiNNaker's arithmetic can hold: one file each, registered here."""

from export.fixed_point.native import NATIVE
from export.fixed_point.plan import Arithmetic
from export.fixed_point.stock import STOCK
from pynn_models.registry import Registry

ARITHMETIC: Registry[Arithmetic] = Registry("SpiNNaker arithmetic", NATIVE, STOCK)
