"""Logits: from spike counts, from the accumulators' membranes and from the trained model."""

from dataclasses import replace

import numpy as np
import pytest
from support.gated_networks import KINDS, lowered
from support.random_networks import checkpoint_of, network_of, network_samples, samples_of

from export.lowering.network import lower
from export.samples.readout import ReadoutError, accumulated_logits, logits, needed_membranes
from export.software import simulation as software
from pynn_models import SnnSsmError
from snn_ssm.model.reference import run_reference


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("encoding", ["bits", "current"])
@pytest.mark.parametrize("depth", [1, 3])
def test_three_ways_to_the_logits(pooling, encoding, depth):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from snn_ssm.model.restore import load_network

    checkpoint = checkpoint_of(depth, pooling=pooling, depth=depth)
    samples = samples_of(checkpoint, 5)
    network = lower(checkpoint, encoding=encoding)
    recording = software.run(network, samples, membranes=["readout"])
    counted = logits(network, samples, recording)
    accumulated = accumulated_logits(network, recording)
    trained = load_network(checkpoint).double().steps(torch.from_numpy(samples.astype(int)))
    assert counted.shape == accumulated.shape == (5, 3)
    # Sums are exact on the grid: what is left is one division and the bias after it, or before.
    assert counted == pytest.approx(accumulated, rel=1e-14, abs=1e-13)
    assert counted == pytest.approx(trained.logits.numpy(), rel=1e-10, abs=1e-10)
    assert (counted.argmax(-1) == trained.logits.numpy().argmax(-1)).all()


@pytest.mark.parametrize("encoding", ["bits", "current"])
def test_mean_pooling_counts_spikes_by_hand(encoding):
    checkpoint = checkpoint_of(pooling="mean")
    network = lower(checkpoint, encoding=encoding)
    samples = samples_of(checkpoint, 2)
    recording = software.run(network, samples)
    bias = network.population("readout").cell.bias
    for b, row in enumerate(logits(network, samples, recording)):
        total = np.array(bias)
        for projection in network.incoming("readout"):
            for i, weights in enumerate(projection.weights):
                if projection.source != "input":
                    amount = recording.spikes[projection.source][b, :, i].sum()
                elif encoding == "bits":
                    amount = (samples[b, 0].astype(int) >> i & 1).sum()
                else:
                    amount = samples[b, i].sum()
                total = total + weights * (amount / network.steps)
        assert row == pytest.approx(total, rel=1e-12)


def test_last_pooling_looks_at_the_last_step_only():
    checkpoint = checkpoint_of(pooling="last")
    network = lower(checkpoint)
    samples = samples_of(checkpoint)
    recording = software.run(network, samples, membranes=["readout"])
    before = logits(network, samples, recording)
    for spikes in recording.spikes.values():
        spikes[:, :-1] = ~spikes[:, :-1]
    samples[:, :, :-1] = 15 - samples[:, :, :-1]
    assert (logits(network, samples, recording) == before).all()
    assert before == pytest.approx(recording.membranes["readout"][:, -1], rel=1e-14, abs=1e-14)


def with_accumulators(network):
    """The network with the neurons of its pooling as the readout."""
    *layers, last = network.populations
    cell = network.readout.kind.accumulator(last.cell.bias)
    return replace(network, populations=(*layers, replace(last, cell=cell)))


def test_the_readout_reads_every_projection_onto_it():
    network = with_accumulators(network_of(6, layers=3))
    samples = network_samples(network)
    recording = software.run(network, samples)
    bias = network.population("readout").cell.bias
    for spikes in recording.spikes.values():
        spikes[:] = False
    silent = logits(network, np.zeros_like(samples), recording)
    assert silent == pytest.approx(np.tile(bias, (3, 1)), rel=1e-14)
    for projection in network.incoming("readout"):
        if projection.source == "input":
            continue
        recording.spikes[projection.source][:] = True
        found = logits(network, np.zeros_like(samples), recording)
        recording.spikes[projection.source][:] = False
        assert found == pytest.approx(silent + projection.weights.sum(0), rel=1e-12)


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_of_every_kind_are_the_trained_ones(kind, pooling):
    checkpoint, network, samples = lowered(kind, 2, pooling=pooling)
    needed = needed_membranes(network)
    gated = "glu" in kind or "gsu" in kind
    assert needed == (["readout"] if gated else [])
    recording = software.run(network, samples, membranes=needed)
    expected = run_reference(checkpoint, samples).logits
    assert logits(network, samples, recording) == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("kind", ["glu", "gsu"])
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_the_logits_of_a_gated_network_are_those_of_its_readout(kind, pooling):
    _, network, samples = lowered(kind, pooling=pooling)
    recording = software.run(network, samples, membranes=["readout"])
    found = logits(network, samples, recording)
    assert (found == accumulated_logits(network, recording)).all()
    last = recording.membranes["readout"][:, -1]
    assert (found == (last / network.steps if pooling == "mean" else last)).all()


@pytest.mark.parametrize(("membranes", "has"), [
    ((), "none"), (("layer0", "stream"), "layer0, stream"),
])
def test_a_recording_without_the_readout_gives_no_logits_of_a_gated_network(membranes, has):
    _, network, samples = lowered("glu")
    recording = software.run(network, samples, membranes=membranes)
    for function in (
        lambda: logits(network, samples, recording), lambda: accumulated_logits(network, recording)
    ):
        with pytest.raises(ReadoutError) as caught:
            function()
        assert str(caught.value) == (
            f"software recorded no membrane of 'readout'; it has {has}. Record the membrane of "
            "'readout'; spike counts give the logits only of a network without gated mixing."
        )
    assert issubclass(ReadoutError, SnnSsmError)
