"""Stock cells in NEST's standard IF_curr_exp equal the software backend (E3): every spike."""

import dataclasses

import numpy as np
import pytest
from support.files import ROOT
from support.nest_simulator import IN_NEST, nest, sim
from support.random_networks import checkpoint_of, samples_of

from export.description.network import Network
from export.lowering.network import lower
from export.pynn.built import BackendError, build, first_steps, run, setup_arguments
from export.pynn.meter import by_step
from export.pynn.nest import curr_exp_parameters
from export.samples.readout import logits
from export.software import simulation as software
from export.verification.backends import runner
from export.verification.contract import verify
from pynn_models.nest import MODEL_NAME, projection_weights

pytestmark = IN_NEST


def stock_of(seed=0, steps=40, **changes):
    return checkpoint_of(seed, steps, cells="stock", mode_init="s4d-real", modes=1, **changes)


def changed_cell(network: Network, name, **values):
    """The network with a cell of other values."""
    populations = tuple(
        dataclasses.replace(p, cell=dataclasses.replace(p.cell, **values)) if p.name == name else p
        for p in network.populations
    )
    return dataclasses.replace(network, populations=populations)


def assert_nest_equals_software(network, samples):
    """0 mismatched spikes, membranes but for rounding; returns the number of spikes."""
    names = [p.name for p in network.layers]
    expected = software.run(network, samples, membranes=names)
    found = run("nest", network, samples, membranes=names)
    assert set(found.spikes) == set(expected.spikes)
    for name in names:
        wrong = np.argwhere(found.spikes[name] != expected.spikes[name])
        assert len(wrong) == 0, f"{len(wrong)} spikes of {name} differ, first at {wrong[0]}"
        np.testing.assert_allclose(
            found.membranes[name], expected.membranes[name], rtol=1e-12, atol=1e-12
        )
    assert (logits(network, samples, found) == logits(network, samples, expected)).all()
    return sum(int(s.sum()) for s in expected.spikes.values())


@pytest.mark.parametrize("timestep", [1.0, 0.1])
@pytest.mark.parametrize("delay", [1, 3])
@pytest.mark.parametrize("depth", [1, 4])
def test_every_spike_of_a_lowered_network(depth, delay, timestep):
    checkpoint = stock_of(depth, depth=depth, inputs=2)
    network = lower(checkpoint, delay=delay, timestep=timestep)
    # Of both kinds: neurons that fire without input must be silent before their first step.
    theta = np.concatenate([p.cell.theta for p in network.layers])
    assert (theta < 0).any() and (theta > 0).any()
    assert assert_nest_equals_software(network, samples_of(checkpoint, 5)) > 100


def test_many_neurons_and_steps():
    checkpoint = stock_of(7, steps=300, channels=48, depth=3, dt_min=1 / 200, dt_max=0.5)
    network = lower(checkpoint)
    assert assert_nest_equals_software(network, samples_of(checkpoint, 2)) > 10_000


def test_a_threshold_of_zero_is_not_reached_by_zero():
    checkpoint = stock_of(steps=20)
    network = changed_cell(lower(checkpoint), "layer0", theta=np.zeros(6))
    silent = np.zeros((1, 1, 20), np.uint8)
    assert_nest_equals_software(network, silent)
    assert not run("nest", network, silent).spikes["layer0"].any()
    assert_nest_equals_software(network, samples_of(checkpoint))


def test_a_threshold_of_infinity_and_one_far_below():
    checkpoint = stock_of(steps=20)
    theta = np.array([np.inf, -1e6, 1e6, -1e-9, 0.1, -0.1])
    network = changed_cell(lower(checkpoint), "layer0", theta=theta)
    assert_nest_equals_software(network, samples_of(checkpoint))


def test_the_samples_of_a_run_do_not_depend_on_each_other():
    checkpoint = stock_of(steps=25)
    network, samples = lower(checkpoint), samples_of(checkpoint, 3)
    together = run("nest", network, samples)
    alone = run("nest", network, samples[2:])
    for name, spikes in together.spikes.items():
        assert (alone.spikes[name] == spikes[2:]).all()


def test_what_is_built_is_standard():
    checkpoint = stock_of(depth=3)
    network = lower(checkpoint)
    sim.setup(**setup_arguments("nest", network))
    built = build(sim, network, samples_of(checkpoint, 2))
    assert set(built.populations) == {"input", "layer0", "layer1", "layer2"}
    assert MODEL_NAME not in nest.node_models
    first = built.first_steps
    assert [first[n] for n in ("input", "layer0", "layer1", "layer2")] == [1, 3, 5, 7]
    for (pre, post), made in built.projections.items():
        weights = next(
            p.weights for p in network.projections if (p.source, p.target) == (pre, post)
        )
        block = np.full_like(weights, np.nan)
        expected = np.block([[weights, block], [block, weights]])
        np.testing.assert_array_equal(projection_weights(made), expected)
    layer = built.populations["layer1"]
    assert isinstance(layer.celltype, sim.IF_curr_exp)
    assert (layer.label, layer.size) == ("layer1", 12)
    with pytest.raises(BackendError, match="'readout' is not built.*on the host"):
        built.record(["readout"])
    sim.end()


def test_the_schedule_puts_each_layer_off_by_the_lag():
    network = lower(stock_of(depth=3), delay=2)
    assert first_steps(network, 0, 2) == {
        "layer0": 4, "layer1": 6, "layer2": 8, "readout": 10, "input": 2
    }
    assert first_steps(network, 1, 1) == {
        "layer0": 4, "layer1": 7, "layer2": 10, "readout": 13, "input": 1
    }


def test_events_of_a_multimeter_become_rows_in_whatever_order_they_come():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(4, 3))
    order = rng.permutation(table.size)
    events = {
        "senders": np.tile([5, 7, 9], 4)[order], "times": np.repeat([1.0, 2.0, 3.0, 4.0], 3)[order]
    }
    senders, found = by_step(events, table.ravel()[order])
    assert senders.tolist() == [5, 7, 9] and (found == table).all()


def test_verify_holds():
    checkpoint = stock_of(3)
    network = lower(checkpoint)
    compared = {name: runner(name, network) for name in ("software", "nest")}
    result = verify(network, samples_of(checkpoint), np.zeros(3, np.int64), compared)
    assert result["contract"] == {"E3": True}


@pytest.mark.slow
def test_a_network_of_full_size_on_shipped_digits():
    from snn_ssm.tasks import read_samples

    network = lower(stock_of(steps=784, channels=128, depth=4, input_bits=8, input_scale=1 / 255))
    samples = read_samples(ROOT / "examples" / "data" / "mnist-test-200.npz").head(20)
    assert assert_nest_equals_software(network, samples.inputs) > 100_000


# --- refusals ---------------------------------------------------------------------------------


def test_currents_have_no_way_into_the_synapse():
    checkpoint = stock_of()
    network = lower(checkpoint, encoding="current")
    with pytest.raises(BackendError, match="Export with --input bits"):
        run("nest", network, samples_of(checkpoint))
    sim.end()


def test_a_min_delay_that_leaves_populations_unheld():
    checkpoint = stock_of()
    network = lower(checkpoint, delay=2)
    sim.setup(timestep=1.0, min_delay=2.0, max_delay=10.0, spike_precision="on_grid")
    with pytest.raises(BackendError, match=r"min_delay is 2.0 ms; expected the timestep, 1.0 ms"):
        build(sim, network, samples_of(checkpoint))
    sim.end()


@pytest.mark.parametrize("tau", [np.inf, 0.01])
def test_a_time_constant_that_the_cell_cannot_have(tau):
    network = changed_cell(lower(stock_of()), "layer1", tau=np.array([[5.0]] * 4 + [[tau]] * 2))
    with pytest.raises(BackendError, match=r"'layer1', neuron 4: tau is (inf|0.01) ms; expected"):
        curr_exp_parameters(network.population("layer1"), 1.0)
    if tau == 0.01:  # it is long enough where the timestep is a tenth
        curr_exp_parameters(network.population("layer1"), 0.1)
