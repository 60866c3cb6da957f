"""Event-based gated units in torch: the gradient of their equations; steps are the sequence."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.egru_networks import egru_checkpoint  # noqa: E402
from support.random_networks import samples_of  # noqa: E402
from torch.nn import functional  # noqa: E402

from snn_ssm.config import (  # noqa: E402
    Config,
    ConfigError,
    ModelConfig,
    TaskConfig,
    TrainingConfig,
)
from snn_ssm.kinds.cells.egru import threshold  # noqa: E402
from snn_ssm.model.egru import EgruLayer  # noqa: E402
from snn_ssm.model.modes import ModeError  # noqa: E402
from snn_ssm.model.network import build_network  # noqa: E402
from snn_ssm.model.restore import load_network  # noqa: E402
from snn_ssm.model.sensitivity import sensitivity  # noqa: E402
from snn_ssm.model.spiking import triangle  # noqa: E402
from snn_ssm.results.metrics import connections, mode_macs  # noqa: E402
from snn_ssm.training.methods import cut_time  # noqa: E402
from snn_ssm.training.optimisation import parameter_groups, sent, spike_rates  # noqa: E402

SLOPE = 1.0


def config(**changes):
    keys = {"cells": "egru", "channels": 5, "depth": 2, "inputs": 2, "classes": 3}
    return ModelConfig(**(keys | {"surrogate": "triangle", "surrogate_slope": SLOPE} | changes))


def layer_of(seed=0, **changes):
    torch.manual_seed(seed)
    layer = EgruLayer(config(**changes), torch.Generator().manual_seed(seed)).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return layer


def step_of(distance):
    """H, with 0.7 times the triangle's derivative."""
    found = triangle(distance, SLOPE)
    return found.detach() + 0.7 * (found - found.detach())


def plainly(layer, u, through=True, instant=False):
    """Membranes and outputs by the equations, in torch's own gradient."""
    theta = torch.sigmoid(layer.threshold_logit)
    h = y = torch.zeros_like(u[..., 0])
    membranes, outputs = [], []
    for x in u.unbind(-1):
        if instant:
            h, y = h.detach(), y.detach()
        update, reset, candidate = (x @ layer.weight.T + layer.bias).chunk(3, -1)
        own = (y @ layer.recurrent_weight.T).chunk(3, -1)
        z, r = torch.sigmoid(update + own[0]), torch.sigmoid(reset + own[1])
        g = torch.tanh(candidate + r * (own[2] + layer.recurrent_bias))
        v = z * h + (1 - z) * g
        s = step_of(v - theta)
        y, h = s * v, v - (s if through else s.detach()) * theta
        membranes.append(v)
        outputs.append(y)
    return torch.stack(membranes, -1), torch.stack(outputs, -1)


def gradients(layer, u, v, y, seed=1):
    """Of a random sum of membranes and outputs, by the parameters and the input."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(2, *v.shape, generator=generator, dtype=v.dtype)
    total = (weights[0] * v + weights[1] * y).sum()
    return torch.autograd.grad(total, [*layer.parameters(), u])


@pytest.mark.parametrize(("through", "instant"), [(True, False), (False, False), (True, True)])
def test_the_gradient_is_that_of_the_equations(through, instant):
    layer = layer_of()
    layer.through_reset, layer.through_time = through, not instant
    u = torch.randn(3, 5, 17, dtype=torch.double, requires_grad=True)
    v = layer(u)
    y = layer.output(v)
    expected = plainly(layer, u, through, instant)
    for one, other in zip((v, y), expected, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-14)
    assert 0.1 < (y > 0).double().mean() < 0.9
    pairs = zip(gradients(layer, u, v, y), gradients(layer, u, *expected), strict=True)
    for found, wanted in pairs:
        assert torch.allclose(found, wanted, rtol=1e-10, atol=1e-12) and wanted.any()


def test_where_nothing_is_near_its_threshold_it_is_the_difference_quotient():
    """Of a unit that is silent the surrogate of a slope of 1e6 is 0, and there is no jump."""
    layer = layer_of(3, surrogate_slope=1e6)
    with torch.no_grad():
        layer.threshold_logit += 20
    u = torch.randn(1, 5, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (u,))


def test_some_steps_only_have_a_gradient():
    layer = layer_of(1)
    layer.gradient_steps = torch.tensor([2])
    u = torch.randn(1, 5, 6, dtype=torch.double, requires_grad=True)
    (grad,) = torch.autograd.grad(layer(u).sum(), u)
    assert grad[..., :3].any() and not grad[..., 3:].any()


def test_training_sets_how_gradients_go():
    network = build_network(config())
    cut_time(network, TrainingConfig(through_time=False, through_reset=False), 8)
    layers = [block.ssm for block in network.blocks]
    assert not any(layer.through_time or layer.through_reset for layer in layers)
    _, plain, decayed = parameter_groups(network, TrainingConfig())
    ids = {id(p) for p in plain["params"]}
    assert {id(layers[0].recurrent_bias), id(layers[0].threshold_logit), id(layers[0].bias)} <= ids
    assert any(p is layers[0].recurrent_weight for p in decayed["params"])


@pytest.mark.parametrize("seed", range(3))
def test_a_sequence_a_scan_and_the_steps_are_one(seed):
    checkpoint = egru_checkpoint(seed, depth=3)
    network = load_network(checkpoint).double()
    p = torch.from_numpy(samples_of(checkpoint).astype(np.int64))
    one, other, third = network(p), network.scan(p), network.steps(p)
    for again in (other, third):
        assert torch.allclose(one.logits, again.logits, rtol=0, atol=1e-11)
        for s, t in zip(one.outputs, again.outputs, strict=True):
            assert ((s > 0) == (t > 0)).all() and torch.allclose(s, t, rtol=0, atol=1e-11)
    assert all((s > 0).any() and (s == 0).any() for s in one.outputs)


def test_samples_that_are_filled_up_have_their_own_answers():
    checkpoint = egru_checkpoint(4)
    network = load_network(checkpoint).double().eval()
    p = torch.from_numpy(samples_of(checkpoint, 4).astype(np.int64))
    lengths = torch.tensor([24, 5, 11, 1])
    found = network(p, lengths).logits
    for b, length in enumerate(lengths.tolist()):
        alone = network(p[b : b + 1, :, :length]).logits
        assert torch.allclose(found[b : b + 1], alone, rtol=0, atol=1e-12)


def test_levels_move_events_and_resets():
    layer = layer_of(2)
    level = torch.full((5,), 0.05, dtype=torch.double)
    recurrence = layer.recurrence(level)
    state = recurrence.initial(torch.zeros(1, 5, 1))
    state, v = recurrence.step(state, torch.ones(1, 5, dtype=torch.double))
    assert (state.h == torch.where(v > 0.05, v - 0.05, v)).all()
    assert (layer.output(v[..., None], level)[..., 0] == torch.where(v > 0.05, v, 0)).all()


def test_thresholds_start_between_0_and_1_and_states_as_slow_as_other_cells():
    layer = EgruLayer(config(channels=400, dt_min=0.01, dt_max=0.5), torch.Generator())
    theta = layer.theta().detach()
    assert ((theta > 0) & (theta < 1)).all() and abs(float(theta.mean()) - 0.3) < 0.05
    rate = -torch.log(torch.sigmoid(layer.bias[:400].detach()))
    assert 0.0099 < float(rate.min()) < 0.03 and 0.3 < float(rate.max()) < 0.51
    expected = threshold(layer.threshold_logit.detach().double().numpy())
    assert np.allclose(theta.numpy(), expected)


def test_events_are_counted_and_values_are_penalised():
    model = config()
    y = torch.tensor([[[0.0, 0.5, 0.25, 0.0]]])
    assert sent(y, model).tolist() == [[[0, 1, 1, 0]]] and model.sends_values
    assert spike_rates([y], model).tolist() == [0.1875]


def test_what_a_step_costs():
    from snn_ssm.results.metrics import Activity

    checkpoint = egru_checkpoint(0, channels=4, depth=1)
    ones = np.ones((1, 4), np.int64)
    activity = Activity(1, 10, np.array([3]), ones, ones)
    encoder, mixing, forward, own, decoder = connections(checkpoint, activity)
    assert not any(c.spikes for c in (encoder, mixing, forward, own, decoder))
    assert forward.effective == 12 * 4 * 10 and own.effective == 12 * 4 and mixing.effective == 16
    assert mode_macs(checkpoint.config.model, 10) == 3 * 4 * 10


def test_bf16_keeps_the_loop_in_float32():
    layer = EgruLayer(config(), torch.Generator())
    u = torch.randn(2, 5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(functional.relu(u)), layer(functional.relu(u).float()))


@pytest.mark.parametrize(("key", "value"), [
    ("activation", "integer"), ("mixing", "glu"), ("recurrent", True), ("delays", 2),
    ("reset", "soft"), ("history", 2), ("bidirectional", True), ("membrane_norm", True),
])
def test_keys_that_do_not_go_with_it(key, value):
    with pytest.raises(ConfigError, match=rf"model.{key}.* with cells = \"egru\""):
        config(**{key: value})


def test_it_has_no_modes_to_loop_over():
    with pytest.raises(ModeError, match="EgruLayer has no modes: it is a loop of its own"):
        layer_of().neurons()


def test_it_resets():
    assert config().resets and not replace(config(), cells="native").resets
    cut = TrainingConfig(through_reset=False, through_time=False)
    assert not Config(TaskConfig("smnist", 4), config(classes=10), cut).training.through_reset


def test_an_attack_has_a_surrogate_of_its_own_in_the_loop_too():
    """The trained one of a slope of 1e6 has no gradient through events."""
    checkpoint = egru_checkpoint(5, surrogate_slope=1e6)
    network = load_network(checkpoint)
    samples, labels = samples_of(checkpoint), np.array([0, 1, 2])
    found = sensitivity(network, samples, labels).gradient
    layer = network.blocks[0].ssm
    assert layer.slope == 1e6 and layer.surrogate == "fast-sigmoid"
    layer.surrogate, layer.slope = "triangle", 1.0
    again = sensitivity(network, samples, labels).gradient
    assert np.array_equal(found, again) and found.any()
