"""The loop over steps with a reset: its equations by hand, and compiled as in plain torch."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.operators import WAYS, go_by  # noqa: E402

from snn_ssm.config import ModelConfig  # noqa: E402
from snn_ssm.model import operators, reset  # noqa: E402
from snn_ssm.model.delays import Recurrent  # noqa: E402
from snn_ssm.model.lif import LeakyRecurrence, _LeakyReset  # noqa: E402
from snn_ssm.model.operators import library  # noqa: E402
from snn_ssm.model.reset import Neurons, Resetting  # noqa: E402


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    go_by(monkeypatch, request.param)
    yield request.param
    library.loaded.cache_clear()


def drawn(is_complex, hard, batch=5, channels=3, length=77, modes=2, dtype=torch.float64):
    """u and the neurons, all with gradients."""
    generator = torch.Generator().manual_seed(3)
    kind = dtype.to_complex() if is_complex else dtype

    def normal(*shape, kind=dtype):
        return torch.randn(*shape, generator=generator, dtype=kind)

    poles = normal(channels, modes, kind=kind)
    found = [
        normal(batch, channels, length), 0.95 * poles / (1 + poles.abs()),
        normal(channels, modes, kind=kind), normal(channels), normal(channels).abs(),
        None if hard else 0.3 * normal(channels, modes, kind=kind),
    ]  # fmt: skip
    u, *neurons = [None if x is None else x.detach().requires_grad_() for x in found]
    return u, Neurons(*neurons)


def by_hand(u, abar, g, d, theta, r, refractory):
    """The equations of the module without what spikes do to others, a neuron at a time."""
    y, s = np.zeros(u.shape), np.zeros(u.shape)
    for b, h in itertools.product(range(u.shape[0]), range(u.shape[1])):
        x, spike, rest = np.zeros(abar.shape[1], abar.dtype), 0.0, 0
        for k in range(u.shape[2]):
            x = (x * (1 - spike) if r is None else x - r[h] * spike) * abar[h] + u[b, h, k]
            if rest and r is None:
                x = 0 * x
            y[b, h, k] = (g[h] * x).sum().real + d[h] * u[b, h, k]
            spike = float(y[b, h, k] > theta[h] and not rest)
            rest = refractory if spike else max(0, rest - 1)
            s[b, h, k] = spike
    return y, s


@pytest.mark.parametrize("refractory", [0, 1, 3])
@pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])
@pytest.mark.parametrize("is_complex", [True, False], ids=["complex", "real"])
def test_it_is_its_equations(way, is_complex, hard, refractory):
    inputs = drawn(is_complex, hard)
    y, s = reset.run(*inputs, Resetting(refractory))
    arrays = [None if x is None else x.detach().numpy() for x in (inputs[0], *inputs[1])]
    expected = by_hand(*arrays, refractory)
    assert np.abs(y.detach().numpy() - expected[0]).max() <= 1e-12
    assert (s.detach().numpy() == expected[1]).all() and 0.02 < s.mean() < 0.9


@pytest.mark.parametrize("through", [True, False])
@pytest.mark.parametrize("instant", [True, False])
@pytest.mark.parametrize("refractory", [0, 2])
@pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])
@pytest.mark.parametrize("is_complex", [True, False], ids=["complex", "real"])
def test_gradients_are_those_of_torchs_own(way, is_complex, hard, refractory, instant, through):
    how = Resetting(refractory, through, instant, "triangle", 0.7)
    inputs = drawn(is_complex, hard)
    leaves = [x for x in (inputs[0], *inputs[1]) if x is not None]
    weights = [torch.randn(inputs[0].shape, dtype=torch.float64) for _ in range(2)]

    def gradients(function):
        y, s = function(*inputs, how)
        return torch.autograd.grad((y * weights[0]).sum() + (s * weights[1]).sum(), leaves)

    for one, other in zip(gradients(reset.run), gradients(reset.steps), strict=True):
        assert float((one - other).abs().max()) <= 1e-12 * float(other.abs().max())


def parts(history, delays, per="axon"):
    """A history that matters, or None; a recurrent matrix whose spikes do, with delays that are
    still triangles of taps, or None."""
    torch.manual_seed(4)
    a = own = None
    if history:
        a = (2 / history * torch.rand(3, history, dtype=torch.float64)).requires_grad_()
    if delays is not None:
        config = ModelConfig(channels=3, recurrent_delays=delays, recurrent=True, delay_per=per)
        own = Recurrent(config).double()
        with torch.no_grad():
            own.weight *= 6
    return a, own


ACTING = [  # complex, hard, refractory, through, instant, history, delays
    (True, True, 0, True, False, 3, None), (False, False, 2, False, False, 3, None),
    (True, False, 0, True, False, 0, 0), (False, True, 0, False, False, 0, 0),
    (True, False, 2, False, False, 0, 4), (False, True, 2, True, False, 2, 4),
    (True, False, 0, True, True, 2, 4), (False, True, 2, True, True, 2, 0),
    (True, True, 2, True, False, 40, 90),  # longer than what is kept, and than the samples
]  # fmt: skip


@pytest.mark.parametrize("case", ACTING, ids=str)
def test_spikes_that_reach_others_or_their_own_threshold_are_torchs(way, case):
    is_complex, hard, refractory, through, instant, history, delays = case
    how = Resetting(refractory, through, instant, "triangle", 0.7)
    u, neurons = drawn(is_complex, hard, length=40)
    a, own = parts(history, delays)
    leaves = [x for x in (u, *neurons, a, *(own.parameters() if own else ())) if x is not None]
    weights = [torch.randn(u.shape, dtype=torch.float64) for _ in range(2)]
    found, expected = (f(u, neurons, how, a, own) for f in (reset.run, reset.steps))
    alone = reset.steps(u, neurons, how)[1]
    assert torch.equal(found[1], expected[1]) and 0.02 < found[1].mean() < 0.9
    assert (found[1] != alone).double().mean() > 0.01  # they do something
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=1e-12)

    def gradients(ys):
        return torch.autograd.grad(sum((w * x).sum() for w, x in zip(weights, ys, strict=True)),
                                   leaves)

    for one, other in zip(gradients(found), gradients(expected), strict=True):
        assert float((one - other).abs().max()) <= 1e-12 * float(other.abs().max())


def test_delays_a_synapse_go_by_plain_torch(way):
    a, own = parts(0, 4, "synapse")
    u, neurons = drawn(True, False)
    both = (f(u, neurons, Resetting(), a, own) for f in (reset.run, reset.steps))
    assert all(torch.equal(*pair) for pair in zip(*both, strict=True))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 31), (17, 1, 33), (2, 3, 64), (4, 4, 100)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leaky_neurons_of_any_shape_are_torchs_to_the_bit(way, shape, dtype):
    u = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    u, beta = u.requires_grad_(), torch.linspace(0.1, 0.99, shape[1], dtype=dtype).requires_grad_()
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=dtype)
    found = LeakyRecurrence(beta).scan(u)
    exact = _LeakyReset.apply(u.permute(2, 0, 1).contiguous(), beta, False).permute(1, 2, 0)
    assert torch.equal(found, exact)
    for one, other in zip(
        torch.autograd.grad((found * weight).sum(), (u, beta)),
        torch.autograd.grad((exact * weight).sum(), (u, beta)), strict=True,
    ):  # fmt: skip
        bound = 1e-5 if dtype == torch.float32 else 1e-12
        assert float((one - other).abs().max()) <= bound * float(other.abs().max())


def test_states_are_kept_every_few_steps_only(way):
    """Of 16 complex modes in plain torch's graph each step's are: by the operator 1 in 32."""
    inputs, sizes = drawn(True, False, 4, 8, 256, 16), []

    def noted(x):
        sizes.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(noted, lambda x: x):
        reset.run(*inputs, Resetting())
    assert (sum(sizes) > 16 * inputs[0].numel()) == (way == "plain")
    assert way == "plain" or sum(sizes) <= 4 * inputs[0].numel()


def test_a_surrogate_without_compiled_form_goes_by_plain_torch(way, monkeypatch):
    called = []
    monkeypatch.setattr(operators, "usable", lambda *a: called.append(a) or True)
    how = Resetting(surrogate="multi-gaussian")
    y, _ = reset.run(*drawn(False, True), how)
    assert y.shape == (5, 3, 77) and not any(len(a) > 1 for a in called)
