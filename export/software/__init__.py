"""Runs a network in NumPy and numba, in float64: the software side of the contract.

In come a network and samples; out comes a :class:`export.samples.Recording`. What SpiNNaker's
arithmetic makes of the same is :mod:`export.fixed_point`.
"""

from export.software.simulation import advance, run, run_cell
from export.software.states import States, at_rest

__all__ = [
    "States",
    "advance",
    "at_rest",
    "run",
    "run_cell",
]
