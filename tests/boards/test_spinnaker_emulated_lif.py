"""E4 of leaky neurons: sPyNNaker's own IF_curr_delta on an emulated board, bit for bit."""

import dataclasses

import numpy as np
import pytest
from support.gated_networks import lowered
from support.on_board import needs_board, own_board, script

from export.fixed_point import simulation as integers
from export.fixed_point.lif import plan_lif
from export.pynn.backend import first_steps
from export.samples.inputs import encode
from pynn_models.spinnaker import Arrival, ring_buffer
from pynn_models.spinnaker.delta import delta_constants, run_delta

pytestmark = needs_board


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A random network with biases and skip projections, run by the script that keeps V, too."""
    _, network, samples = lowered("lif", 3, steps=40, count=3, channels=18, depth=3, dt_min=0.05)
    layer = network.layers[0]
    bias = np.where(np.arange(layer.size) % 3 == 0, 0.0, layer.cell.bias)  # some have none
    cell = dataclasses.replace(layer.cell, bias=bias)
    populations = (dataclasses.replace(layer, cell=cell), *network.populations[1:])
    network = dataclasses.replace(network, populations=populations)
    address, board = own_board(12)
    with board:
        found = script("network", address, tmp_path_factory.mktemp("lif"), network, samples)
        assert board.errors == []
    return network, samples, found


def test_every_spike_of_a_network_is_the_same(recorded):
    network, samples, found = recorded
    wanted = integers.run(network, samples).spikes
    assert set(wanted) == {p.name for p in network.layers}
    for name, spikes in wanted.items():
        assert 0.02 < spikes.mean() < 0.98
        assert np.array_equal(found[f"spikes_{name}"], spikes)


def membranes(network, samples, name, unit=0):
    """V before each tick's update, (ticks, B H); ``unit``: added to a neuron's stored weights."""
    population = network.population(name)
    plan, start = plan_lif(network, population), first_steps(network, 0, 0)[name]
    emitted = {"input": encode(network, samples)} | integers.run(network, samples).spikes
    calm = emitted[name].sum(axis=(0, 1)).argmin()
    arrivals = ([], [])
    for projection in network.incoming(name):
        spikes = emitted[projection.source]
        exc, inh = (stored.copy() for stored in plan.stored(projection))
        exc[spikes.sum(axis=(0, 1)).argmax(), calm] += unit
        arrivals[0].append(Arrival(spikes, exc))
        arrivals[1].append(Arrival(spikes, inh))
    always = np.ones((*emitted["input"].shape[:2], 1), np.uint8)
    for found, stored in zip(arrivals, plan.constant(), strict=True):
        found.append(Arrival(always, stored))
    quiet = ((0, 0), (start, 0), (0, 0))
    buffers = [np.pad(ring_buffer(each), quiet) for each in arrivals]
    constants = delta_constants(plan.cell, network.timestep)
    run = run_delta(constants, *buffers, plan.shifts, membrane=True)
    return run.membrane.transpose(1, 0, 2).reshape(buffers[0].shape[1], -1)


@pytest.mark.parametrize("name", ["layer0", "layer1", "layer2"])
def test_every_bit_of_its_membranes_is_the_same(recorded, name):
    network, samples, found = recorded
    wanted = membranes(network, samples, name)
    assert np.unique(wanted).size > 500
    assert (found[f"v_{name}"][: len(wanted)] == wanted).all()
    changed = membranes(network, samples, name, unit=1)
    assert (found[f"v_{name}"][: len(wanted)] != changed).any()


def test_every_spike_of_a_network_with_loops_and_delays_is_the_same(tmp_path):
    """Recurrent layers, a delay a synapse, forward and back: lists of synapses of many delays."""
    _, network, samples = lowered(
        "lif", 4, steps=40, count=2, channels=12, depth=2, dt_min=0.05, recurrent=True,
        recurrent_delays=5, delays=8,
    )  # fmt: skip
    address, board = own_board(13)
    with board:
        found = script("network", address, tmp_path, network, samples)
        assert board.errors == []
    wanted = integers.run(network, samples).spikes
    for name, spikes in wanted.items():
        assert 0.02 < spikes.mean() < 0.98
        assert np.array_equal(found[f"spikes_{name}"], spikes)
