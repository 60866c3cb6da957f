"""The Transformer baseline: torch's own encoder layer, its positions, pairs, and refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.random_networks import checkpoint_of, samples_of  # noqa: E402

from snn_ssm.config import ModelConfig  # noqa: E402
from snn_ssm.model.network import Network, build_network  # noqa: E402
from snn_ssm.model.restore import load_network  # noqa: E402
from snn_ssm.model.sequence import ModelError  # noqa: E402
from snn_ssm.model.transformer import Transformer, TransformerBlock, positions  # noqa: E402

TRANSFORMER = {"architecture": "transformer", "heads": 2, "norm": "layer"}


def network_and_input(seed=0, steps=10, **changes):
    checkpoint = checkpoint_of(seed, steps, **{**TRANSFORMER, **changes})
    samples = torch.from_numpy(samples_of(checkpoint, 4).astype(np.int64))
    return load_network(checkpoint).double(), samples


def torchs_layer(block, config):
    """``torch.nn.TransformerEncoderLayer`` with a block's parameters."""
    h = config.channels
    layer = torch.nn.TransformerEncoderLayer(
        h, config.heads, 4 * h, dropout=config.dropout, activation="gelu", batch_first=True,
        norm_first=config.prenorm, dtype=torch.float64,
    )
    attention, feedforward = block.attention, block.feedforward
    pairs = {
        "self_attn.in_proj_": attention.input, "self_attn.out_proj.": attention.output,
        "linear1.": feedforward.hidden, "linear2.": feedforward.output,
        "norm1.": attention.norm, "norm2.": feedforward.norm,
    }
    layer.load_state_dict({
        prefix + leaf: value
        for prefix, module in pairs.items()
        for leaf, value in module.state_dict().items()
    })
    return layer.eval()


@pytest.mark.parametrize("heads", [1, 2, 6])
@pytest.mark.parametrize("prenorm", [True, False])
@torch.no_grad()
def test_a_block_is_torchs_encoder_layer(prenorm, heads):
    network, _ = network_and_input(prenorm=prenorm, heads=heads, dropout=0.3)
    for block in network.blocks:
        assert isinstance(block, TransformerBlock)
        h = torch.randn(3, 6, 11, dtype=torch.float64)
        expected = torchs_layer(block, network.config)(h.transpose(1, 2)).transpose(1, 2)
        assert float((block(h) - expected).abs().max()) <= 1e-12 * float(expected.abs().max())


def test_dropout_acts_in_training_only():
    network, p = network_and_input(dropout=0.5)
    with torch.no_grad():
        assert torch.equal(network(p).logits, network(p).logits)
        network.train()
        assert not torch.equal(network(p).logits, network(p).logits)


@pytest.mark.parametrize(("channels", "length"), [(6, 11), (5, 3), (1, 4)])
def test_positions_are_their_formula(channels, length):
    found = positions(torch.zeros(2, channels, length))
    assert found.shape == (channels, length) and found.dtype == torch.float32
    for h in range(channels):
        wave = 10_000 ** (-2 * (h // 2) / channels)
        function = math.cos if h % 2 else math.sin
        expected = [function(t * wave) for t in range(length)]
        assert found[h].tolist() == pytest.approx(expected, abs=2.0**-24)


def test_late_positions_are_computed_in_float64():
    found = positions(torch.zeros(1, 4, 16384, dtype=torch.float32))
    assert found[0, -1].item() == pytest.approx(math.sin(16383), abs=2.0**-24)
    assert found[3, -1].item() == pytest.approx(math.cos(163.83), abs=2.0**-24)
    found = positions(torch.zeros(1, 4, 16384, dtype=torch.float64))
    assert found[3, -1].item() == pytest.approx(math.cos(163.83), abs=1e-12)


@pytest.mark.parametrize("pooling", ["mean", "last"])
@torch.no_grad()
def test_the_network_is_encoder_positions_blocks_pooling_and_decoder(pooling):
    network, p = network_and_input(pooling=pooling)
    scaled = p.double() * network.config.input_scale
    h = torch.einsum("hc,bcl->bhl", network.encoder.weight, scaled)
    h = h + network.encoder.bias[:, None] + positions(h)
    for block in network.blocks:
        h = torchs_layer(block, network.config)(h.transpose(1, 2)).transpose(1, 2)
    pooled = h.mean(-1) if pooling == "mean" else h[..., -1]
    expected = pooled @ network.decoder.weight.T + network.decoder.bias
    out = network(p)
    assert out.logits.numpy() == pytest.approx(expected.numpy(), rel=1e-10)
    assert out.membranes == [] and out.outputs == []


@torch.no_grad()
def test_every_step_sees_every_other():
    network, p = network_and_input(pooling="last")
    early = p.clone()
    early[..., 0] = 15 - early[..., 0]
    assert not torch.allclose(network(early).logits, network(p).logits)
    first = network.blocks[0]
    h = torch.randn(1, 6, 8, dtype=torch.float64)
    late = h.clone()
    late[:, 0, -1] += 1
    assert bool(((first(late) - first(h)).abs().amax((0, 1)) > 1e-9).all())


def test_build_network_makes_the_architecture_that_is_asked_for():
    config = ModelConfig(**{**TRANSFORMER, "channels": 4, "depth": 1})
    assert isinstance(build_network(config), Transformer)
    assert isinstance(build_network(ModelConfig(channels=4, depth=1)), Network)
    assert not hasattr(build_network(config), "steps")


def test_a_seed_gives_the_same_transformer():
    config = ModelConfig(**{**TRANSFORMER, "channels": 4, "depth": 1})
    one, two, other = (build_network(config, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not torch.equal(one["encoder.weight"], other["encoder.weight"])


def test_every_parameter_of_a_transformer_gets_a_gradient():
    for norm in ("layer", "batch", "none"):
        network, p = network_and_input(norm=norm)
        network(p).logits.square().sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and bool(parameter.grad.abs().sum() > 0), name


KINDS = {"transformer": TRANSFORMER, "state-space": {}, "lif": {"cells": "lif"}}


@pytest.mark.parametrize("encoder", [{}, {"encoder": "embedding", "inputs": 9}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_pair_is_two_sequences_and_their_features_product_and_difference(kind, encoder):
    checkpoint = checkpoint_of(steps=14, pair=True, **KINDS[kind], **encoder)
    network = load_network(checkpoint).double()
    p = torch.from_numpy(samples_of(checkpoint, 3).astype(np.int64))
    alone = build_network(replace(network.config, pair=False)).double().eval()
    alone.encoder, alone.blocks = network.encoder, network.blocks
    alone.decoder = torch.nn.Identity()
    one, two = alone(p[..., :7]), alone(p[..., 7:])
    h1, h2 = one.logits, two.logits  # the pooled features, (B, H)
    features = torch.cat([h1, h2, h1 * h2, h1 - h2], dim=-1)
    expected = features @ network.decoder.weight.T + network.decoder.bias
    out = network(p)
    assert out.logits.numpy() == pytest.approx(expected.numpy(), rel=1e-9)
    for both, first, second in zip(out.outputs, one.outputs, two.outputs, strict=True):
        assert torch.equal(both, torch.cat([first, second]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 1, 10), (2, 4, 10), (3, 10), (2, 3, 10, 1), (2, 3, 0)])
def test_an_input_of_another_shape_is_refused(kind, shape):
    network = build_network(ModelConfig(inputs=3, channels=4, depth=1, **KINDS[kind]))
    with pytest.raises(ModelError) as caught:
        network(torch.zeros(shape))
    message = str(caught.value)
    assert f"the input has shape {shape}; expected (B, 3, L), L >= 1 steps of 3 channels" in message
    assert "as model.inputs says. Use the samples of the task" in message


@pytest.mark.parametrize("shape", [(2, 5), (2, 2, 5), (2, 1, 0)])
def test_symbols_of_another_shape_are_refused(shape):
    network = build_network(
        ModelConfig(inputs=3, channels=4, depth=1, encoder="embedding", **TRANSFORMER)
    )
    expected = r"expected \(B, 1, L\), L >= 1 steps of one symbol\. Use"
    with pytest.raises(ModelError, match=expected):
        network(torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("symbols", "found"), [([0, 3, 1], "0 to 3"), ([-1, 2, 2], "-1 to 2")])
def test_symbols_there_are_none_of_are_refused(kind, symbols, found):
    network = build_network(
        ModelConfig(inputs=3, channels=4, depth=1, encoder="embedding", **KINDS[kind])
    )
    with pytest.raises(ModelError, match=rf"has symbols {found}; expected 0 to 2, as model\.inpu"):
        network(torch.tensor([[symbols]]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_of_an_odd_number_of_steps_is_refused(kind):
    network = build_network(ModelConfig(channels=4, depth=1, pair=True, **KINDS[kind]))
    with pytest.raises(ModelError, match=r"has 7 steps; expected an even number with model\.pair"):
        network(torch.zeros(2, 1, 7))
