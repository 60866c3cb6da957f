"""The network: three ways to run it agree, it is causal, and its norms, pooling and encoders."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.files import ROOT  # noqa: E402
from support.random_networks import checkpoint_of, samples_of  # noqa: E402

from snn_ssm.config import ACTIVATIONS, ModelConfig  # noqa: E402
from snn_ssm.model.modes import ModeError, discretise  # noqa: E402
from snn_ssm.model.network import Network  # noqa: E402
from snn_ssm.model.restore import load_network  # noqa: E402


def network_and_input(seed=0, steps=33, count=3, **changes):
    checkpoint = checkpoint_of(seed, steps, **changes)
    network = load_network(checkpoint).double()
    return network, torch.from_numpy(samples_of(checkpoint, count).astype(np.int64))


def difference(one, other):
    return float((one - other).abs().max() / other.abs().max())


@torch.no_grad()
def assert_three_ways_agree(network, p):
    ways = [network(p), network.scan(p), network.steps(p)]
    shape = network.encode(p).shape
    for other in ways[:2]:
        for name in ("membranes", "outputs"):
            for one, two in zip(getattr(other, name), getattr(ways[2], name), strict=True):
                assert one.shape == two.shape == shape
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


GSU = {"mixing": "gsu", "activation": "ternary-constant"}
STOCK = {"cells": "stock", "mode_init": "s4d-real", "modes": 1}
LIF = {"cells": "lif"}


def mixings_of(activation):
    return ["linear", "glu", "gsu"] if activation.startswith("ternary") else ["linear", "glu"]


@pytest.mark.parametrize(("norm", "prenorm"), [("batch", True), ("layer", False)])
@pytest.mark.parametrize(
    ("activation", "mixing"), [(a, m) for a in ACTIVATIONS for m in mixings_of(a)]
)
def test_they_agree_for_every_activation_and_mixing(activation, mixing, norm, prenorm):
    out = assert_three_ways_agree(*network_and_input(
        activation=activation, mixing=mixing, norm=norm, prenorm=prenorm
    ))
    for s in out.outputs:  # neither silent nor constant
        assert bool((s.amax((0, 2)) > s.amin((0, 2))).any())


@pytest.mark.parametrize("prenorm", [True, False])
@pytest.mark.parametrize("changes", [
    STOCK, LIF, {**LIF, "norm": "layer"}, {**LIF, "norm": "none", "encoder": "embedding",
                                           "inputs": 9},
], ids=str)
def test_they_agree_for_other_cells(changes, prenorm):
    out = assert_three_ways_agree(*network_and_input(**changes, prenorm=prenorm))
    assert all(0.02 < float(s.mean()) < 0.98 for s in out.outputs)


@pytest.mark.parametrize("changes", [
    {"encoder": "embedding", "inputs": 16},
    {"inputs": 3},
    {"dropout": 0.5},  # no part in evaluation
    {"n_ssm": 1},
    {"n_ssm": 3, "discretisation": "bilinear", "mode_init": "s4d-inv"},
    {"n_ssm": 2, "mode_init": "s4d-real"},
    {"quantise_decays": True},
    {"quantise_decays": True, "mode_init": "s4d-real", "n_ssm": 2},
    {"weight_bits": 4},
    {"weight_bits": 8, "mixing": "glu", "quantise_decays": True},
    {"weight_bits": 3, **GSU},
    {"weight_bits": 4, **LIF},
    {"weight_bits": 4, **STOCK},
    *({**GSU, "gsu_weights": w, "gsu_norm": n} for w in (1, 2) for n in ("batch", "none")),
    {"pair": True, "steps": 20},
    {"pair": True, "steps": 20, "pooling": "last", **GSU},
], ids=str)
def test_they_agree_for_other_keys(changes):
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
        if network.config.cells == "stock":
            y = block.norm(block.ssm(h))
            h = h + block.mixing(y, block.activate(y))
        elif block.prenorm:
            y = block.ssm(block.norm(h))
            h = h + block.mixing(y, block.activate(y))
        else:
            y = block.ssm(h)
            h = block.norm(h + block.mixing(y, block.activate(y)))
    return h


@pytest.mark.parametrize("prenorm", [True, False])
@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("cells", [{}, LIF, STOCK], ids=["native", "lif", "stock"])
def test_norms_and_pooling_stand_where_they_should(cells, prenorm, pooling):
    network, p = network_and_input(prenorm=prenorm, pooling=pooling, **cells)
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
    assert p.shape == (3, 1, 33)
    assert torch.equal(network.encode(p)[1, :, 7], network.encoder.weight[p[1, 0, 7]])


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


def test_readout_weights_start_as_complex_normal_numbers_of_variance_one():
    network = Network(ModelConfig(channels=40, modes=50, depth=1))
    c = network.blocks[0].ssm.c.detach()  # (1, H, N, 2)
    assert float(c.square().sum(-1).mean()) == pytest.approx(1.0, rel=0.1)
    assert c.mean((0, 1, 2)).tolist() == pytest.approx([0.0, 0.0], abs=0.1)


def test_dropout_drops_whole_channels():
    network, p = network_and_input(depth=1, dropout=0.5, norm="none")
    network.train()
    torch.manual_seed(0)
    block = network.blocks[0]
    h = network.encode(p)
    y = block.ssm(h)
    s = block.activate(y)
    added = block.after(h, y, s) - h  # (B, H, L)
    kept = (added != 0).any(-1)
    assert 0 < int(kept.sum()) < kept.numel()
    expected = 2 * kept[..., None] * block.mixing(y, s)
    assert torch.allclose(added, expected, rtol=1e-12, atol=1e-12)


def test_every_parameter_gets_a_gradient():
    for changes in ({}, {"mode_init": "s4d-real", "prenorm": False}, {"bidirectional": True},
                    {"mixing": "glu"}, {**GSU, "gsu_weights": 2}, LIF, STOCK, {"n_ssm": 2},
                    {"quantise_decays": True, "weight_bits": 8}):
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
        # The poles' arithmetic is float64 in both: only the transforms round.
        for value, exact in zip(one.ssm.discrete(), two.ssm.discrete(), strict=True):
            assert torch.equal(value, exact)
        found = one.ssm(u)
        assert found.dtype == torch.float32
        assert difference(found.double(), two.ssm(u.double())) <= 32 * 2.0**-23


def test_stock_cells_are_one_leaky_trace_on_the_grid_of_decays():
    network, p = network_and_input(seed=4, steps=11, **STOCK)
    assert network.encoder.bias is None and network.blocks[0].mixing.bias is None
    layer = network.blocks[0].ssm
    assert [name for name, _ in layer.named_parameters()] == ["a"]
    n = np.clip(np.rint(np.exp(layer.a.detach().numpy()) * 2**15), 66, 2**18)
    u = network.encode(p).detach().numpy()
    x, expected = np.zeros_like(u[..., 0]), []
    for k in range(u.shape[-1]):
        x = np.exp(-n / 2**15) * x + u[..., k]
        expected.append(x)
    found = layer(network.encode(p)).detach().numpy()
    assert found == pytest.approx(np.stack(expected, -1), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("init", ["s4d-lin", "s4d-real"])
@pytest.mark.parametrize("sets", [1, 2, 3])
@torch.no_grad()
def test_channels_share_the_sets_of_modes_in_turn(sets, init):
    shared, p = network_and_input(n_ssm=sets, mode_init=init)
    each = Network(replace(shared.config, n_ssm=0)).double().eval()
    state = shared.state_dict()
    turn = torch.arange(6) % sets  # channel h has set h mod S
    for name in list(state):
        if name.rsplit(".", 1)[-1] in ("a", "omega", "b") and ".ssm." in name:
            assert len(state[name]) == sets
            state[name] = state[name][turn]
    each.load_state_dict(state)
    for one, two in zip(shared(p).membranes, each(p).membranes, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("method", ["zoh", "bilinear"])
@pytest.mark.parametrize("init", ["s4d-legs", "s4d-real"])
@torch.no_grad()
def test_the_layers_modes_are_those_of_its_parameters(init, method):
    network, _ = network_and_input(mode_init=init, discretisation=method)
    layer = network.blocks[0].ssm
    lam, b, c = -torch.exp(layer.a), layer.b, layer.c
    if init != "s4d-real":
        lam = lam + 1j * layer.omega
        b, c = b[..., 0] + 1j * b[..., 1], 2 * (c[..., 0] + 1j * c[..., 1])
    abar, bbar = discretise(lam, b, torch.exp(layer.log_dt), method)
    found = layer.discrete()
    assert difference(found.abar, abar) <= 1e-15 and torch.equal(found.d, layer.d)
    assert found.g.shape == (1, 6, 4) and difference(found.g[0], (c * bbar)[0]) <= 1e-14


@pytest.mark.parametrize("init", ["s4d-lin", "s4d-real"])
@torch.no_grad()
def test_quantised_decays_are_poles_in_q0_31_and_leave_the_input_weights(init):
    quantised, _ = network_and_input(mode_init=init, quantise_decays=True)
    plain, _ = network_and_input(mode_init=init)
    for one, two in zip(quantised.blocks, plain.blocks, strict=True):
        found, exact = one.ssm.discrete(), two.ssm.discrete()
        units = torch.view_as_real(found.abar) if found.abar.is_complex() else found.abar
        before = torch.view_as_real(exact.abar) if exact.abar.is_complex() else exact.abar
        assert torch.equal(units * 2**31, torch.round(before * 2**31))
        assert torch.equal(found.g, exact.g) and not torch.equal(found.abar, exact.abar)


@torch.no_grad()
def test_the_shipped_checkpoint_still_classifies():
    network = load_network(ROOT / "examples" / "checkpoints" / "smnist-binary-s4d")
    with np.load(ROOT / "examples" / "data" / "mnist-test-200.npz") as data:
        inputs, labels = data["inputs"][:24], data["labels"][:24]
    out = network(torch.from_numpy(inputs))
    assert (out.logits.argmax(-1).numpy() == labels).mean() >= 0.95
    # Rates of each layer over the whole test set: 0.492, 0.384, 0.364, 0.354.
    rates = [float(s.mean()) for s in out.outputs]
    assert rates == pytest.approx([0.492, 0.384, 0.364, 0.354], abs=0.03)


def test_three_ways_agree_on_trained_parameters():
    network = load_network(ROOT / "examples" / "checkpoints" / "smnist-binary-s4d").double()
    with np.load(ROOT / "examples" / "data" / "mnist-test-200.npz") as data:
        inputs = torch.from_numpy(data["inputs"][:2, :, 300:450])
    assert_three_ways_agree(network, inputs)
