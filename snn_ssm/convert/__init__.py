"""Models trained elsewhere: a state dict and a map of its names -> a checkpoint."""

from snn_ssm.convert.check import Comparison, DifferentModelError
from snn_ssm.convert.conversion import convert

__all__ = [
    "Comparison",
    "DifferentModelError",
    "convert",
]
