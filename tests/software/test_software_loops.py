"""Loops, lags and single synapses in software, bit for bit, against a simulator of delay lines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.looped_networks import is_looped, looped_network_of
from support.network_parts import cell, parts
from support.random_networks import network_samples
from support.scalar_simulator import assert_same_bits, simulate

from export.description.network import Network, Population, Projection
from export.samples.inputs import encode
from export.software.order import chunk, components
from export.software.simulation import advance, at_rest, run


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    cells=st.sampled_from(["native", "native", "lif"]),
    encoding=st.sampled_from(["bits", "current"]),
    layers=st.integers(0, 4),
    late=st.integers(0, 6),
    back=st.sampled_from([0.0, 0.2, 0.6]),
    steps=st.integers(1, 14),
)
def test_random_graphs_bit_for_bit(seed, cells, encoding, layers, late, back, steps):
    network = looped_network_of(
        seed, cells=cells, encoding=encoding, layers=layers, late=late, back=back, steps=steps
    )
    samples = network_samples(network, 3, seed)
    recording = run(network, samples, membranes=[p.name for p in network.populations])
    assert_same_bits(network, samples, recording)


@pytest.mark.parametrize("seed", range(8))
def test_steps_in_pieces_are_the_steps(seed):
    """What is on its way at the end of a piece arrives in the next ones."""
    network = looped_network_of(seed, late=6)
    samples = network_samples(network, 2)
    whole, encoded = run(network, samples, membranes=["readout"]), encode(network, samples)
    states = at_rest(network, 2)
    pieces = [
        advance(network, states, encoded[:, a:b], ["readout"]) for a, b in ((0, 1), (1, 4), (4, 14))
    ]
    for name, expected in whole.spikes.items():
        assert (np.concatenate([p.spikes[name] for p in pieces], axis=1) == expected).all()
    found = np.concatenate([p.membranes["readout"] for p in pieces], axis=1)
    assert (found == whole.membranes["readout"]).all()


def test_the_drawn_graphs_have_what_they_are_for():
    drawn = [looped_network_of(seed) for seed in range(40)]
    projections = [p for network in drawn for p in network.projections]
    assert sum(map(is_looped, drawn)) > 20
    assert sum(p.mask is not None for p in projections) > 40
    assert sum(not isinstance(p.delay, int) for p in projections) > 40
    assert sum(p.source == p.target for p in projections) > 20
    assert sum(len(network.key(p)) == 3 for network in drawn for p in network.projections) > 20
    rates = []
    for network in drawn:
        spikes = run(network, network_samples(network)).spikes.values()
        rates += [float(s.mean()) for s in spikes]
    assert 0.2 < np.mean(rates) < 0.8


def test_a_loop_matters():
    """Guards the comparison: without what goes back the spikes differ."""
    network = looped_network_of(4, back=0.6)
    samples = network_samples(network)
    place = {p.name: i for i, p in enumerate(network.populations)}
    cut = Network(**{
        **{k: getattr(network, k) for k in ("timestep", "steps", "source", "readout", "cells")},
        "populations": network.populations,
        "projections": tuple(
            p for p in network.projections
            if p.source == "input" or place[p.source] < place[p.target]
        ),
    })
    whole, without = run(network, samples).spikes, run(cut, samples).spikes
    assert any((whole[name] != without[name]).any() for name in whole)


def _network(latencies, projections):
    """Populations a, b, ... of one neuron, joined as (source, target, delay) say."""
    populations = [Population(n, cell(1), v) for n, v in latencies.items()]
    populations.append(Population("readout", cell(1, np.inf), max(latencies.values()) + 1))
    joined = [Projection("input", n, np.ones((2, 1)), v) for n, v in latencies.items()]
    joined += [Projection(a, b, np.ones((1, 1)), d) for a, b, d in projections]
    return Network(**parts(populations=tuple(populations), projections=tuple(joined)))


def test_components_come_after_what_sends_to_them():
    network = _network(
        {"a": 1, "b": 1, "c": 2, "d": 3},
        [("a", "c", 1), ("c", "a", 1), ("b", "c", 1), ("c", "d", 1), ("d", "d", 4)],
    )
    found = [[p.name for p in members] for members in components(network)]
    assert sorted(found) == [["a", "c"], ["b"], ["d"], ["readout"]]
    assert found.index(["b"]) < found.index(["a", "c"]) < found.index(["d"])


@pytest.mark.parametrize(("back", "length"), [(1, 2), (3, 4)])
def test_a_loop_is_run_for_the_shortest_lag_that_goes_back(back, length):
    network = _network({"a": 1, "b": 2}, [("a", "b", 1), ("b", "a", back), ("a", "a", 9)])
    (members,) = (m for m in components(network) if len(m) == 2)
    assert chunk(network, members) == length


def test_a_network_that_is_fed_forward_is_run_at_once():
    network = _network({"a": 1, "b": 2}, [("a", "b", 3)])
    assert all(len(members) == 1 for members in components(network))
    assert [chunk(network, members) for members in components(network)] == [network.steps] * 3


def test_spikes_before_the_first_step_are_none():
    """One neuron that fires at once, and itself again a lag later."""
    own = Projection("a", "a", np.full((1, 1), -100.0), 2)
    network = Network(**parts(
        populations=(
            Population("a", cell(1, theta=0.5, tau=np.empty((1, 0)), c_re=np.empty((1, 0)),
                                 d=np.ones(1), bias=np.ones(1)), 1),
            Population("readout", cell(1, np.inf), 2),
        ),
        projections=(own,), steps=6,
    ))
    spikes = run(network, np.zeros((2, 1, 6))).spikes["a"]
    assert spikes[:, :, 0].astype(int).tolist() == [[1, 1, 0, 0, 1, 1]] * 2
    assert simulate(network, np.zeros((1, 1, 6)))[0]["a"][1:7, 0].tolist() == [1, 1, 0, 0, 1, 1]
