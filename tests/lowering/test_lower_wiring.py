"""Lowering of recurrent layers, learned delays and pruned matrices: which synapses come of them."""

import dataclasses

import numpy as np
import pytest
from support.random_networks import checkpoint_of, samples_of

from export.description.storage import load_network, save_network
from export.lowering.network import lower
from export.samples.readout import logits
from export.software.simulation import run
from snn_ssm.delays import whole_delays
from snn_ssm.model.reference import run_reference

WIRINGS = {
    "recurrent": {"recurrent": True},
    "recurrent lif": {"recurrent": True, "cells": "lif"},
    "recurrent glu": {"recurrent": True, "mixing": "glu"},
    "recurrent, ternary": {"recurrent": True, "activation": "ternary-constant"},
    "recurrent, integer": {"recurrent": True, "activation": "integer", "spike_levels": 2},
    "recurrent, soft": {"recurrent": True, "recurrent_delays": 2, "reset": "soft"},
    "recurrent, hard": {"recurrent": True, "reset": "hard", "refractory": 1},
    "recurrent, history": {"recurrent": True, "history": 3},
    "all": {"recurrent": True, "recurrent_delays": 2, "delays": 3, "delay_per": "axon",
            "reset": "soft", "refractory": 1, "history": 2},
    "reset, history": {"reset": "soft", "history": 3},
    "recurrent, differences": {
        "recurrent": True, "activation": "integer", "spike_levels": 2, "messages": "differences",
    },
    "delays": {"delays": 5},
    "delays of differences": {
        "delays": 5, "activation": "integer", "spike_levels": 3, "messages": "differences",
    },
    "delays an axon": {"delays": 5, "delay_per": "axon", "cells": "lif"},
    "stock delays": {"delays": 5, "cells": "stock", "mode_init": "s4d-real", "modes": 1},
    "both": {"recurrent": True, "recurrent_delays": 3, "delays": 5, "depth": 3},
}


def between(network, source, target):
    return [p for p in network.projections if (p.source, p.target) == (source, target)]


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("wiring", WIRINGS)
def test_spikes_and_answers_are_the_trained_models(wiring, pooling):
    """Logits from the spikes, on the host, of what arrives within the sample; and on the simulator
    from accumulators."""
    checkpoint = checkpoint_of(steps=30, pooling=pooling, **WIRINGS[wiring])
    samples, network = samples_of(checkpoint), lower(checkpoint)
    trained = run_reference(checkpoint, samples)
    found = run(network, samples, membranes=["readout"])
    for i, spikes in enumerate(trained.spikes):
        assert (found.spikes[f"layer{i}"] == spikes).all() and 0.02 < spikes.mean() < 0.98
    np.testing.assert_allclose(logits(network, samples, found), trained.logits, atol=1e-9)
    terms = network.readout.kind.terms(network.steps)
    accumulated = found.membranes["readout"][:, -1] / terms
    np.testing.assert_allclose(accumulated, trained.logits, atol=1e-9)


def test_a_recurrent_matrix_is_a_projection_onto_itself():
    checkpoint = checkpoint_of(recurrent=True, norm="none")
    network = lower(checkpoint, delay=2)
    for i in range(2):
        (own,) = between(network, f"layer{i}", f"layer{i}")
        weight = checkpoint.arrays[f"blocks.{i}.recurrent.weight"]
        np.testing.assert_allclose(own.weights, weight.T, rtol=1e-9)
        assert own.delay == 1 and not own.sparse
    assert network.max_lag == 1


def test_a_delay_a_synapse_is_a_synapse_with_its_delay():
    checkpoint = checkpoint_of(delays=5, norm="none", delay_per="synapse")
    network = lower(checkpoint, delay=2)
    delays = whole_delays(checkpoint.arrays["blocks.0.mixing.delays.position"], 5)
    (onto,) = between(network, "layer0", "layer1")
    assert len(np.unique(delays)) > 3
    assert (onto.delay == 2 + delays.T).all() and onto.n_synapses == delays.size


def test_a_delay_an_axon_is_that_of_all_its_synapses():
    checkpoint = checkpoint_of(delays=5, norm="none", delay_per="axon")
    delays = whole_delays(checkpoint.arrays["blocks.0.mixing.delays.position"], 5)
    network = lower(checkpoint)
    (onto,) = between(network, "layer0", "layer1")
    assert (onto.delay == 1 + delays[:, None]).all()
    (readout,) = between(network, "layer0", "readout")
    assert (readout.delay == 2 + delays[:, None]).all()


def test_synapses_that_a_decoder_sums_up_are_taps():
    """A class sums over neurons whose delays differ: one projection a delay."""
    network = lower(checkpoint_of(delays=3, delay_per="synapse", norm="none"))
    taps = between(network, "layer0", "readout")
    assert [p.delay for p in taps] == [2, 3, 4, 5]
    assert [network.key(p)[2:] for p in taps] == [(), ("2",), ("3",), ("4",)]


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_pruned_matrix_has_no_synapses_where_it_is_zero(share, tmp_path):
    checkpoint = checkpoint_of(channels=10, norm="none")
    arrays = dict(checkpoint.arrays)
    rng = np.random.default_rng(0)
    kept = rng.random((10, 10)) >= share
    arrays["blocks.0.mixing.weight"] = arrays["blocks.0.mixing.weight"] * kept
    checkpoint = dataclasses.replace(checkpoint, arrays=arrays)
    network = lower(checkpoint)
    (onto,) = between(network, "layer0", "layer1")
    assert onto.sparse == (share > 0.5)
    assert onto.n_synapses == (kept.sum() if share > 0.5 else 100)
    assert ((onto.weights != 0) == kept.T).all()
    save_network(network, tmp_path / "network")
    samples = samples_of(checkpoint)
    trained = run_reference(checkpoint, samples)
    found = run(load_network(tmp_path / "network"), samples)
    assert all((found.spikes[f"layer{i}"] == s).all() for i, s in enumerate(trained.spikes))
