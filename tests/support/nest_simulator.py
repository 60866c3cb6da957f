"""NEST through PyNN, for the tests of what runs in it; without either, such a file is skipped.

A test file imports ``nest`` and ``sim`` from here, and sets ``pytestmark = IN_NEST``.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from support.files import ROOT

pytest.importorskip("nest", reason="nest-simulator is not installed")
sim = pytest.importorskip("pyNN.nest", reason="PyNN is not installed")

import nest  # noqa: E402

from pynn_models.cells import StateSpaceCell  # noqa: E402
from pynn_models.nest import cell_type, install  # noqa: E402

IN_NEST = [
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
    pytest.mark.usefixtures("quiet_nest"),
]


def setup(dt=1.0, min_delay_steps=1, threads=1):
    """PyNN set up for delays of up to 40 steps, and the module of the cells loaded."""
    sim.setup(
        timestep=dt,
        min_delay=min_delay_steps * dt,
        max_delay=40 * dt,
        spike_precision="on_grid",
        threads=threads,
    )
    nest.verbosity = nest.VerbosityLevel.ERROR
    install()


def printed_by(code):
    """What a new process of Python prints that runs ``code``, with the tests' modules at hand.

    The number of OpenMP threads and their waiting are set when a process starts.
    """
    environment = os.environ | {
        "OMP_WAIT_POLICY": "passive",
        "PYTHONPATH": os.pathsep.join(
            str(ROOT / path) for path in (".", "tests", "tests/nest")
        ),
    }
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def spike_sources(raster, first_arrival, delay_steps, dt):
    """A SpikeSourceArray whose spikes of row k arrive in kernel step first_arrival + k."""
    times = [
        (np.flatnonzero(column) + 1 + first_arrival - delay_steps) * dt - 1e-4 * dt
        for column in raster.T
    ]
    return sim.Population(raster.shape[1], sim.SpikeSourceArray(spike_times=times))


def recorded(population, first_step, steps, dt):
    """u, y, number of spikes of a population from PyNN's get_data, from its first step on."""
    segment = population.get_data().segments[0]
    # Index i of an analog signal is time i*dt, and kernel step s is stamped (s + 1)*dt.
    window = slice(first_step + 1, first_step + 1 + steps)
    u, y = (np.asarray(segment.filter(name=name)[0])[window] for name in ("u", "y"))
    raster = np.zeros((steps, population.size), int)
    for train in segment.spiketrains:
        index = train.annotations["source_index"]
        at = np.rint(np.asarray(train) / dt).astype(int) - 1 - first_step
        np.add.at(raster, (at[(at >= 0) & (at < steps)], index), 1)
        assert (at >= 0).all(), "a spike before the first step"
    return u, y, raster


def spike_counts(population):
    """The number of spikes of each neuron."""
    # Not get_spike_counts(): it counts beyond the end of the run, where PyNN is min_delay ahead.
    return [len(train) for train in population.get_data().segments[0].spiketrains]


def trace(population, name="u"):
    """A variable at each step from 0, (steps, H)."""
    return np.asarray(population.get_data().segments[0].filter(name=name)[0])[1:]


def wire(values, branches=None, first_step=0):
    """A cell type of memoryless neurons, y = u, that never spike; ``values`` their biases."""
    size, empty = len(values), np.empty((len(values), 0))
    cell = StateSpaceCell(
        tau=empty, c_re=empty, d=np.ones(size), theta=np.full(size, np.inf), bias=values,
        branches=branches,
    )
    return cell_type(cell, first_step)


def receptors(count):
    """Names of the receptors of a neuron of ``count`` branches; the second of PyNN left out."""
    return ["excitatory", *(f"{part}{p}" for p in range(count) for part in ("value", "gate"))]
