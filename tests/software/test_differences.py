"""Differences, and receivers that add them up: every bit is that of the network of counts."""

from dataclasses import replace

import numpy as np
import pytest
from support.differences import drawn, of_counts
from support.looped_networks import is_looped
from support.scalar_simulator import assert_same_bits

from export.samples.inputs import encode
from export.samples.messages import sent
from export.software import advance, at_rest, run


@pytest.mark.parametrize("kind", ["bits", "current", "gated", "looped"])
@pytest.mark.parametrize("seed", range(8))
def test_every_membrane_is_that_of_the_network_of_counts(kind, seed):
    network, samples = drawn(seed, kind)
    names = [p.name for p in network.populations]
    found, expected = (run(n, samples, membranes=names) for n in (network, of_counts(network)))
    for name in found.spikes:
        assert (found.spikes[name] == expected.spikes[name]).all()
    for name in names:
        assert (found.membranes[name] == expected.membranes[name]).all()
    assert_same_bits(network, samples, found)  # of delay lines that carry differences


def test_what_is_drawn_is_there():
    networks = [drawn(seed, "looped")[0] for seed in range(8)]
    differ = [[p.differences for p in n.populations if p.spikes] for n in networks]
    assert sum(map(is_looped, networks)) > 5
    assert sum(any(row) and not all(row) for row in differ) > 1
    levels = {p.levels for n in networks for p in n.populations if p.differences}
    assert len(levels) > 2


def test_real_currents_are_added_after_what_the_differences_come_to():
    """As they are after what counts bring: another order would change the last bits."""
    network, _ = drawn(2, "current")
    network = replace(network, source=replace(network.source, bits=0))
    shape = (3, network.source.channels, network.steps)
    samples = np.random.default_rng(1).normal(size=shape)
    names = [p.name for p in network.populations]
    found, expected = (run(n, samples, membranes=names) for n in (network, of_counts(network)))
    assert all((found.membranes[n] == expected.membranes[n]).all() for n in names)
    assert any(found.spikes[n].any() for n in found.spikes)


@pytest.mark.parametrize("seed", range(4))
def test_a_sequence_in_pieces_is_the_sequence(seed):
    network, samples = drawn(seed, "looped")
    whole, encoded = run(network, samples), encode(network, samples)
    states = at_rest(network, len(samples))
    parts = [advance(network, states, encoded[:, a:b]) for a, b in ((0, 1), (1, 5), (5, 14))]
    for name, expected in whole.spikes.items():
        assert (np.concatenate([p.spikes[name] for p in parts], axis=1) == expected).all()
    copied = states.copy()
    states.rest()
    assert all(not array.any() for _, array in states.arrays())
    names = [name for name, _ in copied.arrays()]
    assert any(name.endswith(".sent") for name in names)
    assert any(name.endswith(".held") for name in names)
    held = sum(float(np.abs(a).sum()) for name, a in copied.arrays() if name.endswith(".held"))
    assert held > 0
    again = advance(network, states, encoded)
    assert all((again.spikes[k] == whole.spikes[k]).all() for k in whole.spikes)


def test_what_is_sent_is_by_how_much_a_step_differs_from_the_one_before():
    kinds = set()
    for seed in range(8):
        network, samples = drawn(seed, "bits")
        recording = run(network, samples)
        found = sent(network, recording)
        for name, spikes in recording.spikes.items():
            expected = spikes.astype(int)
            if network.population(name).differences:
                before = [np.zeros_like(expected[:, 0]), *expected.swapaxes(0, 1)[:-1]]
                expected = np.abs(expected - np.stack(before, axis=1))
            assert (found[name] == expected).all()
            kinds.add(network.population(name).differences)
    assert kinds == {True, False}
