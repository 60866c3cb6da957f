"""Event-based gated units in NEST: every bit of ``software``, and cells and synapses by hand."""

import math

import numpy as np
import pytest
from support.differences import drawn
from support.egru_networks import egru_checkpoint, egru_network_of, unit
from support.nest_simulator import IN_NEST, nest, setup, sim, trace
from support.random_networks import network_samples, samples_of

from export.lowering import lower
from export.pynn.built import build, run, setup_arguments
from export.software import simulation as software
from pynn_models import CellParameterError, EgruCell
from pynn_models.nest import (
    DenseConnector,
    DifferenceSynapse,
    Egru,
    GradedSynapse,
    ProjectionError,
    RawStaticSynapse,
    cell_type,
    egru_cell_type,
    inject_currents,
)

pytestmark = IN_NEST


def everything(network):
    return [p.name for p in network.populations]


def same_bits(network, samples, **options):
    names = everything(network)
    found = run("nest", network, samples, membranes=names, **options)
    expected = software.run(network, samples, membranes=names)
    for name in names:
        assert (found.membranes[name] == expected.membranes[name]).all(), name
    for name, spikes in expected.spikes.items():
        assert (found.spikes[name] == spikes).all() and spikes.any()


@pytest.mark.parametrize(("seed", "encoding", "delay", "threads"), [
    (0, "bits", 1, 1), (1, "current", 1, 1), (2, "bits", 3, 1), (3, "bits", 1, 2),
])
def test_every_bit_of_a_lowered_network(seed, encoding, delay, threads):
    """Samples stream with a silent step in between; currents reach every receptor."""
    checkpoint = egru_checkpoint(seed, depth=1 + seed % 3)
    network = lower(checkpoint, encoding=encoding, delay=delay)
    same_bits(network, samples_of(checkpoint, 3), threads=threads)


@pytest.mark.parametrize("seed", range(3))
def test_every_event_of_a_network_of_any_graph(seed):
    """Values that go back and come late, of which the order of addition is not said."""
    network = egru_network_of(seed, layers=3)
    samples = network_samples(network, 2, seed)
    names = everything(network)
    found = run("nest", network, samples, membranes=names)
    expected = software.run(network, samples, membranes=names)
    for name in names:
        assert np.abs(found.membranes[name] - expected.membranes[name]).max() < 1e-11
    assert all((found.spikes[n] == s).all() for n, s in expected.spikes.items())


def test_a_script_records_the_gates():
    """As the equation has them, from what was recorded."""
    checkpoint = egru_checkpoint(4, depth=1)
    network = lower(checkpoint)
    sim.setup(**setup_arguments("nest", network))
    built = build(sim, network, samples_of(checkpoint, 1))
    built.record(["layer0"])
    built.populations["layer0"].record(["z", "r", "g"])
    sim.run(built.duration)
    v = built.recording(["layer0"]).membranes["layer0"][0]
    first = built.first_steps["layer0"]
    z, r, g = (trace(built.populations["layer0"], name)[first : first + network.steps]
               for name in ("z", "r", "g"))
    theta = network.population("layer0").cell.theta
    h = np.concatenate([np.zeros((1, 6)), np.where(v > theta, v - theta, v)[:-1]])
    assert (z * h + (1.0 - z) * g == v).all()
    assert ((r > 0) & (r < 1)).all() and len(np.unique(r)) > 50


RECEPTORS = ("excitatory", "update", "reset", "recurrent")


@pytest.mark.parametrize("receptor", RECEPTORS)
def test_spikes_currents_and_values_reach_each_receptor(receptor):
    """A unit of one step, whose sums are 0 but for one: 0.5 of a spike, 1 of a current, and 0.25
    times the value that another unit sends."""
    setup()
    zero = [0.0]
    quiet = EgruCell(
        theta=[np.inf], bias=[0.1], update_bias=zero, reset_bias=[0.2], recurrent_bias=[0.3]
    )
    loud = EgruCell(
        theta=[0.1], bias=[1.0], update_bias=zero, reset_bias=zero, recurrent_bias=zero
    )
    target = sim.Population(1, egru_cell_type(quiet, first_step=3))
    source = sim.Population(1, egru_cell_type(loud, first_step=2))
    spikes = sim.Population(1, sim.SpikeSourceArray(spike_times=[3.0 - 1e-4]))
    target.record("y")
    to = {"receptor_type": receptor}
    sim.Projection(spikes, target, DenseConnector([[0.5]]), RawStaticSynapse(delay=1.0), **to)
    sim.Projection(source, target, DenseConnector([[0.25]]), GradedSynapse(delay=1.0), **to)
    inject_currents(target, [[1.0]], [[1.0]], 3, receptor=receptor)
    sim.run(8.0)
    sent = 0.5 * math.tanh(1.0)
    sums = dict.fromkeys(RECEPTORS, 0.0) | {receptor: (0.5 + 1.0) + 0.25 * sent}
    z, r = (1 / (1 + math.exp(-(sums[name] + b))) for name, b in (("update", 0), ("reset", 0.2)))
    g = math.tanh((sums["excitatory"] + 0.1) + r * (sums["recurrent"] + 0.3))
    assert trace(target, "y")[3, 0] == (1 - z) * g


def test_plain_pynn_use_and_parameters():
    setup()
    population = sim.Population(3, Egru(theta=[0.1, 0.2, 0.3], bias=1.0))
    assert population.get("theta").tolist() == [0.1, 0.2, 0.3]
    assert population.get("update_bias") == 0.0
    population.set(recurrent_bias=[1, 2, 3])
    nodes = population.node_collection
    assert list(nodes.get("recurrent_bias")) == [1.0, 2.0, 3.0]
    sim.run(3.0)
    h = nodes[0].get("h")
    assert h != 0
    nodes.set(h=0.0)
    assert nodes[0].get("h") == 0.0
    copied = nest.Create("snn_ssm_egru", params={"theta": 0.75})
    assert copied.get("theta") == 0.75 and "z" in copied.get("recordables")


@pytest.mark.parametrize(("change", "message"), [
    ({"theta": 0.0}, "theta is 0, expected a number above 0"),
    ({"theta": math.nan}, "theta is nan, expected a number above 0"),
    ({"bias": math.inf}, "bias is inf, expected a finite number"),
    ({"update_bias": math.nan}, "update_bias is nan, expected a finite"),
    ({"reset_bias": math.nan}, "reset_bias is nan, expected a finite"),
    ({"recurrent_bias": math.inf}, "recurrent_bias is inf, expected a finite"),
    ({"active": 3, "period": 2}, "active is 3 steps, expected at most the period, 2"),
    ({"first_step": -1}, "first_step is -1, expected a number of steps >= 0"),
    ({"h": math.nan}, "h is nan, expected a finite"),
])
def test_values_that_cannot_be_are_refused(change, message):
    setup()
    made = nest.Create("snn_ssm_egru")
    with pytest.raises(nest.NESTErrors.BadProperty, match=f"snn_ssm: {message}"):
        made.set(**change)
    assert made.get("theta") == 0.5 and made.get("h") == 0.0


def test_a_period_is_a_whole_number_of_steps():
    with pytest.raises(CellParameterError, match=r"period is 2.5, expected an integer"):
        egru_cell_type(unit(np.random.default_rng(0), 2), period=2.5)


def test_a_receptor_that_it_lacks():
    setup()
    made = nest.Create("snn_ssm_egru", 2)
    for receptor in (4, 7):
        with pytest.raises(nest.NESTErrors.UnknownReceptorType, match=f"{receptor}"):
            nest.Connect(made[0], made[1], syn_spec={"receptor_type": receptor})


def test_it_adds_up_no_differences():
    setup()
    network, _ = drawn(0, "bits")
    sender = next(p for p in network.populations if p.differences)
    source = sim.Population(sender.size, cell_type(sender.state_space))
    target = sim.Population(1, egru_cell_type(unit(np.random.default_rng(0), 1)))
    weights = np.ones((sender.size, 1))
    with pytest.raises(ProjectionError, match="of Egru cells, which add up no differences"):
        sim.Projection(source, target, DenseConnector(weights), DifferenceSynapse(delay=1.0),
                       receptor_type="update")
    ends = source.node_collection[0], target.node_collection
    with pytest.raises(nest.NESTErrors.IllegalConnection, match="egru adds up no differences"):
        nest.Connect(*ends, syn_spec={"synapse_model": "snn_ssm_difference"})
    with pytest.raises(ProjectionError, match="the cells of pre send membranes, and no diff"):
        sim.Projection(target, source, DenseConnector(weights.T), DifferenceSynapse(delay=1.0))
