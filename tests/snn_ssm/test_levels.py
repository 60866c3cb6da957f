"""The levels of the contract: clear of ties, on both sides, and no further than need be."""

from dataclasses import replace

import numpy as np
import pytest
from support.any_configuration import TIES, draw
from support.gated_networks import KINDS, checkpoint_of_kind
from support.random_networks import NORMS, checkpoint_of, with_array

from export.lowering.network import lower
from export.software import simulation as software
from snn_ssm.levels import levels

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from snn_ssm.model.reference import run_reference  # noqa: E402

U = 2.0**-53


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_margins_are_above_0_and_far_below_what_a_network_does(kind, norm):
    checkpoint = checkpoint_of_kind(kind, depth=3, **NORMS[norm])
    for level in levels(checkpoint):
        assert (level.margin > 0).all() and (level.margin < 1e-9).all()
        assert (level.value == level.theta + level.margin).all()


@pytest.mark.parametrize("scale", [1e-17, 1e-6, 1e12])
def test_a_margin_scales_with_its_channel_and_with_no_other(scale):
    def change(array):
        array[2] *= scale

    plain = checkpoint_of()
    checkpoint = plain
    for leaf in ("weight", "bias"):
        checkpoint = with_array(checkpoint, f"blocks.1.norm.{leaf}", change)
    margin, before = levels(checkpoint)[1].margin, levels(plain)[1].margin
    assert margin[2] == pytest.approx(before[2] * scale, rel=1e-6)
    assert (np.delete(margin, 2) == np.delete(before, 2)).all()


def test_real_values_count_in_no_margin():
    """There is no largest one; a margin for any would be one for none."""
    one, other = (
        levels(checkpoint_of(input_bits=0, input_scale=scale))[0].margin for scale in (1e-9, 1e9)
    )
    assert (one == other).all()


@pytest.mark.parametrize("changes", [
    {}, {"mode_init": "s4d-real"}, {"mixing": "glu"}, {"prenorm": False},
    {"cells": "lif", "input_scale": 4.0},
])
@pytest.mark.parametrize("scale", [1e9, 1e17])
def test_a_large_source_that_is_silent_changes_no_spike(changes, scale):
    """A margin for all inputs would be above what the neuron does without it."""
    checkpoint = checkpoint_of(inputs=2, input_bits=1, steps=40, **changes)
    large, none = (
        with_array(checkpoint, "encoder.weight", lambda array, by=by: array[:, 0].__imul__(by))
        for by in (scale, 0)
    )
    samples = np.random.default_rng(0).integers(0, 2, (3, 2, 40))
    samples[:, 0] = 0
    for run in (
        lambda c: run_reference(c, samples).spikes,
        lambda c: list(software.run(lower(c), samples).spikes.values()),
    ):
        for one, other in zip(run(large), run(none), strict=True):
            assert (one == other).all() and 0 < one.mean() < 1


def constant_channel(kind, **changes):
    """A checkpoint whose channel 1 is its norm's mean at every step, in every layer."""
    checkpoint = checkpoint_of_kind(kind, steps=30, **changes) if kind else checkpoint_of(
        steps=30, **changes
    )
    arrays = {name: np.array(array) for name, array in checkpoint.arrays.items()}
    arrays["encoder.weight"][1] = 0
    for i in range(checkpoint.config.model.depth):
        arrays[f"blocks.{i}.mixing.weight"][1] = 0
        if f"blocks.{i}.mixing.bias" in arrays:
            arrays[f"blocks.{i}.mixing.bias"][1] = 0
        arrays[f"blocks.{i}.norm.bias"][1] = 0
        constant = arrays["encoder.bias"][1] if "encoder.bias" in arrays else 0.0
        arrays[f"blocks.{i}.norm.running_mean"][1] = constant
    return replace(checkpoint, arrays=arrays)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kind", "changes"), [
    ("", {}), ("", {"mode_init": "s4d-real"}), ("glu", {}), ("ternary", {}),
    ("", {"cells": "stock", "mode_init": "s4d-real", "modes": 1}),
])
def test_a_constant_channel_is_silent_everywhere(kind, changes, seed):
    checkpoint = constant_channel(kind, seed=seed, depth=3, **changes)
    network = lower(checkpoint)
    samples = np.random.default_rng(seed).integers(0, 16, (3, 1, 30))
    expected, found = run_reference(checkpoint, samples), software.run(network, samples)
    for i, spikes in enumerate(expected.spikes):
        assert (found.spikes[f"layer{i}"] == spikes).all()
        assert not spikes[..., 1].any()


def test_the_norm_of_a_constant_channel_leaves_its_bias_also_in_float32():
    """Training's convolution has no margin: there the norm must not leave a residue."""
    checkpoint = constant_channel("", depth=3)
    samples = np.random.default_rng(1).integers(0, 16, (3, 1, 30))
    for spikes in run_reference(checkpoint, samples, method="convolution").spikes:
        assert not spikes[..., 1].any()


@pytest.mark.parametrize("p", [3, 7, 10, 15, 41, 49, 98, 107, 255])
def test_a_leaky_neuron_at_1_does_not_spike_and_one_above_does(p):
    """Whichever way 1/p is rounded, and p times it, and its grid."""
    checkpoint = checkpoint_of(
        cells="lif", depth=1, norm="none", input_bits=8, input_scale=1 / p, steps=6
    )
    arrays = dict(checkpoint.arrays)
    arrays |= {"encoder.weight": np.ones((6, 1), np.float32), "encoder.bias": np.zeros(6)}
    arrays["encoder.bias"] = np.zeros(6, np.float32)
    checkpoint = replace(checkpoint, arrays=arrays)
    for value, fires in ((p, False), (p + 1, True)):
        samples = np.zeros((1, 1, 6), int)
        if value > 255:
            continue
        samples[0, 0, 0] = value
        for encoding in ("bits", "current"):
            found = software.run(lower(checkpoint, encoding=encoding), samples)
            assert (found.spikes["layer0"][0, 0] == fires).all()
        assert (run_reference(checkpoint, samples).spikes[0][0, 0] == fires).all()


@pytest.mark.slow
def test_without_levels_ties_would_differ():
    """Guards the tests above and the differential check: at the thresholds rounding decides."""
    differ = 0
    for seed in range(200):
        case = draw(seed)
        if case.tie not in TIES:
            continue
        strict = [replace(p, cell=replace(p.cell, theta=p.cell.theta - margin[p.name]))
                  if p.name in (margin := margins_of(case)) else p
                  for p in case.network.populations]
        found = software.run(replace(case.network, populations=tuple(strict)), case.samples)
        expected = run_reference(case.checkpoint, case.samples).spikes
        differ += sum(int((found.spikes[f"layer{i}"] != s).sum()) for i, s in enumerate(expected))
    assert differ > 50


def margins_of(case):
    from export.lowering.network import margins

    return margins(case.checkpoint)
