"""The nodes of an exported graph, without metadata, are the network in continuous time."""

from dataclasses import replace

import numpy as np
import pytest
from support.cell_parts import parts_of
from support.gated_networks import leaky_network_of
from support.looped_networks import looped_network_of
from support.nir_continuous import Continuous
from support.random_networks import network_of

from export.description.network import Projection
from export.description.storage import digest
from export.interchange import InterchangeError, from_nir, to_nir
from export.samples.inputs import encode
from export.software import run
from pynn_models import StateSpaceCell


def soft(network, seed):
    """The network with soft resets."""
    rng = np.random.default_rng(seed)
    populations = [
        replace(p, cell=replace(p.cell, **parts_of(rng, p.cell, "soft"))) if p.spikes else p
        for p in network.populations
    ]
    return replace(network, populations=tuple(populations))


def hard(network):
    """The network with neurons of one real mode that are reset to 0."""
    populations = [
        replace(p, cell=p.cell.as_state_space()) if p.spikes else p for p in network.populations
    ]
    return replace(network, populations=tuple(populations), cells="native")


def graded(network):
    """The last layer's membrane goes to the readout, too."""
    last, readout = network.populations[-2:]
    cell = last.cell
    silent = replace(cell, theta=np.full(cell.n_neurons, np.inf))
    weights = np.ones((last.size, readout.size)) / 2
    lead = readout.latency - last.latency
    kept = tuple(p for p in network.projections if p.source != last.name)
    return replace(
        network,
        populations=(*network.populations[:-2], replace(last, cell=silent), readout),
        projections=(*kept, Projection(last.name, readout.name, weights, lead, graded=True)),
    )


NETWORKS = {
    "complex and real modes": lambda seed: network_of(seed, timestep=0.5),
    "loops, taps, a delay a synapse": lambda seed: looped_network_of(seed),
    "a soft reset": lambda seed: soft(network_of(seed), seed),
    "leaky neurons": lambda seed: leaky_network_of(seed),
    "leaky neurons in loops": lambda seed: looped_network_of(seed, cells="lif"),
    "leaky neurons as state-space cells": lambda seed: hard(leaky_network_of(seed)),
}


def compare(network, seed):
    rng = np.random.default_rng(seed)
    source = network.source
    shape = (1, source.channels, network.steps)
    samples = rng.integers(0, source.kind.values(source).limit, shape).astype(np.uint16)
    readout = network.readout.population
    recording = run(network, samples, membranes=[readout])
    graph = to_nir(network)
    sent = Continuous(graph, network.timestep * 1e-3).run(encode(network, samples)[0].astype(float))
    for name, spikes in recording.spikes.items():
        assert np.array_equal(sent[name], spikes[0]), name
    expected = recording.membranes[readout][0]
    (output,) = [
        name for name in graph.nodes if name.startswith(readout) and name.endswith("_output")
    ]
    assert sent[output] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    return sum(int(s.sum()) for s in recording.spikes.values())


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_nodes_say_the_network(kind):
    spikes = sum(compare(NETWORKS[kind](seed), seed) for seed in range(3))
    assert spikes > 20


def test_poles_stand_beside_the_nodes():
    """``exp(lambda dt)`` as the cell has it, for a reader that wants no continuous time."""
    network = network_of(0)
    cell = network.populations[0].cell
    assert isinstance(cell, StateSpaceCell) and cell.n_modes and cell.omega is not None
    node = to_nir(network).nodes["layer0_mode0_re"]
    poles = np.exp(-1 / cell.tau[:, 0]) * np.exp(1j * cell.omega[:, 0])
    found = node.metadata["pole_re"] + 1j * node.metadata["pole_im"]
    assert found == pytest.approx(poles, rel=1e-12)


def test_a_membrane_is_sent_by_what_sums_it():
    network = graded(network_of(1, layers=2))
    graph, silent = to_nir(network), network.populations[-2].name
    name = f"{silent}_to_readout"
    assert np.array_equal(graph.nodes[name].weight, network.projections[-1].weights.T)
    (sender,) = [a for a, b in graph.edges if b == name]
    assert sender == f"{silent}_membrane" and type(graph.nodes[sender]).__name__ == "Scale"
    assert digest(from_nir(graph)) == digest(network)


def test_a_membrane_of_a_leaky_node_is_refused():
    """NIR's LIF sends spikes."""
    network = hard(leaky_network_of(1))
    last, readout = network.populations[-2:]
    weights, lead = np.ones((last.size, readout.size)), readout.latency - last.latency
    sent = Projection(last.name, readout.name, weights, lead, graded=True)
    kept = tuple(p for p in network.projections if p.source != last.name)
    with pytest.raises(InterchangeError, match="graded, but NIR's LIF and IF send no membrane"):
        to_nir(replace(network, projections=(*kept, sent)))
