"""Event-based gated units: what is lowered is what was trained, and what cannot be is refused."""

import numpy as np
import pytest
from support.egru_networks import egru_checkpoint
from support.random_networks import NORMS, checkpoint_of, samples_of

from export.lowering import LoweringError, lower, margins
from export.samples.readout import logits
from export.software import run
from snn_ssm.kinds.cells.egru import threshold


def layers(network):
    return [p.name for p in network.layers]


@pytest.mark.parametrize("norm", sorted(NORMS))
@pytest.mark.parametrize("encoding", ["bits", "current", "token", "spikes"])
def test_torch_has_every_event_and_the_scores(norm, encoding):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from snn_ssm.model.reference import run_reference

    keys = {
        "token": {"encoder": "embedding", "inputs": 5, "input_bits": 0},
        "spikes": {"inputs": 3, "input_bits": 1, "input_scale": 1.0},
    }.get(encoding, {})
    checkpoint = egru_checkpoint(len(norm), depth=2, weight_bits=4, **NORMS[norm], **keys)
    network = lower(checkpoint, encoding=encoding, delay=2)
    samples = samples_of(checkpoint, 3)
    found = run(network, samples, membranes=[*layers(network), "readout"])
    expected = run_reference(checkpoint, samples)
    for i, name in enumerate(layers(network)):
        assert (found.spikes[name] == expected.spikes[i]).all()
        assert np.abs(found.membranes[name] - expected.membranes[i]).max() < 1e-11
    assert np.abs(logits(network, samples, found) - expected.logits).max() < 1e-10


def test_each_receptor_has_its_part():
    checkpoint = egru_checkpoint(1, depth=2)
    network = lower(checkpoint)
    at = {(p.source, p.target, p.receptor): p for p in network.projections}
    own = [("layer1", "layer1", r) for r in ("update", "reset", "recurrent")]
    for key in own:
        assert at[key].graded and at[key].delay == 1 and network.lead(at[key]) == 0
    assert ("layer1", "layer1", "input") not in at
    for receptor in ("input", "update", "reset"):
        assert at["layer0", "layer1", receptor].graded
        assert not at["input", "layer1", receptor].graded
    assert ("layer0", "layer1", "recurrent") not in at
    assert at["layer0", "readout", "input"].graded and not network.linear_readout
    cell = network.population("layer0").cell
    bias = checkpoint.arrays["blocks.0.ssm.recurrent_bias"]
    assert np.allclose(cell.recurrent_bias, bias, rtol=1e-15)


def test_the_margin_is_next_to_nothing():
    """It is on what a threshold is compared with, and on what is taken from the state."""
    checkpoint = egru_checkpoint(2)
    network = lower(checkpoint)
    for i, (name, margin) in enumerate(margins(checkpoint).items()):
        theta = threshold(checkpoint.arrays[f"blocks.{i}.ssm.threshold_logit"].astype(float))
        assert (network.population(name).cell.theta == theta + margin).all()
        assert ((margin > 0) & (margin < 1e-7)).all()


@pytest.mark.parametrize(("trained", "asked"), [
    ("egru", "native"), ("egru", "stock"), ("egru", "lif"), ("native", "egru"), ("lif", "egru"),
])
def test_no_other_cells_can_be_it(trained, asked):
    with pytest.raises(LoweringError) as refusal:
        lower(checkpoint_of(0, cells=trained), cells=asked)
    assert str(refusal.value) == (
        f"blocks.0.ssm: the model has {trained} cells, which {asked} cells cannot be: those of "
        "egru gate their own state and send it. Leave out --cells, or train with model.cells = "
        f"\"{asked}\"."
    )


def test_there_are_no_counts_to_send_differences_of():
    with pytest.raises(LoweringError, match="has no counts of which to send differences"):
        lower(egru_checkpoint(), messages="differences")
