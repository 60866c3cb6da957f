"""Checkpoints of integer spikes, sent as counts or as differences: one network."""

import numpy as np
import pytest
from support.random_networks import checkpoint_of, samples_of, with_array

from export.description.network import NetworkError
from export.lowering import lower
from export.lowering.errors import LoweringError
from export.software import run

INTEGER = {"activation": "integer", "spike_levels": 4}


def sends(network):
    return [p.differences for p in network.populations]


def test_what_the_model_was_trained_for_unless_asked_otherwise():
    for messages, expected in (("counts", [False] * 3), ("differences", [True, True, False])):
        checkpoint = checkpoint_of(messages=messages, **INTEGER)
        assert sends(lower(checkpoint)) == expected
        assert sends(lower(checkpoint, messages="counts")) == [False] * 3
        assert sends(lower(checkpoint, messages="differences")) == [True, True, False]


@pytest.mark.parametrize("changes", [
    {}, {"mixing": "glu"}, {"recurrent": True, "recurrent_delays": 3}, {"delays": 5},
    {"input_bits": 0, "input_scale": 1.0},
])
def test_every_bit_is_that_of_counts(changes):
    checkpoint = checkpoint_of(3, steps=30, depth=3, **INTEGER | changes)
    one, other = (lower(checkpoint, messages=m) for m in ("counts", "differences"))
    samples = samples_of(checkpoint)
    if "input_bits" in changes:
        samples = np.random.default_rng(0).normal(size=samples.shape)
    names = [p.name for p in one.populations]
    counts, found = (run(n, samples, membranes=names) for n in (one, other))
    assert all((counts.membranes[n] == found.membranes[n]).all() for n in names)
    assert all(counts.spikes[n].max() > 1 for n in counts.spikes)


def test_what_has_no_counts_has_no_differences():
    with pytest.raises(LoweringError, match="'heaviside' has no counts of which to send diff"):
        lower(checkpoint_of(), messages="differences")
    with pytest.raises(LoweringError, match="messages 'sums'; use one of counts, differences"):
        lower(checkpoint_of(**INTEGER), messages="sums")


def test_very_unequal_weights_are_refused():
    """They are on two grids, whose sums float64 rounds: a difference of them would stay."""
    def change(weight):
        weight[0, 0] = 1e12
        weight[0, 1] = 1 / 3

    checkpoint = with_array(checkpoint_of(norm="none", **INTEGER), "blocks.0.mixing.weight", change)
    assert lower(checkpoint, messages="counts")
    with pytest.raises(NetworkError, match="neuron 0 adds up differences .* Send counts"):
        lower(checkpoint, messages="differences")
