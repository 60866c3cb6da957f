"""Leaky integrate-and-fire neurons: the recurrence and its gradient against a scalar loop."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.random_networks import checkpoint_of, samples_of  # noqa: E402

from snn_ssm.config import ModelConfig  # noqa: E402
from snn_ssm.model.lif import THRESHOLD, LeakyRecurrence, LifLayer  # noqa: E402
from snn_ssm.model.restore import load_network  # noqa: E402


def layer_and_input(seed=0, channels=3, steps=29, count=2):
    """A layer of random time constants and an input under which its neurons spike, float64."""
    generator = torch.Generator().manual_seed(seed)
    layer = LifLayer(ModelConfig(channels=channels, cells="lif"), generator).double()
    with torch.no_grad():
        layer.a.copy_(torch.randn(channels, generator=generator) - 1)
    u = torch.randn(count, channels, steps, dtype=torch.float64, generator=generator)
    return layer, (u * 0.8 + 0.2).requires_grad_()


def loop(u, beta):
    """One neuron in plain Python: membranes before the reset, and spikes."""
    v, membranes, spikes = 0.0, [], []
    for current in u:
        v = beta * v + current
        spike = v > 1.0
        membranes.append(v)
        spikes.append(spike)
        if spike:
            v = 0.0
    return membranes, spikes


def loop_gradient(u, beta, upstream):
    """d sum(upstream v) / d(u, beta) of one neuron, the spikes constant.

    A membrane is a sum over the inputs since its last reset, ``v[k] = sum_j beta^(k-j) u[j]``.
    """
    _, spikes = loop(u, beta)
    grad_u, grad_beta = [0.0] * len(u), 0.0
    for k, weight in enumerate(upstream):
        first = max((j + 1 for j in range(k) if spikes[j]), default=0)
        for j in range(first, k + 1):
            grad_u[j] += weight * beta ** (k - j)
            if j < k:
                grad_beta += weight * (k - j) * beta ** (k - j - 1) * u[j]
    return grad_u, grad_beta


def neurons(array):
    """(B, H, L) neuron by neuron: the channel, and the values of its steps."""
    for sample in array:
        yield from enumerate(sample)


def betas(layer):
    return np.exp(-np.exp(layer.a.detach().numpy()))


@pytest.mark.parametrize("seed", range(3))
def test_the_membranes_are_those_of_a_scalar_loop(seed):
    layer, u = layer_and_input(seed)
    v = layer(u).detach().numpy()
    found = [steps.tolist() for _, steps in neurons(v)]
    rates = []
    for (h, current), membranes in zip(neurons(u.detach().numpy()), found, strict=True):
        expected, spikes = loop(current.tolist(), betas(layer)[h])
        assert membranes == pytest.approx(expected, rel=1e-13, abs=1e-15)
        assert [m > THRESHOLD for m in membranes] == spikes
        rates.append(np.mean(spikes))
    assert 0.02 < np.mean(rates) < 0.8


def test_the_membrane_before_the_reset_is_the_result_and_at_the_threshold_there_is_none():
    recurrence = LeakyRecurrence(torch.full((1,), 0.5, dtype=torch.float64))
    u = torch.tensor([[[1.0, 0.75, 0.0, 1.0]]], dtype=torch.float64)
    # 1 is not above 1: the second step still has half of it, spikes, and is forgotten.
    assert recurrence.scan(u)[0, 0].tolist() == [1.0, 1.25, 0.0, 1.0]
    assert THRESHOLD == 1.0


def test_steps_and_gradient_do_not_reset_at_the_threshold_either():
    beta = torch.full((1,), 0.5, dtype=torch.float64, requires_grad=True)
    recurrence = LeakyRecurrence(beta)
    at = torch.ones(1, 1, dtype=torch.float64)
    kept, v = recurrence.step(torch.zeros_like(at), at)
    assert (kept.item(), v.item()) == (1.0, 1.0)
    u = torch.tensor([[[1.0, 0.25]]], dtype=torch.float64, requires_grad=True)
    recurrence.scan(u)[0, 0, 1].backward()  # beta 1.0 + 0.25
    assert u.grad.flatten().tolist() == [0.5, 1.0] and beta.grad.item() == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_the_sum_since_the_last_reset(seed):
    layer, u = layer_and_input(seed, steps=13)
    upstream = torch.randn(u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    (layer(u) * upstream).sum().backward()
    grad_beta = np.zeros(len(layer.a))
    rows = zip(
        neurons(u.detach().numpy()), neurons(upstream.numpy()), neurons(u.grad.numpy()),
        strict=True,
    )
    for (h, current), (_, weights), (_, found) in rows:
        expected, share = loop_gradient(current.tolist(), betas(layer)[h], weights.tolist())
        assert found.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-14)
        grad_beta[h] += share
    a = layer.a.detach().numpy()
    grad_a = grad_beta * betas(layer) * -np.exp(a)  # beta = exp(-exp(a))
    assert layer.a.grad.numpy() == pytest.approx(grad_a, rel=1e-11, abs=1e-13)


def test_the_gradient_is_that_of_autograd_through_the_steps_with_a_detached_reset():
    layer, u = layer_and_input(7)
    upstream = torch.randn(u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    beta = torch.exp(-torch.exp(layer.a))
    x, total = torch.zeros_like(u[..., 0]), torch.zeros(())
    for k in range(u.shape[-1]):
        v = beta * x + u[..., k]
        total = total + (v * upstream[..., k]).sum()
        x = v * (v <= 1).detach()
    wanted = torch.autograd.grad(total, (u, layer.a))
    found = torch.autograd.grad((layer(u) * upstream).sum(), (u, layer.a))
    for one, two in zip(found, wanted, strict=True):
        assert one.numpy() == pytest.approx(two.numpy(), rel=1e-12, abs=1e-14)


def test_scan_and_steps_are_equal_to_the_bit():
    layer, u = layer_and_input(3)
    recurrence = layer.recurrence()
    x, membranes = recurrence.initial(u), []
    for k in range(u.shape[-1]):
        x, v = recurrence.step(x, u[..., k])
        assert torch.equal(x, torch.where(v > 1, torch.zeros_like(v), v))
        membranes.append(v)
    assert torch.equal(torch.stack(membranes, -1), recurrence.scan(u))
    assert torch.equal(layer(u), recurrence.scan(u))


def test_a_sequence_of_one_step():
    layer, u = layer_and_input(steps=1)
    v = layer(u)
    assert torch.equal(v, u)
    v.sum().backward()
    assert torch.equal(u.grad, torch.ones_like(u)) and bool((layer.a.grad == 0).all())


def test_the_decay_is_computed_in_float64_and_used_in_the_models_precision():
    layer, _ = layer_and_input()
    exact = betas(layer)
    assert (layer.recurrence().beta.detach().numpy() == exact).all()
    single = layer.float().recurrence().beta
    assert single.dtype == torch.float32
    assert single.detach().numpy() == pytest.approx(exact, rel=2.0**-23)


def test_time_constants_start_log_uniform_between_the_inverse_steps():
    config = ModelConfig(channels=2000, cells="lif", dt_min=1e-3, dt_max=0.1)
    layer = LifLayer(config, torch.Generator().manual_seed(0))
    rate = layer.a.detach().numpy()
    assert (rate >= math.log(1e-3)).all() and (rate <= math.log(0.1)).all()
    deciles = np.quantile(rate, [0.1, 0.5, 0.9])
    expected = math.log(1e-3) + np.array([0.1, 0.5, 0.9]) * math.log(100)
    assert deciles == pytest.approx(expected, abs=0.2)


@torch.no_grad()
def test_a_network_of_lif_neurons_gives_membranes_before_the_reset():
    checkpoint = checkpoint_of(cells="lif", depth=1, norm="none")
    network = load_network(checkpoint).double()
    p = torch.from_numpy(samples_of(checkpoint).astype(np.int64))
    out = network(p)
    (v,), (s,) = out.membranes, out.outputs
    assert torch.equal(s, (v > 1).double()) and 0.02 < float(s.mean()) < 0.9
    beta = betas(network.blocks[0].ssm)
    u = network.encode(p).numpy()
    for (h, current), (_, found) in zip(neurons(u), neurons(v), strict=True):
        assert found.tolist() == pytest.approx(loop(current.tolist(), beta[h])[0], rel=1e-12)
