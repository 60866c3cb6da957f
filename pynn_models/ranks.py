"""The processes of an MPI run (``mpiexec -n N``): which of them this is, and what they exchange.

NEST shares the neurons of a network out among them. All do the same, step by step, and hold the
same results: what one has of a result is added up over all (`World.sum`), and what one alone has
computed it tells the others (`World.first`). Without MPI there is one process.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pynn_models.errors import SnnSsmError

T = TypeVar("T")

# What mpiexec tells a process: of MPICH and Slurm, of PMIx, of Open MPI.
_RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
_HEARD = 0.2  # s: what was printed reaches mpiexec before it ends everything


class RanksError(SnnSsmError):
    """Processes of an MPI run that cannot work together."""


@dataclass(frozen=True)
class World:
    """The processes of a run: this one's number, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.rank == 0

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """``sum_r values_r`` over the processes r, of the same shape and type in each."""
        if self.size == 1:
            return values
        found = np.asarray(values, order="C")
        total = np.empty_like(found)
        _communicator().Allreduce(found, total)
        return total

    def most(self, value: int) -> int:
        """The largest of the processes' numbers."""
        if self.size == 1:
            return value
        return max(_communicator().allgather(value))

    def first(self, make: Callable[[], T]) -> T:
        """What the first process makes, in all of them; the others make nothing."""
        if self.size == 1:
            return make()
        found: T = _communicator().bcast(make() if self.is_first else None, root=0)
        return found

    def abort(self, status: int) -> None:
        """End all processes; the exit status of mpiexec is ``status``."""
        if self.size > 1:
            sys.stdout.flush()
            sys.stderr.flush()
            time.sleep(_HEARD)
            _communicator().Abort(status)


@functools.cache
def world() -> World:
    """The processes of this run, one without MPI; raises :class:`RanksError` without mpi4py."""
    if told_rank() is None:
        return World()
    communicator = _communicator()
    return World(communicator.Get_rank(), communicator.Get_size())


def told_rank() -> int | None:
    """This process's number as mpiexec told it, without MPI itself; None: it was started alone."""
    if "1" in [os.environ.get(name) for name in _SIZES]:
        return None
    for name in _RANKS:
        value = os.environ.get(name, "")
        if value.isdecimal():
            return int(value)
    return None


def _communicator() -> Any:
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the latter without MPI's own library
        raise RanksError(
            f"this process was started by mpiexec, and mpi4py cannot be imported ({error}). "
            "Install it beside NEST: pip install mpi4py; or start without mpiexec."
        ) from error
    return MPI.COMM_WORLD
