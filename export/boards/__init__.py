"""SpiNNaker boards: real, virtual and emulated.

In come a network, samples and a :class:`Board`; out come a :class:`export.samples.Recording` and
what sPyNNaker reported. sPyNNaker runs in a process of its own, since a process is one run for it.
"""

from export.boards.config import EMULATED, VIRTUAL, Board
from export.boards.execution import execute, run

__all__ = [
    "EMULATED",
    "VIRTUAL",
    "Board",
    "execute",
    "run",
]
