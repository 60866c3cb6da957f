"""Lowering of leaky integrate-and-fire networks: E2, the cells, and what is refused."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gated_networks import checkpoint_of_kind, lowered
from support.random_networks import NORMS, samples_of
from support.trained_model import assert_is_the_trained_model

from export.lowering.network import LoweringError, lower
from export.software import simulation as software
from pynn_models.cells import LeakyCell, propagator
from snn_ssm.checkpoint import Checkpoint
from snn_ssm.levels import levels


@pytest.mark.parametrize(("kind", "norm", "pooling", "depth"), list(itertools.product(
    ["lif", "token lif"], NORMS, ["mean", "last"], [1, 3]
)))
def test_the_network_is_the_trained_model(kind, norm, pooling, depth):
    found = assert_is_the_trained_model(
        *lowered(kind, 3, steps=30, depth=depth, pooling=pooling, **NORMS[norm])
    )
    for spikes in found.spikes.values():
        assert 0.0 < spikes.mean() < 0.9


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    channels=st.integers(1, 6),
    inputs=st.integers(1, 3),
    steps=st.integers(1, 12),
    weight_bits=st.sampled_from([0, 4]),
    encoding=st.sampled_from(["bits", "current"]),
)
def test_whatever_its_size(seed, channels, inputs, steps, weight_bits, encoding):
    checkpoint, _, samples = lowered(
        "lif", seed, steps, channels=channels, inputs=inputs, weight_bits=weight_bits
    )
    assert_is_the_trained_model(checkpoint, lower(checkpoint, encoding=encoding), samples)


def test_a_spike_resets_and_so_matters_later():
    """Guards the comparison: without resets other spikes would follow."""
    checkpoint, network, samples = lowered("lif", 3, steps=30)
    found = assert_is_the_trained_model(checkpoint, network, samples)
    v = found.membranes["layer0"]
    decay, _ = propagator(network.populations[0].cell.tau, None, 1.0)
    after = found.spikes["layer0"][:, :-1]
    current = v[:, 1:] - decay * np.where(after, 0.0, v[:, :-1])
    unreset = np.zeros_like(v[:, 0])
    fired = []
    for k in range(v.shape[1]):
        unreset = decay * unreset + (current[:, k - 1] if k else v[:, 0])
        fired.append(unreset > 1)
    assert (np.stack(fired, axis=1) != found.spikes["layer0"]).any()


@pytest.mark.parametrize("timestep", [1.0, 0.5, 0.1])
def test_the_cells(timestep):
    checkpoint = checkpoint_of_kind("lif")
    network = lower(checkpoint, timestep=timestep)
    assert network.cells == "lif"
    assert [p.name for p in network.populations] == ["layer0", "layer1", "readout"]
    for i in range(2):
        cell = network.population(f"layer{i}").cell
        assert isinstance(cell, LeakyCell) and (cell.theta == levels(checkpoint)[i].value).all()
        rate = np.exp(checkpoint.arrays[f"blocks.{i}.ssm.a"].astype(float))
        assert cell.tau == pytest.approx(timestep / rate, rel=1e-15)
        decay, _ = propagator(cell.tau, None, timestep)
        assert decay == pytest.approx(np.exp(-rate), rel=1e-14)
    assert network.linear_readout
    assert lower(checkpoint, cells="lif").cells == "lif"


def with_leak(value):
    checkpoint = checkpoint_of_kind("lif")
    a = np.array(checkpoint.arrays["blocks.1.ssm.a"])
    a[3] = value
    return Checkpoint(checkpoint.config, {**checkpoint.arrays, "blocks.1.ssm.a": a})


@pytest.mark.parametrize(("value", "rate"), [(-1e4, "0.0"), (1e4, "inf")])
def test_a_decay_that_is_none(value, rate):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LoweringError) as caught:
            lower(with_leak(value))
    assert str(caught.value) == (
        f"blocks.1.ssm: neuron [3] decays by exp(-{rate}) a step; expected a finite, positive "
        "rate. Retrain with a lower training.mode_rate."
    )


def test_as_native_cells_they_are_the_same_to_the_last_bit():
    """LIF is a member of the family: one real mode, c = 1, d = 0, a hard reset."""
    checkpoint = checkpoint_of_kind("lif", steps=40)
    samples = samples_of(checkpoint, 5)
    leaky, native = lower(checkpoint), lower(checkpoint, cells="native")
    assert native.cells == "native"
    assert all(p.cell.reset.is_hard and p.cell.n_modes == 1 for p in native.layers)
    one, other = (
        software.run(n, samples, membranes=["layer0", "layer1"]) for n in (leaky, native)
    )
    for name in ("layer0", "layer1"):
        assert one.spikes[name].any()
        assert (one.spikes[name] == other.spikes[name]).all()
        assert (one.membranes[name] == other.membranes[name]).all()
