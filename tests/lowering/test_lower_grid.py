"""The dyadic grid of lowering: sums are exact in any order, coefficients move by little."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_networks import NORMS, checkpoint_of, with_array

from export.lowering.network import INPUT, READOUT, lower


def exact_sum(values):
    return math.fsum(values)  # correctly rounded, whatever the order


def grid_of(values):
    """The largest power of two of which all values are multiples."""
    numerators = [float(v).as_integer_ratio() for v in values if v != 0]
    most = max(d for _, d in numerators)
    return min((n * (most // d)) & -(n * (most // d)) for n, d in numerators) / most


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    encoding=st.sampled_from(["bits", "current"]),
    input_bits=st.integers(1, 16),
    order=st.randoms(use_true_random=False),
)
def test_sums_of_weights_are_exact_in_any_order(seed, encoding, input_bits, order):
    checkpoint = checkpoint_of(seed, input_bits=input_bits, inputs=2, depth=2)
    network = lower(checkpoint, encoding=encoding)
    rng = np.random.default_rng(seed)
    for population in network.populations:
        for h in range(population.size):
            terms = [float(population.cell.bias[h])]
            for projection in network.incoming(population.name):
                column = projection.weights[:, h]
                if projection.source == INPUT and encoding == "current":
                    terms += (column * rng.integers(0, 2**input_bits, len(column))).tolist()
                else:
                    terms += column[rng.random(len(column)) < 0.7].tolist()
            order.shuffle(terms)
            total, parts = 0.0, []
            for value in terms:
                total += value
                parts.append(value)
                assert total == exact_sum(parts)


def test_accumulated_logits_are_exact_over_all_steps():
    checkpoint = checkpoint_of(steps=784)
    network = lower(checkpoint)
    steps = network.steps
    for h in range(network.population(READOUT).size):
        rng = random.Random(h)
        terms = [float(network.population(READOUT).cell.bias[h])] * steps
        for projection in network.incoming(READOUT):
            terms += [v for v in projection.weights[:, h].tolist() for _ in range(steps)]
        rng.shuffle(terms)
        assert sum(terms) == exact_sum(terms)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    encoding=st.sampled_from(["bits", "current"]),
    input_bits=st.integers(1, 16),
    norm=st.sampled_from(sorted(NORMS)),
)
def test_the_grid_moves_a_coefficient_by_at_most_its_bound(seed, encoding, input_bits, norm):
    """R / 2^53, where R is the power of two at or above the largest sum of a step."""
    checkpoint = checkpoint_of(seed, input_bits=input_bits, inputs=2, depth=1, **NORMS[norm])
    arrays = {k: v.astype(float) for k, v in checkpoint.arrays.items()}
    scale, shift = np.ones(6), np.zeros(6)
    if norm == "pre":
        scale = arrays["blocks.0.norm.weight"] / np.sqrt(arrays["blocks.0.norm.running_var"] + 1e-5)
        shift = arrays["blocks.0.norm.bias"] - scale * arrays["blocks.0.norm.running_mean"]
    weight = scale[:, None] * arrays["encoder.weight"] * checkpoint.config.model.input_scale
    bias = scale * arrays["encoder.bias"] + shift
    largest = (np.abs(weight).sum(1) * (2.0**input_bits - 1) + np.abs(bias)).max()
    bound = 2.0 ** math.ceil(math.log2(largest)) / 2**53
    network = lower(checkpoint, encoding=encoding)
    found = next(p.weights for p in network.incoming("layer0") if p.source == INPUT).T  # (H, .)
    assert np.abs(network.populations[0].cell.bias - bias).max() <= bound
    if encoding == "current":
        assert np.abs(found - weight).max() <= bound
        return
    found = found.reshape(6, 2, input_bits)
    assert np.abs(found[..., 0] - weight).max() <= bound
    for j in range(input_bits):
        assert (found[..., j] == found[..., 0] * 2.0**j).all()


def test_a_layer_that_receives_nothing_needs_no_grid():
    checkpoint = checkpoint_of(norm="none")
    for name in ("encoder.weight", "encoder.bias"):
        checkpoint = with_array(checkpoint, name, lambda array: array.fill(0))
    network = lower(checkpoint)
    assert not network.population("layer0").cell.bias.any()
    assert not any(p.weights.any() for p in network.incoming("layer0"))


def largest_sums(network, name):
    """What can arrive in a step at most, a neuron each."""
    weights = [np.abs(p.weights).sum(0) for p in network.incoming(name)]
    return np.abs(network.population(name).cell.bias) + sum(weights)


@pytest.mark.parametrize("scale", [1.0, 1e-17, 1e17])
def test_every_neuron_has_the_grid_that_is_stated_and_no_other(scale):
    """A channel of another scale has another grid, and its neighbours keep theirs."""
    def change(array):
        array[2] *= scale

    checkpoint = checkpoint_of()
    for leaf in ("weight", "bias"):
        checkpoint = with_array(checkpoint, f"blocks.1.norm.{leaf}", change)
    network = lower(checkpoint)
    assert network.source.bits == 4
    for name in ("layer0", "layer1"):
        for h, top in enumerate(largest_sums(network, name)):
            row = [network.population(name).cell.bias[h]]
            row += [v for p in network.incoming(name) for v in p.weights[:, h]]
            grid = 2.0 ** math.ceil(math.log2(top)) / 2**52
            assert grid <= grid_of(row) <= 2.0**20 * grid  # all of some 20 rows' last bits are 0


@pytest.mark.parametrize("scale", [1e-12, 1e-17, 1e-30, 1e12])
def test_a_channel_of_another_scale_keeps_its_precision(scale):
    """Each of its coefficients is what it is at scale 1, times the scale, but for the grid."""
    def change(array):
        array[2] *= scale

    checkpoint = checkpoint_of()
    plain = lower(checkpoint)
    for leaf in ("weight", "bias"):
        checkpoint = with_array(checkpoint, f"blocks.1.norm.{leaf}", change)
    network = lower(checkpoint)
    exact = float(np.float32(scale))
    for one, other in zip(network.incoming("layer1"), plain.incoming("layer1"), strict=True):
        relative = one.weights[:, 2] / (other.weights[:, 2] * exact)
        assert np.abs(relative - 1).max() < 1e-6  # float32 rounds the scaled array
        assert (np.delete(one.weights, 2, 1) == np.delete(other.weights, 2, 1)).all()


@pytest.mark.parametrize("input_scale", [1.0, 2.0**-31])
def test_coefficients_of_real_values_are_not_rounded(input_scale):
    checkpoint = checkpoint_of(inputs=2, input_bits=0, input_scale=input_scale, norm="none")
    network = lower(checkpoint)
    found = next(p.weights for p in network.incoming("layer0") if p.source == INPUT)
    weight = checkpoint.arrays["encoder.weight"].astype(float)
    assert (weight * input_scale == found.T).all()
    other = next(p.weights for p in network.incoming("layer1") if p.source == "layer0")
    assert grid_of(other[:, 0]) >= 2.0**-60  # what spikes bring is on a grid all the same


@pytest.mark.parametrize("encoding", ["bits", "current"])
@pytest.mark.parametrize("scale", [1e-17, 1e-9, 1e9, 1e17])
def test_small_coefficients_keep_their_digits_beside_large_ones(scale, encoding):
    """What a neuron does while its large sources are silent is what it was trained to do."""
    def change(array):
        array[:, 1] *= scale

    checkpoint = checkpoint_of(inputs=3, norm="none")
    for name in ("encoder.weight", "blocks.0.mixing.weight"):
        checkpoint = with_array(checkpoint, name, change)
    network = lower(checkpoint, encoding=encoding)
    weight = checkpoint.arrays["encoder.weight"].astype(float) * checkpoint.config.model.input_scale
    found = next(p.weights for p in network.incoming("layer0")).T
    found = found.reshape(6, 3, -1)[..., 0]
    assert np.abs(found / weight - 1).max() < 2.0**-17
    mixing = checkpoint.arrays["blocks.0.mixing.weight"].astype(float)
    found = next(p.weights for p in network.incoming("layer1") if p.source == "layer0").T
    assert np.abs(found / mixing - 1).max() < 2.0**-17


def test_sums_of_small_coefficients_are_exact_in_any_order_too():
    def change(array):
        array[:, 1] *= 1e17

    checkpoint = with_array(checkpoint_of(inputs=5, norm="none"), "encoder.weight", change)
    network = lower(checkpoint)
    (first,) = network.incoming("layer0")
    small = np.delete(np.arange(network.source.size), slice(4, 8))  # 4 bits a channel
    for h in range(6):
        bias = float(network.population("layer0").cell.bias[h])
        terms = [*first.weights[small, h].tolist(), bias]
        for seed in range(20):
            random.Random(seed).shuffle(terms)
            assert sum(terms) == exact_sum(terms)


def test_a_layer_of_the_smallest_numbers_has_a_grid():
    """Below the smallest float64 there is none to round to."""
    checkpoint = checkpoint_of(norm="none", depth=1, input_scale=1e-300)
    for name in ("encoder.weight", "encoder.bias"):
        checkpoint = with_array(checkpoint, name, lambda array: array.__imul__(np.float32(1e-40)))
    checkpoint = with_array(checkpoint, "encoder.bias", lambda array: array.fill(0))
    network = lower(checkpoint)
    for projection in network.incoming("layer0"):
        assert np.isfinite(projection.weights).all()
