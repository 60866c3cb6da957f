"""A process of an MPI run, without MPI: what it is told, refuses, and leaves to the first one."""

import argparse

import numpy as np
import pytest

from export.command import ranks
from export.command.arguments import main
from export.command.common import UsageError
from export.pynn import nest as pynn_nest
from export.pynn.backend import BackendError
from pynn_models import ranks as of_mpi
from pynn_models.ranks import RanksError, World

LAUNCHERS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")


@pytest.fixture(autouse=True)
def not_started_together(monkeypatch):
    for name in (*LAUNCHERS, *SIZES):
        monkeypatch.delenv(name, raising=False)
    of_mpi.world.cache_clear()
    yield
    of_mpi.world.cache_clear()


def started(monkeypatch, rank, size=2):
    """As if mpiexec had started this process."""
    monkeypatch.setenv("PMI_RANK", str(rank))
    for module in (ranks, pynn_nest):
        monkeypatch.setattr(module, "world", lambda: World(rank, size))


@pytest.mark.parametrize("name", LAUNCHERS)
def test_the_number_that_mpiexec_tells(monkeypatch, name):
    assert of_mpi.told_rank() is None
    monkeypatch.setenv(name, "3")
    assert of_mpi.told_rank() == 3


@pytest.mark.parametrize("name", SIZES)
def test_a_task_that_was_started_alone_needs_no_mpi(monkeypatch, name):
    monkeypatch.setenv("PMIX_RANK", "0")
    monkeypatch.setenv(name, "1")
    assert of_mpi.told_rank() is None and of_mpi.world() == World(0, 1)


def test_one_process_has_all():
    world, values = of_mpi.world(), np.arange(3)
    assert world == World(0, 1) and world.is_first
    assert world.sum(values) is values and world.most(4) == 4 and world.first(lambda: 5) == 5


def test_mpi4py_is_asked_for(monkeypatch):
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setitem(__import__("sys").modules, "mpi4py", None)
    with pytest.raises(RanksError, match="started by mpiexec, and mpi4py .* pip install mpi4py"):
        of_mpi.world()


def arguments(command="run", **given):
    defaults = {
        "backend": None, "backends": None, "recording": None, "processes": 1, "out": "o",
        "json": "j",
    }
    return argparse.Namespace(command=command, **(defaults | given))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "software"),
        ({"command": "verify", "recording": "r"}, "software"),
        ({"command": "verify", "backends": "torch,software"}, "torch,software"),
    ],
)
def test_what_runs_in_one_process_is_refused(monkeypatch, given, named):
    started(monkeypatch, 0)
    with pytest.raises(UsageError, match=f"the backend {named} runs in one; expected nest"):
        ranks.in_step(arguments(**given), lambda args: 0)


def test_processes_of_two_kinds_are_refused(monkeypatch):
    started(monkeypatch, 0)
    with pytest.raises(UsageError, match="--processes is 2, and mpiexec started 2 processes"):
        ranks.in_step(arguments(backend="nest", processes=2), lambda args: 0)


@pytest.mark.parametrize("rank", [0, 1])
def test_the_first_writes_and_prints(monkeypatch, capsys, rank):
    started(monkeypatch, rank)

    def work(args):
        print("answer")
        return 0 if args.out is None else 1

    assert ranks.in_step(arguments(backend="nest"), work) == 1 - rank
    assert capsys.readouterr().out == ("" if rank else "answer\n")


def test_the_others_wait_with_an_error(monkeypatch):
    waited = []
    monkeypatch.setattr(ranks.time, "sleep", waited.append)
    for rank in (0, 1):
        started(monkeypatch, rank)
        with pytest.raises(UsageError):
            ranks.in_step(arguments(), lambda args: 0)
    assert waited == [1.0]


def test_of_wrong_arguments_one_tells(monkeypatch, capsys):
    for rank, told in ((0, 1), (1, 0)):
        monkeypatch.setenv("PMI_RANK", str(rank))
        with pytest.raises(SystemExit):
            main(["run", "--nothing"])
        assert capsys.readouterr().err.count("are required: NETWORK") == told


def test_a_nest_without_mpi_is_refused(monkeypatch):
    started(monkeypatch, 0)
    monkeypatch.setattr("pynn_models.nest.has_mpi", lambda: False)
    with pytest.raises(BackendError, match="was built without MPI: each would run the whole"):
        pynn_nest.check_mpi()
    with pytest.raises(BackendError, match="NEST runs in 1 processes, and mpiexec told of 2"):
        pynn_nest._check_ranks(1)
