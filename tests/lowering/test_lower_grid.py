"""The dyadic grid of lowering: sums are exact in any order, coefficients move by little."""

import math
import random

import numpy as np
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


def test_the_grid_is_the_one_that_is_stated():
    for name in ("layer0", "layer1"):
        network = lower(checkpoint_of())
        coefficients = np.concatenate(
            [p.weights.ravel() for p in network.incoming(name)]
            + [network.population(name).cell.bias]
        )
        bits = network.source.bits
        sums = np.abs(network.population(name).cell.bias) + sum(
            np.abs(p.weights).sum(0) for p in network.incoming(name)
        )
        top = 2.0 ** math.ceil(math.log2(sums.max()))
        assert grid_of(coefficients) >= top / 2**52
        assert bits == 4
