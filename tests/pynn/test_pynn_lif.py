"""LIF networks in NEST's standard IF_curr_delta equal a plain loop, and software: every spike."""

import math

import numpy as np
import pytest
from support.nest_simulator import IN_NEST, nest, sim

from export.description.network import Network, Population, Projection, Readout, Source
from export.pynn.built import BackendError, build, run, setup_arguments
from export.pynn.nest_lif import curr_delta_parameters
from export.samples.inputs import encode
from export.samples.readout import logits
from export.software import simulation as software
from pynn_models import SnnSsmError
from pynn_models.cells import LeakyCell, StateSpaceCell
from pynn_models.nest import MODEL_NAME, projection_weights

pytestmark = IN_NEST

SOURCES = {
    "bits": Source("input", "bits", 2, bits=3),
    "token": Source("input", "token", 1, symbols=5),
    "spikes": Source("input", "spikes", 4),
    "current": Source("input", "current", 2),
}


def dyadic(rng, shape):
    return rng.integers(-(2**10), 2**10, shape) / 2.0**11


def readout_cell(classes, bias):
    one = np.ones((classes, 1))
    return StateSpaceCell(
        tau=np.inf * one, c_re=one, d=np.zeros(classes), theta=np.full(classes, np.inf), bias=bias
    )


def lif_network(seed=0, encoding="bits", sizes=(5, 6, 4), delay=1, timestep=1.0, steps=40):
    """Random LIF layers, each reading from all before it; biases of both signs and none."""
    rng = np.random.default_rng(seed)
    source = SOURCES[encoding]
    populations, size, latency = [], {"input": source.size}, {"input": 0}
    for i, count in enumerate((*sizes, 3)):
        name = f"layer{i}" if i < len(sizes) else "readout"
        latency[name], size[name] = (i + 1) * delay, count
        cell = readout_cell(count, dyadic(rng, count))
        if i < len(sizes):
            bias = dyadic(rng, count) * rng.integers(0, 2, count)
            theta = rng.uniform(0.1, 1.0, count)
            cell = LeakyCell(tau=rng.uniform(0.3, 50, count) * timestep, theta=theta, bias=bias)
        populations.append(Population(name, cell, latency[name]))
    projections = [
        Projection(pre, post, dyadic(rng, (size[pre], size[post])), latency[post] - latency[pre])
        for j, post in enumerate(size) for pre in list(size)[:j]
    ]
    return Network(
        timestep, steps, source, tuple(populations), tuple(projections),
        Readout("readout", "mean"), cells="lif",
    )


def with_cell(network, cell, weights=None):
    """A network of one layer, with that cell, and those weights from the input."""
    first, *others = network.projections
    if weights is not None:
        first = Projection("input", "layer0", weights, 1)
    return Network(
        network.timestep, network.steps, network.source,
        (Population("layer0", cell, 1), network.populations[1]), (first, *others),
        network.readout, cells="lif",
    )


def samples_of(network, count=3, seed=0):
    rng, source = np.random.default_rng((seed, 5)), network.source
    top = {"bits": 2**source.bits, "token": source.symbols, "spikes": 2, "current": 9}
    return rng.integers(0, top[source.encoding], (count, source.channels, network.steps))


def plain(network, samples):
    """Spikes and membranes after the reset of each layer, (B, L, H), neuron by neuron."""
    emitted = {"input": encode(network, samples).astype(float)}
    membranes = {}
    for population in network.layers:
        cell, shape = population.cell, (*emitted["input"].shape[:2], population.size)
        u = np.zeros(shape) + cell.bias
        for projection in network.incoming(population.name):
            u = u + emitted[projection.source] @ projection.weights
        spikes, membrane = np.zeros(shape), np.zeros(shape)
        for b in range(shape[0]):
            for h in range(shape[2]):
                decay, v = math.exp(-network.timestep / cell.tau[h]), 0.0
                for k in range(shape[1]):
                    v = decay * v + u[b, k, h]
                    spikes[b, k, h] = v > cell.theta[h]
                    v = 0.0 if v > cell.theta[h] else v
                    membrane[b, k, h] = v
        emitted[population.name], membranes[population.name] = spikes, membrane
    return {p.name: emitted[p.name].astype(bool) for p in network.layers}, membranes


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
    with pytest.raises(BackendError, match=r"Train with integer inputs \(model.input_bits\)"):
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
