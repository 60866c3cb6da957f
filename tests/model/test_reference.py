"""The reference: spikes of either sign and membranes by the network's equations alone."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.random_networks import checkpoint_of, samples_of  # noqa: E402

from snn_ssm.model.reference import run_reference  # noqa: E402
from snn_ssm.model.restore import load_network  # noqa: E402
from snn_ssm.model.sequence import ModelError  # noqa: E402


def affine_norm(arrays, prefix, x):
    """A batch norm in evaluation, of (B, L, H)."""
    v = {leaf: arrays[f"{prefix}.{leaf}"].astype(float) for leaf in
         ("weight", "bias", "running_mean", "running_var")}
    return (x - v["running_mean"]) / np.sqrt(v["running_var"] + 1e-5) * v["weight"] + v["bias"]


def state_space(arrays, prefix, u):
    """The layer of complex modes, zero-order hold, in NumPy: (B, L, H) -> (B, L, H)."""
    v = {leaf: arrays[f"{prefix}.{leaf}"].astype(float) for leaf in
         ("a", "omega", "b", "c", "log_dt", "d")}
    lam = -np.exp(v["a"]) + 1j * v["omega"]
    abar = np.exp(lam * np.exp(v["log_dt"])[:, None])
    bbar = (abar - 1) / lam * (v["b"] @ [1, 1j])
    c = v["c"][0] @ [1, 1j]
    x, y = np.zeros((len(u), *abar.shape), complex), []
    for k in range(u.shape[1]):
        x = abar * x + bbar * u[:, k, :, None]
        y.append(2 * (c * x).sum(-1).real + v["d"] * u[:, k])
    return np.stack(y, 1)


def leaky(arrays, prefix, u):
    """The layer of LIF neurons in NumPy: (B, L, H) -> (B, L, H), before the reset."""
    beta = np.exp(-np.exp(arrays[f"{prefix}.a"].astype(float)))
    x, y = np.zeros_like(u[:, 0]), []
    for k in range(u.shape[1]):
        v = beta * x + u[:, k]
        x = np.where(v > 1, 0, v)
        y.append(v)
    return np.stack(y, 1)


def delta_of(activation, arrays, i, y):
    if activation == "ternary":
        return 0.15 * np.abs(y).max(-1, keepdims=True)
    return np.exp(arrays[f"blocks.{i}.log_threshold"].astype(float))


def independent(checkpoint, samples):
    """Spikes, negative spikes and membranes of a pre-norm network of linear mixing, and logits."""
    model, arrays = checkpoint.config.model, checkpoint.arrays
    p = samples.transpose(0, 2, 1) * model.input_scale  # (B, L, C)
    h = p @ arrays["encoder.weight"].astype(float).T + arrays["encoder.bias"]
    layer = leaky if model.cells == "lif" else state_space
    theta = 1.0 if model.cells == "lif" else 0.0
    spikes, negatives, membranes = [], [], []
    for i in range(model.depth):
        y = layer(arrays, f"blocks.{i}.ssm", affine_norm(arrays, f"blocks.{i}.norm", h))
        if model.membrane_norm:
            y = affine_norm(arrays, f"blocks.{i}.membrane_norm", y)
        if model.activation == "integer":
            s = np.clip(np.ceil(y - 0.5), 0, model.spike_levels)
            positive, negative = s, None
        elif model.activation.startswith("ternary"):
            delta = delta_of(model.activation, arrays, i, y)
            positive, negative = y > delta, -y > delta
            s = positive * 1.0 - negative
        else:
            positive, negative = y > theta, None
            s = positive * 1.0
        weight = arrays[f"blocks.{i}.mixing.weight"].astype(float)
        h = h + s @ weight.T + arrays[f"blocks.{i}.mixing.bias"]
        spikes.append(positive)
        negatives.append(negative)
        membranes.append(y)
    logits = h.mean(1) @ arrays["decoder.weight"].astype(float).T + arrays["decoder.bias"]
    return spikes, negatives, membranes, logits


def norm_shift(checkpoint, i):
    """The constant that the norm on a membrane adds, (H,); 0 without."""
    if not checkpoint.config.model.membrane_norm:
        return 0.0
    zero = np.zeros((1, 1, checkpoint.config.model.channels))
    return affine_norm(checkpoint.arrays, f"blocks.{i}.membrane_norm", zero)[0, 0]


KINDS = {
    "heaviside": {},
    "ternary": {"activation": "ternary"},
    "ternary-constant": {"activation": "ternary-constant"},
    "lif": {"cells": "lif"},
    "integer": {"activation": "integer", "spike_levels": 3},
    "normed membranes": {"activation": "integer", "spike_levels": 2, "membrane_norm": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_spikes_membranes_and_logits_by_the_equations_alone(kind):
    checkpoint = checkpoint_of(seed=1, **KINDS[kind])
    samples = samples_of(checkpoint, 4)
    found = run_reference(checkpoint, samples)
    spikes, negatives, membranes, logits = independent(checkpoint, samples)
    for i, expected in enumerate(spikes):
        counts = checkpoint.config.model.activation == "integer"
        assert found.spikes[i].dtype == (np.uint8 if counts else bool)
        assert found.spikes[i].shape == (4, 24, 6)
        assert (found.spikes[i] == expected).all()
        assert 0.02 < (expected > 0).mean() < 0.98
        assert found.membranes[i].dtype == np.float64
        scale = np.abs(membranes[i]).max()
        shift = norm_shift(checkpoint, i)
        assert found.membranes[i] == pytest.approx(membranes[i] - shift, abs=1e-12 * scale)
    if kind.startswith("ternary"):
        for i, expected in enumerate(negatives):
            assert (found.negative[i] == expected).all() and 0.02 < expected.mean() < 0.98
            assert not (found.negative[i] & found.spikes[i]).any()
    else:
        assert found.negative == [None, None]
    assert found.logits == pytest.approx(logits, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_convolution_is_training_itself_in_float32(kind):
    checkpoint = checkpoint_of(seed=2, **KINDS[kind])
    samples = samples_of(checkpoint, 4)
    found = run_reference(checkpoint, samples, method="convolution")
    with torch.no_grad():
        out = load_network(checkpoint)(torch.from_numpy(samples.astype(np.int64)))
    for i, (s, y) in enumerate(zip(out.outputs, out.membranes, strict=True)):
        assert y.dtype == torch.float32 and found.membranes[i].dtype == np.float64
        assert (found.spikes[i] == s.clamp(0).transpose(1, 2).numpy()).all()
        shift = norm_shift(checkpoint, i)
        scale = np.abs(found.membranes[i]).max()
        y = y.transpose(1, 2).numpy()
        assert found.membranes[i] == pytest.approx(y - shift, abs=1e-7 * scale)
    assert (found.logits == out.logits.numpy()).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_convolution_is_close_to_the_steps(kind):
    checkpoint = checkpoint_of(seed=3, steps=40, **KINDS[kind])
    samples = samples_of(checkpoint, 4)
    steps = run_reference(checkpoint, samples)
    single = run_reference(checkpoint, samples, method="convolution")
    # The first layer has the same input in both: only rounding differs, so few spikes do.
    scale = np.abs(steps.membranes[0]).max()
    assert single.membranes[0] == pytest.approx(steps.membranes[0], abs=64 * 2.0**-23 * scale)
    assert (single.spikes[0] != steps.spikes[0]).mean() <= 0.01
    assert (single.logits.argmax(-1) == steps.logits.argmax(-1)).all()


def test_a_gated_network_has_spikes_of_either_sign_in_every_layer():
    checkpoint = checkpoint_of(
        seed=2, mixing="gsu", activation="ternary-constant", gsu_norm="batch", gsu_weights=2
    )
    samples = samples_of(checkpoint)
    found = run_reference(checkpoint, samples)
    for i, y in enumerate(found.membranes):
        delta = delta_of("ternary-constant", checkpoint.arrays, i, y)
        margin = np.abs(np.abs(y) - delta).min()
        assert margin > 1e-12  # so that two ways to compute delta decide alike
        assert (found.spikes[i] == (y > delta)).all() and found.spikes[i].any()
        assert (found.negative[i] == (-y > delta)).all() and found.negative[i].any()


def test_a_reference_owns_its_input():
    checkpoint = checkpoint_of()
    samples = samples_of(checkpoint)
    samples.flags.writeable = False
    kept = samples.copy()
    run_reference(checkpoint, samples)
    assert (samples == kept).all()


def test_a_transformer_has_no_reference():
    checkpoint = checkpoint_of(architecture="transformer", heads=2)
    expected = r'no layers of neurons to refer to: .* Train with model\.architecture = "state-spac'
    for method in ("steps", "convolution"):
        with pytest.raises(ModelError, match=expected):
            run_reference(checkpoint, samples_of(checkpoint), method=method)
