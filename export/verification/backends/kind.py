"""What a backend of the command line is: something that runs a network and records it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from export.boards.config import Board
from export.description.network import Network
from export.verification.contract import Runner
from pynn_models.errors import SnnSsmError


class UnknownBackendError(SnnSsmError):
    """A backend by a name that there is none of, or one that lacks what it needs."""


@dataclass(frozen=True)
class Options:
    """``board``: where SpiNNaker runs; ``calibration``: samples that its arithmetic plans for,
    instead of for all inputs; ``checkpoint``: of the trained model; ``processes``: over how many
    samples are shared out; ``threads``: in how many each of them computes."""

    board: Board | None = None
    calibration: NDArray[Any] | None = None
    checkpoint: Path | None = None
    processes: int = 1
    threads: int = 1


@dataclass(frozen=True)
class RunBackend:
    """``runner(network, options)``: a function ``(samples, membranes) -> Recording``.

    Imports what it needs when it is called, so that each backend is optional. ``uses``: the fields
    of :class:`Options` that mean something to it; ``reads_membranes``: it can record those of the
    readout, too; ``shared``: processes beside each other can run it; ``ranked``: those of an MPI
    run share its network out, and each has the whole recording.
    """

    name: str
    runner: Callable[[Network, Options], Runner]
    uses: frozenset[str] = frozenset()
    reads_membranes: bool = True
    shared: bool = True
    ranked: bool = False
