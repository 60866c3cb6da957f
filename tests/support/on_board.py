"""Networks on an emulated board of their own, in a process as the backend starts it."""

import importlib.util
import os
import sys

import numpy as np
import pytest

from export.boards import execution
from export.boards.config import Board, write_configuration
from export.description.storage import save_network
from export.fixed_point import simulation as integers
from export.samples.readout import needed_membranes
from support import forked
from support.files import ROOT

MISSING = [name for name in ("unicorn", "spynnaker") if importlib.util.find_spec(name) is None]
needs_board = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra spinnaker)"
)


def own_board(number):
    """An emulated board on an address of this process's own."""
    from pynn_models.spinnaker.board import EmulatedBoard

    address = f"127.{number}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    return address, EmulatedBoard(address)


def differing(network, samples, address, neurons_per_core=None):
    """Spikes and readout membranes that differ from SpiNNaker's integers, and how many there are.

    Weights and parameters are read back and compared by the run itself.
    """
    board = Board(address, neurons_per_core=neurons_per_core)
    run = execution.execute(network, samples, board)
    membranes = needed_membranes(network)
    wanted = integers.run(network, samples, membranes=membranes)
    found = run.recording
    assert set(found.spikes) == set(wanted.spikes) and set(found.membranes) == set(membranes)
    counts = {
        name: (int((spikes != found.spikes[name]).sum()), int(spikes.sum()))
        for name, spikes in wanted.spikes.items()
    }
    for name in membranes:
        equal = found.membranes[name] == wanted.membranes[name]
        counts[f"membrane of {name}"] = int((~equal).sum()), equal.size
    return counts, run.report


def script(name, address, directory, network, samples):
    """What a script of ``spinnaker_scripts.py`` keeps of a network's run."""
    save_network(network, directory / "network")
    np.save(directory / "samples.npy", samples)
    write_configuration(directory, Board(address))
    done = forked.run(
        [sys.executable, str(ROOT / "tests" / "support" / "spinnaker_scripts.py"), name,
         str(directory)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return np.load(directory / "found.npz")
