"""Lowering of stock networks: E2 with scales of either sign, the ends of the decays, the grid."""

import numpy as np
import pytest
from support.random_networks import checkpoint_of, samples_of, with_array
from support.trained_model import close

from export.lowering.network import lower
from export.samples.readout import logits
from export.software import simulation as software
from snn_ssm.model.reference import run_reference

STOCK = {"cells": "stock", "mode_init": "s4d-real", "modes": 1}


def assert_is_the_trained_model(checkpoint, network):
    """Every spike, the logits, and the membranes, which the norm ``g x + t`` leaves in training."""
    samples = samples_of(checkpoint)
    expected = run_reference(checkpoint, samples)
    names = [p.name for p in network.layers]
    found = software.run(network, samples, membranes=names)
    for i, name in enumerate(names):
        assert (found.spikes[name] == expected.spikes[i]).all()
        weight, var = (
            checkpoint.arrays[f"blocks.{i}.norm.{leaf}"].astype(float)
            for leaf in ("weight", "running_var")
        )
        x = found.membranes[name] - network.population(name).cell.theta
        assert close(np.abs(weight) / np.sqrt(var + 1e-5) * x, expected.membranes[i])
    assert close(logits(network, samples, found), expected.logits)
    return found


@pytest.mark.parametrize("prenorm", [True, False])  # the norm is on the membrane in either case
@pytest.mark.parametrize("cells", ["stock", "native"])
def test_the_network_is_the_trained_model(cells, prenorm):
    checkpoint = checkpoint_of(2, **STOCK, prenorm=prenorm)
    scale = checkpoint.arrays["blocks.0.norm.weight"]
    assert (scale < 0).any() and (scale > 0).any()
    network = lower(checkpoint, cells=cells)
    assert network.cells == cells
    for spikes in assert_is_the_trained_model(checkpoint, network).spikes.values():
        assert 0.02 < spikes.mean() < 0.98


@pytest.mark.parametrize("timestep", [1.0, 0.1])
def test_decays_end_where_training_ends_them(timestep):
    """At 66 and 2^18 units of 2^-15, and between them they are whole units."""
    units = np.array([1.0, 66.4, 67.6, 3e4, 2.0**18, 2.0**20])
    checkpoint = with_array(
        checkpoint_of(**STOCK), "blocks.0.ssm.a", lambda a: np.copyto(a, np.log(units / 2**15))
    )
    network = lower(checkpoint, timestep=timestep)
    n = timestep * 2**15 / network.population("layer0").cell.tau[:, 0]
    assert n == pytest.approx([66, 66, 68, 3e4, 2**18, 2**18], rel=1e-14)
    assert_is_the_trained_model(checkpoint, network)


def test_what_spikes_carry_is_exact_in_any_order():
    network = lower(checkpoint_of(**STOCK, weight_bits=5))  # float32 weights have exact sums
    rng = np.random.default_rng(0)
    for population in network.layers:
        weights = np.concatenate([p.weights for p in network.incoming(population.name)])
        for order in (rng.permutation(len(weights)) for _ in range(8)):
            assert (sum(weights[order]) == sum(weights)).all()
