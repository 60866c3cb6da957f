"""The readouts: one file each, registered here."""

from export.description.readouts.exponential import FILTER
from export.description.readouts.kind import Pooling
from export.description.readouts.last import LAST
from export.description.readouts.mean import MEAN
from pynn_models.registry import Registry

POOLINGS: Registry[Pooling] = Registry("pooling", MEAN, LAST, FILTER)

__all__ = ["POOLINGS", "Pooling"]
