"""The network: three ways to run it agree, it is causal, and its norms, pooling and encoders."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from conftest import checkpoint_of, samples_of  # noqa: E402

from snn_ssm.config import ModelConfig  # noqa: E402
from snn_ssm.model import Network  # noqa: E402
from snn_ssm.modes import ModeError  # noqa: E402
from snn_ssm.training import load_network  # noqa: E402


def network_and_input(seed=0, steps=33, count=3, **changes):
    checkpoint = checkpoint_of(seed, steps, **changes)
    network = load_network(checkpoint).double()
    samples = torch.from_numpy(samples_of(checkpoint, count).astype(np.int64))
    return network, samples[:, 0] if network.config.encoder == "embedding" else samples


def difference(one, other):
    return float((one - other).abs().max() / other.abs().max())


@torch.no_grad()
def assert_three_ways_agree(network, p):
    ways = [network(p), network.scan(p), network.steps(p)]
    for other in ways[:2]:
        for name in ("membranes", "outputs"):
            for one, two in zip(getattr(other, name), getattr(ways[2], name), strict=True):
                assert one.shape == two.shape == (len(p), network.config.channels, p.shape[-1])
                assert difference(one, two) <= 1e-10
        assert difference(other.logits, ways[2].logits) <= 1e-10
    return ways[2]


@pytest.mark.parametrize(
    ("norm", "prenorm", "pooling", "discretisation", "init"),
    list(
        itertools.product(
            ["batch", "layer", "none"],
            [True, False],
            ["mean", "last"],
            ["zoh", "bilinear"],
            ["s4d-lin", "s4d-real"],
        )
    ),
)
def test_convolution_scan_and_steps_agree(norm, prenorm, pooling, discretisation, init):
    network, p = network_and_input(
        norm=norm, prenorm=prenorm, pooling=pooling, discretisation=discretisation, mode_init=init
    )
    out = assert_three_ways_agree(network, p)
    rates = [float(s.mean()) for s in out.outputs]
    assert all(0.02 < rate < 0.98 for rate in rates), rates


@pytest.mark.parametrize("steps", [1, 2, 33, 784])
@pytest.mark.parametrize("init", ["s4d-inv", "s4d-legs"])
def test_they_agree_at_any_length(init, steps):
    assert_three_ways_agree(*network_and_input(steps=steps, mode_init=init, count=1))


@pytest.mark.parametrize("changes", [
    {"encoder": "embedding", "inputs": 16},
    {"activation": "gelu"},
    {"inputs": 3},
    {"dropout": 0.5},  # no part in evaluation
], ids=str)
def test_they_agree_for_other_encoders_and_activations(changes):
    assert_three_ways_agree(*network_and_input(**changes))


def test_outputs_are_spikes_where_the_membrane_is_above_zero():
    network, p = network_and_input()
    out = network(p)
    for y, s in zip(out.membranes, out.outputs, strict=True):
        assert torch.equal(s, (y > 0).to(s.dtype))


@torch.no_grad()
def changed_outputs(network, p, at):
    """Where the outputs change, (L,), as the input of step ``at`` does."""
    other = p.clone()
    other[..., at] = 15 - other[..., at]
    before, after = network(p), network(other)
    # Membranes of a convolution by FFT differ by rounding everywhere: compare above it.
    moved = [
        (one - two).abs().amax((0, 1)) > 1e-9 * one.abs().max()
        for one, two in zip(before.membranes, after.membranes, strict=True)
    ]
    return torch.stack(moved).any(0)


@pytest.mark.parametrize("at", [5, 20, 32])
def test_a_causal_network_does_not_see_the_future(at):
    moved = changed_outputs(*network_and_input(), at)
    assert not bool(moved[:at].any()) and bool(moved[at])


def test_a_bidirectional_network_sees_the_future():
    moved = changed_outputs(*network_and_input(bidirectional=True), 20)
    assert bool(moved[:20].any()) and bool(moved[20:].any())


def test_a_bidirectional_network_has_no_recurrence():
    network, p = network_and_input(bidirectional=True)
    for run in (network.scan, network.steps):
        with pytest.raises(ModeError, match=r"bidirectional layer .* Train with bidirectional"):
            run(p)


@torch.no_grad()
def stream(network, p):
    """The residual stream after the last block, by the block's equation alone."""
    h = network.encode(p)
    for block in network.blocks:
        if block.prenorm:
            s = block.activate(block.ssm(block.norm(h)))
            h = h + block.mixing(s)
        else:
            s = block.activate(block.ssm(h))
            h = block.norm(h + block.mixing(s))
    return h


@pytest.mark.parametrize("prenorm", [True, False])
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_norms_and_pooling_stand_where_they_should(prenorm, pooling):
    network, p = network_and_input(prenorm=prenorm, pooling=pooling)
    h = stream(network, p)
    pooled = h.mean(-1) if pooling == "mean" else h[..., -1]
    expected = pooled @ network.decoder.weight.T + network.decoder.bias
    with torch.no_grad():
        assert torch.allclose(network(p).logits, expected, rtol=1e-12)


def test_batch_norm_in_evaluation_is_affine():
    network, p = network_and_input()
    norm = network.blocks[0].norm
    h = network.encode(p)
    scale = norm.weight / torch.sqrt(norm.running_var + 1e-5)
    expected = scale[:, None] * (h - norm.running_mean[:, None]) + norm.bias[:, None]
    assert torch.allclose(norm(h), expected, rtol=1e-12, atol=1e-12)


def test_layer_norm_is_over_the_channels_of_a_step():
    network = Network(ModelConfig(channels=6, depth=1, norm="layer")).double()
    h = torch.randn(2, 6, 9, dtype=torch.float64)
    normed = network.blocks[0].norm(h)
    assert torch.allclose(normed.mean(1), torch.zeros(2, 9).double(), atol=1e-12)
    assert torch.allclose(normed.var(1, unbiased=False), torch.ones(2, 9).double(), atol=1e-3)


def test_the_linear_encoder_scales_its_input():
    network, p = network_and_input(inputs=2, input_scale=0.25)
    weight, bias = network.encoder.weight, network.encoder.bias
    expected = torch.einsum("hc,bcl->bhl", weight, p.double() * 0.25) + bias[:, None]
    assert torch.allclose(network.encode(p), expected, rtol=1e-12)


def test_the_embedding_encoder_looks_symbols_up():
    network, p = network_and_input(encoder="embedding", inputs=16)
    assert p.shape == (3, 33)
    assert torch.equal(network.encode(p)[1, :, 7], network.encoder.weight[p[1, 7]])


def test_the_layers_parameters_have_the_shapes_of_the_checkpoint():
    for changes in ({}, {"mode_init": "s4d-real"}, {"bidirectional": True}, {"norm": "none"},
                    {"norm": "layer"}, {"encoder": "embedding", "inputs": 5}):
        checkpoint = checkpoint_of(**changes)
        state = Network(checkpoint.config.model).state_dict()
        found = {name: tuple(value.shape) for name, value in state.items()}
        assert found == {name: value.shape for name, value in checkpoint.arrays.items()}


def test_a_seed_gives_the_same_network_and_leaves_torchs_generator_alone():
    config = ModelConfig(channels=4, depth=2)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, two, other = Network(config, 3), Network(config, 3), Network(config, 4)
    assert torch.equal(torch.rand(1), expected)
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert not torch.equal(one.encoder.weight, other.encoder.weight)
    assert not torch.equal(one.blocks[0].ssm.c, other.blocks[0].ssm.c)


def test_every_parameter_gets_a_gradient():
    for changes in ({}, {"mode_init": "s4d-real", "prenorm": False}, {"bidirectional": True}):
        network, p = network_and_input(**changes)
        network(p).logits.square().sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and bool(parameter.grad.abs().sum() > 0), name


@torch.no_grad()
def test_float32_kernels_are_those_of_float64():
    checkpoint = checkpoint_of(steps=784)
    single, double = load_network(checkpoint), load_network(checkpoint).double()
    u = torch.randn(1, 6, 784)
    for one, two in zip(single.blocks, double.blocks, strict=True):
        found = one.ssm(u)
        assert found.dtype == torch.float32
        # The poles' arithmetic is float64 in both: only the transforms round.
        assert difference(found.double(), two.ssm(u.double())) <= 32 * 2.0**-23
