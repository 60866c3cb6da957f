"""A live network's parts: its readout on the host, and what it was sent as samples."""

from dataclasses import replace

import numpy as np
import pytest
from support.gated_networks import leaky_network_of, lowered
from support.looped_networks import looped_network_of
from support.random_networks import network_of

from export.boards import Board
from export.samples.inputs import encode
from export.samples.readout import readout_membrane
from export.software.simulation import advance, run
from export.software.states import at_rest
from export.streaming import BoardSession, StreamError, lengthened
from export.streaming.host_readout import HostReadout
from export.streaming.replay import as_samples_of

BOARD = Board("127.0.0.77")


def filtered(network):
    return replace(network, readout=replace(network.readout, pooling="filter"))


@pytest.mark.parametrize("make", [network_of, leaky_network_of, looped_network_of])
@pytest.mark.parametrize("seed", range(3))
def test_the_readout_on_the_host_is_that_of_the_whole_recording(make, seed):
    network = make(seed)
    inputs = network.source
    samples = np.random.default_rng(seed).integers(
        0, 2 ** max(inputs.bits, 1), (1, inputs.channels, network.steps)
    )
    recording = run(network, samples)
    whole = readout_membrane(network, samples, recording)[0]  # (L, K)
    sent = {network.source.name: encode(network, samples), **recording.spikes}
    host = HostReadout(network)
    found = [host.step({k: v[0, t] for k, v in sent.items()}) for t in range(network.steps)]
    np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [network_of, looped_network_of])
def test_spikes_that_came_twice_in_a_step_are_sent_twice_again(make, seed):
    network = make(seed)
    counts = np.random.default_rng(seed).poisson(0.7, (network.steps, network.source.size))
    expected = advance(network, at_rest(network, 1), counts[None].astype(np.uint8), []).spikes
    again, samples = as_samples_of(network, counts)
    assert samples.shape == (1, counts.max() * network.source.size, network.steps)
    found = run(again, samples).spikes
    for name, spikes in expected.items():
        assert (found[name] == spikes).all()
    assert any(spikes.any() for spikes in expected.values())


def test_silence_is_a_sample_too():
    network = network_of(0)
    again, samples = as_samples_of(network, np.zeros((5, network.source.size), np.uint8))
    assert samples.shape == (1, network.source.size, 5) and again.steps == 5


def test_an_answer_that_counts_steps_has_no_other_length():
    with pytest.raises(StreamError, match="which has no end to be divided by"):
        lengthened(network_of(0), 100)
    assert lengthened(filtered(network_of(0)), 100).steps == 100


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (network_of(0), "which has no end"),
        (filtered(network_of(0, encoding="current")), "it has currents as input"),
        (filtered(lowered("glu")[1]), "it has gated mixing"),
    ],
)
def test_what_cannot_stream_on_a_board_is_refused(network, message):
    with pytest.raises(StreamError, match=message):
        BoardSession(network, BOARD, steps=10)


def test_nothing_is_replayed_before_the_end():
    session = BoardSession(filtered(leaky_network_of(0)), BOARD, steps=10)
    with pytest.raises(StreamError, match=r"the run has not ended.*Call rest\(\) first"):
        session.replayed()
