"""Stock and LIF networks in Brian 2 and NEURON equal the software backend, each in its own order.

Run with 'make test-simulators': these simulators want an environment of their own.
"""

import dataclasses
import os
import re

import numpy as np
import pytest
from support.lif_networks import lif_network, plain, with_cell
from support.lif_networks import samples_of as lif_samples
from support.random_networks import checkpoint_of, samples_of

from export.description.network import Projection
from export.lowering.network import lower
from export.pynn.built import BackendError, build, run, setup_arguments, simulator
from export.software import simulation as software
from export.verification.backends import runner
from pynn_models.cells import LeakyCell

pytestmark = [pytest.mark.simulators, pytest.mark.filterwarnings("ignore")]
SIMULATORS = ["brian2", "neuron"]
ROUNDING = {"brian2": 1e-13, "neuron": 1e-12}  # of membranes


@pytest.fixture(scope="module", params=SIMULATORS)
def name(request):
    return request.param


@pytest.fixture
def sim(name):
    return simulator(name)


@pytest.fixture(scope="module", autouse=True)
def without_a_compiler():
    """Brian 2 in NumPy: it compiles for minutes otherwise, also for a script's own run."""
    import brian2

    brian2.prefs.codegen.target = "numpy"


def stock_of(seed=0, steps=40, **changes):
    return checkpoint_of(seed, steps, cells="stock", mode_init="s4d-real", modes=1, **changes)


def assert_stock(name, network, samples):
    names = [p.name for p in network.layers]
    expected = software.run(network, samples, membranes=names)
    found = run(name, network, samples, membranes=names)
    for layer in names:
        assert (found.spikes[layer] == expected.spikes[layer]).all(), layer
        tolerance = ROUNDING[name]
        np.testing.assert_allclose(
            found.membranes[layer], expected.membranes[layer], rtol=tolerance, atol=tolerance
        )
    return sum(int(s.sum()) for s in expected.spikes.values())


def assert_lif(name, network, samples):
    names = [p.name for p in network.layers]
    spikes, membranes = plain(network, samples)
    found = run(name, network, samples, membranes=names)
    for layer in names:
        assert (found.spikes[layer] == spikes[layer]).all(), layer
        np.testing.assert_allclose(
            found.membranes[layer], membranes[layer], rtol=ROUNDING[name], atol=ROUNDING[name]
        )
    return sum(int(s.sum()) for s in spikes.values())


@pytest.mark.parametrize(("delay", "timestep"), [(1, 1.0), (3, 0.1)])
@pytest.mark.parametrize("depth", [1, 4])
def test_every_spike_of_a_stock_network(name, depth, delay, timestep):
    checkpoint = stock_of(depth, depth=depth, inputs=2)
    network = lower(checkpoint, delay=delay, timestep=timestep)
    theta = np.concatenate([p.cell.theta for p in network.layers])
    assert (theta < 0).any() and (theta > 0).any()
    assert assert_stock(name, network, samples_of(checkpoint, 5)) > 100


def test_stock_cells_of_extreme_thresholds(name):
    checkpoint = stock_of(steps=20)
    network = lower(checkpoint)
    theta = np.array([np.inf, -1e6, 1e6, -1e-9, 0.0, -0.1])
    populations = tuple(
        dataclasses.replace(p, cell=dataclasses.replace(p.cell, theta=theta))
        if p.name == "layer0" else p
        for p in network.populations
    )
    changed = dataclasses.replace(network, populations=populations)
    samples = samples_of(checkpoint)
    found, expected = run(name, changed, samples), software.run(changed, samples)
    for layer, spikes in expected.spikes.items():
        assert (found.spikes[layer] == spikes).all(), layer


@pytest.mark.parametrize(("delay", "timestep"), [(1, 1.0), (3, 0.1)])
@pytest.mark.parametrize("encoding", ["bits", "token", "spikes"])
def test_every_spike_of_a_lif_network(name, encoding, delay, timestep):
    network = lif_network(delay, encoding, delay=delay, timestep=timestep)
    assert assert_lif(name, network, lif_samples(network)) > 100


def test_many_neurons_and_steps(name):
    network = lif_network(3, sizes=(40, 40, 40), steps=300)
    assert assert_lif(name, network, lif_samples(network, 2)) > 10_000


def test_a_lif_threshold_is_strict(name):
    """Ties: an input of exactly the threshold; Brian 2's volts and NEURON's 2^-60 mV hold them."""
    theta = [0.5, 0.5 - 2.0**-30, 0.0, 0.0]
    cell = LeakyCell(tau=np.full(4, 5.0), theta=theta, bias=[0.5, 0.5, 0.0, 2.0**-11])
    network = lif_network(sizes=(4,), steps=3)
    network = with_cell(network, cell, np.zeros((network.source.size, 4)))
    spikes = run(name, network, np.ones((1, 2, 3), int)).spikes["layer0"][0]
    assert spikes[0, 1] and spikes[0, 3] and not spikes[:, 2].any()
    if name == "brian2":  # NEURON's weights make up for half a step, and are rounded
        assert not spikes[0, 0]


def test_the_samples_of_a_run_do_not_depend_on_each_other(name):
    network = lif_network(2)
    samples = lif_samples(network, 5)
    together, alone = run(name, network, samples), run(name, network, samples[4:])
    for layer, spikes in together.spikes.items():
        assert (alone.spikes[layer] == spikes[4:]).all()


def test_the_command_line_knows_them(name):
    network = lif_network(2)
    samples = lif_samples(network, 2)
    found = runner(name, network)(samples, [])
    for layer, spikes in software.run(network, samples).spikes.items():
        assert (found.spikes[layer] == spikes).all()


# --- PyNN's scenarios: repeated runs, resets, recordings, own populations -----------------------


def test_a_run_in_pieces_is_one_run(name, sim):
    network = lif_network(1)
    samples = lif_samples(network, 2)
    sim.setup(**setup_arguments(name, network))
    built = build(sim, network, samples)
    built.record()
    half = network.timestep * int(built.duration / network.timestep / 2)
    sim.run(half)
    with pytest.raises(BackendError, match=r"the simulator is at [\d.]+ ms of the"):
        built.recording()
    sim.run(built.duration - half)
    found = built.recording()
    for layer, spikes in software.run(network, samples).spikes.items():
        assert (found.spikes[layer] == spikes).all()
    sim.end()


def test_a_simulator_that_was_reset(name, sim):
    network = lif_network(1)
    sim.setup(**setup_arguments(name, network))
    built = build(sim, network, lif_samples(network, 1))
    built.record()
    sim.run(built.duration)
    sim.reset()
    with pytest.raises(BackendError, match="the simulator is at 0 ms"):
        built.recording()
    sim.run(built.duration)
    with pytest.raises(BackendError, match="its data are of 2 runs"):
        built.recording()
    sim.end()


def test_what_was_not_recorded(name, sim):
    network = lif_network(1)
    sim.setup(**setup_arguments(name, network))
    built = build(sim, network, lif_samples(network, 1))
    built.populations["layer0"].record("spikes")
    sim.run(built.duration)
    with pytest.raises(BackendError, match="'layer1': the spikes of 0 of its 6 neurons"):
        built.recording()
    sim.end()


def test_an_own_population_is_the_input(name, sim):
    network = lif_network(1, "spikes")
    samples = lif_samples(network, 1)
    sim.setup(**setup_arguments(name, network))
    first, stamp = 0, {"brian2": 0.0, "neuron": 0.5}[name]
    times = [(np.flatnonzero(row) + first + stamp) * network.timestep for row in samples[0]]
    mine = sim.Population(
        4, sim.SpikeSourceArray(spike_times=[t.tolist() for t in times]), label="mine"
    )
    built = build(sim, network, source=mine)
    assert built.first_steps["input"] == first and built.populations["input"] is mine
    built.record()
    sim.run(built.duration)
    found = built.recording()
    for layer, spikes in software.run(network, samples).spikes.items():
        assert (found.spikes[layer] == spikes).all()
    sim.end()


# --- refusals -----------------------------------------------------------------------------------


def test_native_cells_are_refused(name, sim):
    network = lower(checkpoint_of())
    with pytest.raises(BackendError, match=f"pyNN.{name} has no native cells yet; expected"):
        setup_arguments(name, network)


def test_a_timestep_that_is_not_the_networks(name, sim):
    network = lif_network(1)
    sim.setup(timestep=0.1, min_delay=0.1, max_delay=10.0)
    with pytest.raises(BackendError, match=re.escape(f"setup_arguments('{name}', network)")):
        build(sim, network, lif_samples(network, 1))
    sim.end()


def test_projections_before_the_order_of_a_step_is_changed():
    sim = simulator("brian2")
    network = lif_network(1)
    sim.setup(**setup_arguments("brian2", network))
    one = sim.Population(1, sim.IF_curr_delta())
    sim.Projection(one, one, sim.AllToAllConnector(), sim.StaticSynapse(weight=1.0, delay=1.0))
    with pytest.raises(BackendError, match=r"1 projections already, and for LIF cells the order"):
        build(sim, network, lif_samples(network, 1))
    sim.end()


def test_a_loop_that_is_too_short_for_brian2():
    network = lif_network(1)
    loop = Projection("layer0", "layer0", np.eye(5), 1)
    looped = dataclasses.replace(network, projections=(*network.projections, loop))
    with pytest.raises(BackendError, match="leaves none, since these lif cells answer 1 step"):
        run("brian2", looped, lif_samples(looped, 1))
    samples = lif_samples(looped, 2)
    expected, found = software.run(looped, samples), run("neuron", looped, samples)
    for layer, spikes in expected.spikes.items():
        assert (found.spikes[layer] == spikes).all()


def test_the_path_is_as_before(name, sim):
    before = os.environ.get("PATH")
    simulator(name)
    assert os.environ.get("PATH") == before
