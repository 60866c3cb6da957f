"""Runs a network in SpiNNaker's arithmetic, and plans its scalings.

In come a network and, if wanted, samples to calibrate with; out come a plan a population, a report
and a :class:`export.samples.Recording`. :mod:`export.pynn` puts the plans on a board.
"""

from export.fixed_point.report import describe_plan
from export.fixed_point.simulation import make_plan, run, runner

__all__ = [
    "describe_plan",
    "make_plan",
    "run",
    "runner",
]
