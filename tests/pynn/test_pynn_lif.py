"""LIF networks in NEST's standard IF_curr_delta equal a plain loop, and software: every spike."""

import numpy as np
import pytest
from support.lif_networks import lif_network, plain, samples_of, with_cell
from support.nest_simulator import IN_NEST, nest, sim

from export.description.network import Network, Population, Projection
from export.pynn.built import BackendError, build, run, setup_arguments
from export.pynn.nest_lif import NestLif, NestLifInTurn, curr_delta_parameters
from export.samples.readout import logits
from export.software import simulation as software
from pynn_models import SnnSsmError
from pynn_models.cells import LeakyCell
from pynn_models.nest import MODEL_NAME, projection_weights

pytestmark = IN_NEST

def assert_exact(network, samples):
    """NEST, software and the plain loop: every spike, every membrane; returns the spikes."""
    names = [p.name for p in network.layers]
    spikes, membranes = plain(network, samples)
    found = run("nest", network, samples, membranes=names)
    in_software = software.run(network, samples)
    assert set(found.spikes) == set(in_software.spikes) == set(spikes)
    for name in names:
        wrong = np.argwhere(found.spikes[name] != spikes[name])
        assert len(wrong) == 0, f"{len(wrong)} spikes of {name} differ, first at {wrong[0]}"
        assert (in_software.spikes[name] == spikes[name]).all()
        assert (found.membranes[name] == membranes[name]).all(), name
    assert (logits(network, samples, found) == logits(network, samples, in_software)).all()
    return sum(int(s.sum()) for s in spikes.values())


@pytest.mark.parametrize("timestep", [1.0, 0.1])
@pytest.mark.parametrize("delay", [1, 3])
@pytest.mark.parametrize("encoding", ["bits", "token", "spikes"])
def test_random_networks(encoding, delay, timestep):
    network = lif_network(delay, encoding, delay=delay, timestep=timestep)
    biases = np.concatenate([p.cell.bias for p in network.layers])
    assert (biases > 0).any() and (biases < 0).any() and (biases == 0).any()
    assert assert_exact(network, samples_of(network)) > 100


def test_many_neurons_and_steps():
    network = lif_network(3, sizes=(40, 40, 40), steps=300)
    assert assert_exact(network, samples_of(network, 2)) > 10_000


def test_a_bias_alone_acts_from_the_first_step_on():
    """Silent input, and biases that reach the threshold in the first step, or in the fourth."""
    cell = LeakyCell(tau=[1e9, 2.0, 1.0], theta=[0.5, 1.0, 1.0], bias=[0.75, 0.5, -0.5])
    network = with_cell(lif_network(sizes=(3,), steps=7), cell)
    silent = np.zeros((3, 2, 7), int)
    found = run("nest", network, silent).spikes["layer0"]
    assert found[:, :, 0].all() and not found[:, :, 2].any()
    assert found[0, :, 1].tolist() == [False, False, False, True, False, False, False]
    assert assert_exact(network, silent) == 3 * 8


def test_the_threshold_is_strict():
    theta = [0.5, np.nextafter(0.5, 0), 0.0, 0.0]
    cell = LeakyCell(tau=np.full(4, 5.0), theta=theta, bias=[0.5, 0.5, 0.0, 2.0**-11])
    network = lif_network(sizes=(4,), steps=5)
    network = with_cell(network, cell, np.zeros((network.source.size, 4)))
    spikes = run("nest", network, np.ones((1, 2, 5), int)).spikes["layer0"][0]
    assert spikes[0].tolist() == [False, True, False, True]
    assert_exact(network, np.ones((1, 2, 5), int))


def test_real_weights_and_biases_differ_by_rounding_only():
    """Off the grid the order of a sum shows in its last bits, but not in the spikes here."""
    rng = np.random.default_rng(4)
    network = lif_network(4)
    cells = [
        LeakyCell(tau=p.cell.tau, theta=p.cell.theta, bias=0.3 * rng.normal(size=p.size))
        for p in network.layers
    ]
    populations = tuple(
        Population(p.name, cell, p.latency) for p, cell in zip(network.layers, cells, strict=True)
    )
    projections = tuple(
        Projection(p.source, p.target, 0.5 * rng.normal(size=p.weights.shape), p.delay)
        for p in network.projections
    )
    network = Network(
        1.0, 40, network.source, (*populations, network.populations[-1]), projections,
        network.readout, cells="lif",
    )
    samples = samples_of(network)
    spikes, membranes = plain(network, samples)
    found = run("nest", network, samples, membranes=list(membranes))
    for name, expected in membranes.items():
        assert (found.spikes[name] == spikes[name]).all()
        np.testing.assert_allclose(found.membranes[name], expected, rtol=0, atol=1e-14)


def test_the_samples_of_a_run_do_not_depend_on_each_other():
    network = lif_network(2)
    samples = samples_of(network, 5)
    together = run("nest", network, samples)
    alone = run("nest", network, samples[4:])
    for name, spikes in together.spikes.items():
        assert (alone.spikes[name] == spikes[4:]).all()


@pytest.mark.parametrize("encoding", ["bits", "token"])
def test_samples_in_turn_are_those_side_by_side(encoding):
    """One build for all, set to rest in between, where a script's own run takes copies."""

    class SideBySide(NestLif):
        def in_turn(self, network, samples):
            return self

    network = lif_network(5, encoding, delay=2, timestep=0.5, steps=9)
    samples, names = samples_of(network, 12), [p.name for p in network.layers]
    assert isinstance(NestLif().in_turn(network, 12), NestLifInTurn)
    found = run("nest", network, samples, membranes=names)
    expected = run("nest", network, samples, membranes=names, backend=SideBySide())
    for name in names:
        assert expected.spikes[name].any()
        assert (found.spikes[name] == expected.spikes[name]).all()
        assert (found.membranes[name] == expected.membranes[name]).all()


def test_samples_whose_spikes_would_reach_the_next_run_side_by_side():
    network = lif_network(5)
    loop = Projection("layer0", "layer0", np.eye(5), 3)
    looped = Network(
        network.timestep, network.steps, network.source, network.populations,
        (*network.projections, loop), network.readout, cells="lif",
    )
    assert looped.max_lag == 3 and type(NestLif().in_turn(looped, 5)) is NestLif
    assert assert_exact_spikes(looped, samples_of(looped, 5)) > 100


def assert_exact_spikes(network, samples):
    """Every spike in NEST is that in software; returns their number."""
    found, expected = run("nest", network, samples), software.run(network, samples)
    for name, spikes in expected.spikes.items():
        assert (found.spikes[name] == spikes).all(), name
    return sum(int(s.sum()) for s in expected.spikes.values())


def test_what_is_built_is_standard():
    network = lif_network(1, delay=2)
    sim.setup(**setup_arguments("nest", network))
    built = build(sim, network, samples_of(network, 2))
    assert set(built.populations) == {"input", "layer0", "layer1", "layer2"}
    assert MODEL_NAME not in nest.node_models
    assert built.first_steps["layer2"] == 7
    for projection in network.projections[:6]:
        made = built.projections[projection.source, projection.target]
        block = np.full_like(projection.weights, np.nan)
        expected = np.block([[projection.weights, block], [block, projection.weights]])
        np.testing.assert_array_equal(projection_weights(made), expected)
    layer = built.populations["layer1"]
    assert isinstance(layer.celltype, sim.IF_curr_delta) and layer.size == 12
    theta = np.nextafter(np.tile(network.population("layer1").cell.theta, 2), np.inf)
    assert list(layer.node_collection.get("V_th")) == theta.tolist()
    with pytest.raises(BackendError, match="'readout' is not built: a network of lif cells.*host"):
        built.record(["readout"])
    sim.end()


# --- refusals ----------------------------------------------------------------------------------


def test_currents_are_refused():
    network = lif_network(encoding="current")
    with pytest.raises(BackendError, match="--input bits and --data, the training samples"):
        run("nest", network, samples_of(network))
    sim.end()


def test_a_min_delay_beyond_the_step_that_a_bias_travels():
    network = lif_network(delay=2)
    sim.setup(**(setup_arguments("nest", network) | {"min_delay": 2.0}))
    with pytest.raises(SnnSsmError, match=r"the delay is 1.0 ms, expected .* min_delay 2.0 ms"):
        build(sim, network, samples_of(network))
    sim.end()


def test_a_threshold_below_the_reset():
    cell = LeakyCell(tau=[5.0, 5.0], theta=[0.5, -0.5], bias=[0.0, 0.0])
    with pytest.raises(BackendError, match=r"'a', neuron 1: theta is -0.5; expected at least 0"):
        curr_delta_parameters(Population("a", cell, 1))
