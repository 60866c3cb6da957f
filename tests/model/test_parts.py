"""Layers with a reset or a threshold history: three ways alike, their gradients, their settings."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.operators import WAYS, go_by  # noqa: E402
from support.random_networks import checkpoint_of, samples_of  # noqa: E402
from support.trained_model import assert_is_the_trained_model  # noqa: E402

from export.lowering import lower  # noqa: E402
from snn_ssm.config import Config, ConfigError, ModelConfig, TrainingConfig  # noqa: E402
from snn_ssm.model.network import build_network  # noqa: E402
from snn_ssm.model.operators import library  # noqa: E402
from snn_ssm.model.resetting import ResettingLayer  # noqa: E402
from snn_ssm.training.methods import cut_time  # noqa: E402

KINDS = {
    "soft": {"reset": "soft"},
    "soma": {"reset": "soma"},
    "hard": {"reset": "hard", "refractory": 2},
    "soft, real": {"reset": "soft", "refractory": 1, "mode_init": "s4d-real"},
    "hard, gated": {"reset": "hard", "mixing": "glu"},
    "history": {"history": 4},
    "history, normed": {"history": 1, "membrane_norm": True},
    "history, gated": {"history": 7, "mixing": "glu"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_is_the_trained_model(kind):
    for seed in range(2):
        checkpoint = checkpoint_of(seed, steps=30, depth=3, **KINDS[kind])
        found = assert_is_the_trained_model(checkpoint, lower(checkpoint), samples_of(checkpoint))
        assert all(0.01 < s.mean() < 0.99 for s in found.spikes.values())


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    go_by(monkeypatch, request.param)
    yield request.param
    library.loaded.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_training_scan_and_steps_are_the_same_map(way, kind):
    """In float64, on random parameters: every spike, membranes and logits to 1e-10."""
    config = ModelConfig(channels=5, depth=2, modes=3, classes=3, input_bits=4, **KINDS[kind])
    network = build_network(config, seed=1).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64
            )
    p = torch.randint(0, 16, (4, 1, 40), generator=torch.Generator().manual_seed(3))
    ways = [network(p), network.scan(p), network.steps(p)]
    spikes = sum(int(s.sum()) for s in ways[0].outputs)
    assert 20 < spikes < 0.9 * 4 * 2 * 5 * 40
    for other in ways[1:]:
        for one, two in zip(ways[0].outputs, other.outputs, strict=True):
            assert torch.equal(one, two)
        for one, two in zip(ways[0].membranes, other.membranes, strict=True):
            assert bool(((one - two).abs() <= 1e-10 * one.abs().max()).all())
        assert torch.allclose(ways[0].logits, other.logits, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_has_a_gradient(kind):
    config = ModelConfig(
        channels=5, depth=2, modes=3, classes=3, input_bits=4, surrogate="triangle",
        surrogate_slope=1.0, **KINDS[kind],
    )  # fmt: skip
    network = build_network(config, seed=1)
    p = torch.randint(0, 16, (4, 1, 40), generator=torch.Generator().manual_seed(3))
    network(p).logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 0, name


@pytest.mark.parametrize(("modes", "init"), [(1, "s4d-lin"), (12, "s4d-lin"), (2, "s4d-real")])
def test_a_spike_lowers_the_next_membrane_by_half_of_its_deviation_at_first(modes, init):
    """By 1/2 at most: measured here on white input, of one weak mode and of many."""
    config = ModelConfig(
        channels=6, depth=1, modes=modes, dt_min=0.3, dt_max=0.5, reset="soft", classes=3,
        mode_init=init,
    )  # fmt: skip
    layer = build_network(config, seed=0).blocks[0].ssm
    found = layer.discrete()
    lowered = (found.g[0] * found.abar * layer.taken()).real.sum(-1)
    white = torch.randn(200, 6, 200, generator=torch.Generator().manual_seed(0)).double()
    alone = found._replace(d=torch.zeros_like(found.d)).recurrence().scan(white)
    deviation = alone[..., 100:].std(dim=(0, 2)).clamp(max=1)
    assert torch.allclose(lowered, deviation / 2, rtol=0.05)
    assert float(lowered.detach().max()) <= 0.5 + 1e-6
    assert isinstance(layer, ResettingLayer) and not layer.theta.any()


def test_a_soma_of_one_channel_begins_as_any():
    """A torch view of its one readout's real part is that readout's own memory."""
    keys = {"channels": 1, "depth": 1, "modes": 3, "reset": "soma"}
    layer = build_network(ModelConfig(**keys), seed=1).blocks[0].ssm
    assert layer.c.shape == (1, 1, 3, 2) and layer.c[0, 0, -1, 1] == 0 != layer.c[0, 0, -1, 0]


@pytest.mark.parametrize("n_ssm", [0, 2])
def test_a_soma_begins_as_a_leaky_stage_behind_the_layer(n_ssm):
    """Its spikes take from it alone; it is real, and training leaves it so."""
    keys = {"channels": 4, "depth": 1, "modes": 5, "classes": 3, "n_ssm": n_ssm, "dt_min": 0.01,
            "dt_max": 0.5, "input_bits": 4}  # fmt: skip
    plain, network = (
        build_network(ModelConfig(**keys, reset=kind), seed=1) for kind in ("none", "soma")
    )
    layer, whole = network.blocks[0].ssm, plain.blocks[0].ssm.discrete()
    without = whole._replace(abar=whole.abar[:, :-1], g=whole.g[..., :-1], d=0 * whole.d)
    u = torch.randn(3, 4, 60, generator=torch.Generator().manual_seed(0)).double()
    beta, v = layer.discrete().abar[:, -1].real, layer.discrete().recurrence().scan(u)
    first = v - beta[:, None] * torch.nn.functional.pad(v, (1, 0))[..., :-1]
    fed = first - without.recurrence().scan(u)  # d u, with d's that leave no soma without readout
    d = fed[0, :, 0] / u[0, :, 0]
    torch.testing.assert_close(fed, d[:, None] * u, rtol=1e-4, atol=1e-5)
    assert 0 < int((d - whole.d).abs().gt(1e-5).sum()) < 4 and bool(((d - whole.d).abs() < 1).all())
    lowered = layer.discrete().g[0, :, -1].real * layer.r
    assert bool((lowered > 0).all() and (lowered <= 0.5 + 1e-6).all())
    assert bool((beta > 0.02).all() and (beta < 0.5).all())
    if not n_ssm:
        torch.testing.assert_close(beta, torch.full((4,), 0.125).double(), rtol=1e-6, atol=0)
    optimiser = torch.optim.AdamW(network.parameters(), 0.01)
    for _ in range(3):
        optimiser.zero_grad()
        p = torch.randint(0, 16, (4, 1, 40), generator=torch.Generator().manual_seed(3))
        network(p).logits.square().sum().backward()
        optimiser.step()
    taken = layer.taken()
    assert not taken[:, :-1].any() and not taken.imag.any() and bool((taken[:, -1] != 0).all())
    assert not layer.omega[:, -1].any() and not layer.discrete().g[0, :, -1].imag.any()
    assert layer.omega[:, :-1].all() and float(layer.r.grad.abs().min()) > 0


def test_a_history_raises_the_threshold_by_a_tenth_a_step_at_first():
    config = ModelConfig(channels=3, depth=1, modes=2, history=4, classes=3)
    block = build_network(config, seed=0).blocks[0]
    assert torch.equal(block.history, torch.full((3, 4), 0.1))
    y = torch.tensor([0.05, 0.05, 0.15, 0.25, 0.35, 0.45, 0.35, -1, 0.35]).expand(1, 3, 9)
    expected = [1, 0, 0, 0, 0, 1, 0, 0, 1]  # raised by 0, 1, 2, 3, 4, 4, 4, 4, 3 tenths
    assert block.activate(y)[0, 0].tolist() == expected


def test_cutting_time_reaches_the_reset():
    """SLTT: what a step brings has no gradient to the step before; SLTT-K: some steps have one."""
    config = ModelConfig(channels=4, depth=1, modes=2, reset="soft", classes=3, input_bits=4)
    network = build_network(config, seed=0)
    cut_time(network, TrainingConfig(through_time=False, gradient_steps=3), 20)
    u = torch.randn(2, 4, 20, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y, s = network.blocks[0].respond(u)
    (y.sum() + s.sum()).backward()
    assert int((u.grad.abs().sum((0, 1)) > 0).sum()) == 3


def test_a_reset_may_be_a_constant_in_the_gradient():
    """By hand, of one neuron: x[1] = abar (x[0] - r s[0]) + u[1], with and without ds/dy."""
    config = ModelConfig(channels=1, depth=1, modes=1, reset="soft", mode_init="s4d-real",
                         surrogate="triangle", surrogate_slope=0.5)  # fmt: skip
    network = build_network(config, seed=0).double()
    block = network.blocks[0]
    abar, g, d, _, r = (float(x.detach()) for x in block.ssm.neurons())
    for through in (True, False):
        cut_time(network, TrainingConfig(through_reset=through), 2)
        u = torch.tensor([[[0.3, 0.2]]], dtype=torch.float64, requires_grad=True)
        y, _ = block.respond(u)
        y[0, 0, 1].backward()
        slope = 1 - 0.5 * abs((g + d) * 0.3) if through else 0
        assert float(u.grad[0, 0, 0]) == pytest.approx(g * abar * (1 - r * slope * (g + d)))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"reset": "firm"}, r"\[model.reset\] is 'firm'; expected one of none, soft, hard"),
        ({"reset": "soma", "modes": 1}, r"\[model.modes\] is 1; expected 2 or more with reset"),
        ({"reset": "soma", "mode_init": "s4d-real"}, "'s4d-real'; expected one of complex modes"),
        ({"mode_init": "legt", "modes": 9}, r"\[model.modes\] is 9; expected 1 to 8 with mode_i"),
        ({"refractory": 2}, r"\[model.refractory\] is 2; expected 0 with reset = \"none\""),
        ({"reset": "soft", "refractory": -1}, r"\[model.refractory\] is -1; expected 0 to"),
        ({"history": 33}, r"\[model.history\] is 33; expected 0 to 32 steps"),
        ({"history": 2, "activation": "integer"}, "'integer'; expected 'heaviside' with a history"),
        ({"reset": "hard", "membrane_norm": True}, r"membrane_norm\] is True; expected False with"),
        ({"reset": "hard", "bidirectional": True}, r"bidirectional\] is True; expected False with"),
        ({"reset": "hard", "activation": "integer"}, "'integer'; expected 'heaviside' with reset"),
        ({"cells": "lif", "reset": "soft"}, r"reset\] is 'soft'; expected 'none' with cells"),
        ({"cells": "lif", "history": 1}, r"\[model.history\] is 1; expected 0 with cells"),
    ],
)
def test_settings_that_do_not_go_together(keys, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**keys)


def test_time_is_cut_with_a_reset_only():
    cut = TrainingConfig(through_time=False)
    assert Config(model=ModelConfig(reset="soft"), training=cut).training is cut
    with pytest.raises(ConfigError, match="expected true with cells that have no reset"):
        Config(model=ModelConfig(history=2), training=cut)


def test_a_reset_that_is_a_constant_is_there():
    constant = TrainingConfig(through_reset=False)
    assert Config(model=ModelConfig(reset="hard"), training=constant).training is constant
    with pytest.raises(ConfigError, match=r"through_reset\] is False; expected true with model"):
        Config(model=ModelConfig(cells="lif"), training=constant)


def test_levels_are_clear_of_the_thresholds_that_were_trained():
    from snn_ssm.levels import levels

    for kind in KINDS.values():
        checkpoint = checkpoint_of(3, **kind)
        for i, level in enumerate(levels(checkpoint)):
            theta = checkpoint.arrays.get(f"blocks.{i}.ssm.theta", np.zeros(6))
            assert (level.theta == theta).all() and (level.margin > 0).all()
            assert (level.margin < 1e-9 * (1 + np.abs(theta))).all()

