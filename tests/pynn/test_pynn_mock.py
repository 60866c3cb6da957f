"""Stock and LIF networks are built in PyNN's mock simulator, and own populations are the input."""

import numpy as np
import pytest
from support.lif_networks import lif_network, samples_of
from support.nest_simulator import IN_NEST, sim
from support.random_networks import checkpoint_of

from export.lowering.network import lower
from export.pynn import built as pynn
from export.pynn.built import BackendError, build, setup_arguments
from export.software import simulation as software

pytestmark = IN_NEST


@pytest.fixture
def mock():
    return pynn.simulator("mock")


def stock():
    return lower(checkpoint_of(cells="stock", mode_init="s4d-real", modes=1))


@pytest.mark.parametrize("make", [lif_network, stock], ids=["lif", "stock"])
def test_every_synapse_is_built(mock, make):
    network = make()
    mock.setup(**setup_arguments("mock", network))
    built = build(mock, network)
    for population in network.layers:
        assert built.populations[population.name].size == population.size
    for projection in network.projections:
        if projection.target == network.readout.population:
            continue
        made = built.projections[network.key(projection)]
        found = np.zeros(projection.weights.shape)
        for part in made.values():
            for c in part.connections:
                at = int(c.presynaptic_index), int(c.postsynaptic_index)
                found[at] = c.WEIGHT  # as mock names it
        np.testing.assert_array_equal(found, projection.weights)


def test_nothing_is_read_that_mock_made_up(mock):
    network = lif_network()
    mock.setup(**setup_arguments("mock", network))
    built = build(mock, network)
    built.record()
    mock.run(built.duration)
    with pytest.raises(BackendError, match=r"pyNN.mock computes nothing, and records random"):
        built.recording()


def test_an_own_population_is_the_input():
    network = lif_network(1, "spikes")
    samples = samples_of(network, 1)
    sim.setup(**setup_arguments("nest", network))
    times = [np.flatnonzero(row) + 1 + 1 - 1e-4 for row in samples[0]]
    mine = sim.Population(4, sim.SpikeSourceArray(spike_times=[t.tolist() for t in times]))
    built = build(sim, network, source=mine)
    assert built.first_steps["input"] == 1 and built.populations["input"] is mine
    built.record()
    sim.run(built.duration)
    for layer, spikes in software.run(network, samples).spikes.items():
        assert (built.recording().spikes[layer] == spikes).all()
    sim.end()


def test_own_populations_that_cannot_be_the_input(mock):
    network = lif_network(1, "spikes")
    mock.setup(**setup_arguments("mock", network))
    mine = mock.Population(3, mock.SpikeSourcePoisson(), label="mine")
    with pytest.raises(BackendError, match=r"'mine' has 3 neurons; expected 4, one a spike source"):
        build(mock, network, source=mine)
    with pytest.raises(BackendError, match="both samples and a source are given"):
        build(mock, network, samples_of(network, 1), source=mine)
    with pytest.raises(BackendError, match="its values are currents, and a population sends"):
        build(mock, lif_network(encoding="current"), source=mine)
