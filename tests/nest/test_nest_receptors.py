"""Receptors of the NEST neuron's branches and graded synapses in PyNN: use and refusals."""

import math

import numpy as np
import pytest
from pyNN.errors import ConnectionError as PyNNConnectionError
from pyNN.parameters import ArrayParameter
from support.nest_reference import branches_of
from support.nest_simulator import IN_NEST, nest, receptors, setup, sim, trace, wire

from pynn_models.cells import Branches, CellParameterError
from pynn_models.nest import (
    DenseConnector,
    GradedSynapse,
    ModuleLoadError,
    ProjectionError,
    StateSpace,
    install,
    projection_weights,
)

pytestmark = IN_NEST


def test_receptors_are_those_of_the_branches():
    setup()
    plain, gated = StateSpace(), wire([0.0], branches_of(np.random.default_rng(0), "glu", 1, 2))
    assert plain.receptor_types == ["excitatory", "inhibitory"] and plain.standard_receptor_type
    assert gated.receptor_types == ["excitatory", "inhibitory", *receptors(2)[1:]]
    assert not gated.standard_receptor_type
    assert [gated.get_receptor_type(n) for n in gated.receptor_types] == [0, 0, 1, 2, 3, 4]
    one = StateSpace(value_bias=ArrayParameter([1.0]), gate_bias=ArrayParameter([1.0]))
    assert one.receptor_types[2:] == ["value0", "gate0"]


def test_negative_weights_of_a_plain_script_reach_the_input():
    """PyNN guesses the second receptor for them."""
    setup()
    gated = wire([0.25, 0.25], branches_of(np.random.default_rng(0), "glu", 2, 1))
    target = sim.Population(2, gated)
    target.record("u")
    source = sim.Population(2, wire([1.0, 2.0]))
    sim.Projection(source, target, sim.OneToOneConnector(), GradedSynapse(weight=-3.0))
    sim.run(2.0)
    before, after = trace(target)
    np.testing.assert_allclose(after - before, [-3.0, -6.0], rtol=1e-14)


def test_a_graded_weight_of_zero_makes_no_synapse():
    setup()
    weights = np.array([[0.0, 1.5, 0.0], [-0.25, 0.0, 2.0]])
    pre, post = sim.Population(2, wire([1.0, 2.0])), sim.Population(3, wire([0.0] * 3))
    made = sim.Projection(pre, post, DenseConnector(weights), GradedSynapse())
    assert len(made) == 3
    expected = np.where(weights == 0, np.nan, weights)
    assert np.array_equal(projection_weights(made), expected, equal_nan=True)
    none = sim.Projection(pre, post, DenseConnector(0 * weights), GradedSynapse())
    assert len(none) == 0
    sim.run(2.0)
    assert post.node_collection.get("u") == (-0.5, 1.5, 4.0)


def test_each_copy_has_its_own_graded_synapses():
    setup()
    weights = np.array([[0.0, 1.5, 3.0], [-0.25, 0.0, 2.0]])
    pre, post = sim.Population(4, wire([1.0, 2.0, 4.0, 8.0])), sim.Population(6, wire([0.0] * 6))
    made = sim.Projection(pre, post, DenseConnector(weights, copies=2), GradedSynapse())
    none = np.zeros_like(weights)
    block = np.block([[weights, none], [none, weights]])
    expected = np.where(block == 0, np.nan, block)
    assert np.array_equal(projection_weights(made), expected, equal_nan=True)
    sim.run(2.0)
    assert post.node_collection.get("u") == (-0.5, 1.5, 7.0, -2.0, 6.0, 28.0)


@pytest.mark.parametrize(("receptor", "u"), [(0, 1.5), (1, 0.75)])  # an input, half a value
def test_a_spike_counts_as_often_as_its_multiplicity_says(receptor, u):
    setup()
    zero, one = np.zeros((1, 1)), np.ones((1, 1))
    half = Branches(kind="glu", value_bias=zero, gate_bias=zero, shift=zero, gain=one)
    target = sim.Population(1, wire([0.0], half))
    target.record("u")
    source = nest.Create("spike_generator", params={
        "spike_times": [1.0], "spike_multiplicities": [3],
    })
    synapse = {"weight": 0.5, "receptor_type": receptor}
    nest.Connect(source, target.node_collection, syn_spec=synapse)
    sim.run(4.0)
    assert max(trace(target)[:, 0]) == u


@pytest.mark.parametrize(("receptor", "u"), [(0, 0.5), (1, 0.25)])
def test_a_delay_that_was_longer_than_all_when_the_neuron_was_made(receptor, u):
    """In NEST without PyNN, whose longest delay grows with the connections."""
    nest.ResetKernel()
    install()
    neuron = nest.Create("snn_ssm_state_space", params={
        "d": 1.0, "theta": np.inf, "value_bias": [0.0], "gate_bias": [0.0],
    })
    source = nest.Create("spike_generator", params={"spike_times": [1.0, 2.0]})
    synapse = {"weight": 0.5, "receptor_type": receptor, "delay": 30.0}
    nest.Connect(source, neuron, syn_spec=synapse)
    device = nest.Create("multimeter", params={"record_from": ["u"], "interval": 0.1})
    nest.Connect(device, neuron)
    nest.Simulate(70.0)
    events = device.events
    at = np.flatnonzero(events["u"])
    assert events["times"][at].tolist() == [31.0, 32.0]
    assert events["u"][at].tolist() == [u, u]


def test_graded_views():
    setup()
    pre, post = sim.Population(4, wire([1.0, 2.0, 4.0, 8.0])), sim.Population(3, wire([0.0] * 3))
    sim.Projection(pre[1:3], post[0:3:2], DenseConnector([[1, 0], [1, 1]]), GradedSynapse())
    sim.run(2.0)
    assert post.node_collection.get("u") == (6.0, 0.0, 4.0)


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("receptor", ["value1", "input", "gate"])
def test_an_unknown_receptor_is_named_with_the_known(receptor):
    setup()
    target = sim.Population(1, wire([0.0], branches_of(np.random.default_rng(0), "glu", 1, 1)))
    known = "'excitatory', 'inhibitory', 'value0', 'gate0'"
    with pytest.raises(PyNNConnectionError, match=f"{receptor}.*must be one of: {known}"):
        sim.Projection(
            target, target, DenseConnector([[1.0]]), GradedSynapse(), receptor_type=receptor
        )


def test_nest_refuses_a_receptor_beyond_the_branches_and_currents_at_a_gate():
    setup()
    nodes = nest.Create(
        "snn_ssm_state_space", params={"value_bias": [0.0], "gate_bias": [0.0]}
    )
    for model in ("static_synapse", "snn_ssm_graded"):
        with pytest.raises(nest.NESTError, match="Receptor type 3 is not available"):
            nest.Connect(nodes, nodes, syn_spec={"synapse_model": model, "receptor_type": 3})
    with pytest.raises(nest.NESTError, match="Receptor type 2 is not available"):
        nest.Connect(nest.Create("dc_generator"), nodes, syn_spec={"receptor_type": 2})


@pytest.mark.parametrize("receptor", [3, 4])  # value and gate of the second
def test_branches_with_connections_stay(receptor):
    setup()
    two, one = ({"value_bias": [0.5] * n, "gate_bias": [0.5] * n} for n in (2, 1))
    node = nest.Create("snn_ssm_state_space", params=two)
    nest.Connect(node, node, syn_spec={"receptor_type": receptor})
    expected = f"value_bias has 1 elements, expected more than 1, since receptor {receptor} has con"
    with pytest.raises(nest.NESTError, match=expected):
        node.set(one)
    assert len(node.get("value_bias")) == 2
    node.set({name: [1.0] * 3 for name in one})
    nest.Connect(node, node, syn_spec={"receptor_type": 6})


def test_a_neuron_of_a_model_with_other_defaults_has_these_and_their_receptors():
    setup()
    values = {"tau": [5.0], "c_re": [2.0], "value_bias": [0.5], "gate_bias": [0.25], "theta": 3.0}
    nest.CopyModel("snn_ssm_state_space", "gated", values)
    node = nest.Create("gated", 2)[1]
    assert node.get("tau") == (5.0,) and node.get("theta") == 3.0
    assert node.get("value_bias") == (0.5,) and node.get("gate_bias") == (0.25,)
    nest.Connect(node, node, syn_spec={"receptor_type": 2})


def test_graded_ends_must_have_a_membrane():
    setup()
    cell, other = sim.Population(1, wire([0.0]), label="cell"), sim.Population(1, sim.IF_curr_exp())
    weights = DenseConnector([[1.0]])
    with pytest.raises(ProjectionError, match="pre is a population of IF_curr_exp, expected State"):
        sim.Projection(other, cell, weights, GradedSynapse())
    with pytest.raises(ProjectionError, match="post is a population of IF_curr_exp.*Send spikes"):
        sim.Projection(cell, other, weights, GradedSynapse())


@pytest.mark.parametrize("delay", [0.0, 1.5, 41.0, math.nan])
def test_a_graded_delay_outside_the_setup_is_refused(delay):
    setup()
    cell = sim.Population(1, wire([0.0]))
    with pytest.raises(ProjectionError, match="GradedSynapse: the delay .* to max_delay 40.0 ms"):
        sim.Projection(cell, cell, DenseConnector([[1.0]]), GradedSynapse(delay=delay))


def test_a_graded_synapse_where_the_module_is_not_loaded():
    sim.setup(timestep=1.0, min_delay=1.0, max_delay=5.0)
    other = sim.Population(1, sim.IF_curr_exp())
    with pytest.raises(ModuleLoadError, match=r"install\(\) right after sim.setup\(\)"):
        sim.Projection(other, other, DenseConnector([[1.0]]), GradedSynapse())


@pytest.mark.parametrize("value", [[0.5, 0.5], 0.5, np.zeros(3)])
def test_a_vector_that_is_none_is_refused(value):
    setup()
    with pytest.raises(CellParameterError, match="value_bias is .* expected an ArrayParameter"):
        StateSpace(value_bias=value)
