"""Spike functions: strict at the threshold, and the surrogate gradients' formulas."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from scipy.special import expit  # noqa: E402
from scipy.stats import norm  # noqa: E402
from torch.func import functional_call  # noqa: E402

from snn_ssm.config import SPIKES, SURROGATES, ModelConfig, TrainingConfig  # noqa: E402
from snn_ssm.model.block import Block  # noqa: E402
from snn_ssm.model.spiking import (  # noqa: E402
    SpikeFunctionError,
    arctan,
    bernoulli,
    count,
    fast_sigmoid,
    heaviside,
    integer,
    multi_gaussian,
    step_threshold,
    ternary,
    triangle,
)
from snn_ssm.training.optimisation import parameter_groups  # noqa: E402


def multi_gaussian_formula(y, slope):
    x = slope * y
    lobes = norm.pdf(x, 0.5, 3.0) + norm.pdf(x, -0.5, 3.0)
    return 0.5 * (1.15 * norm.pdf(x, 0.0, 0.5) - 0.15 * lobes)


FORMULAS = {
    "fast-sigmoid": lambda y, slope: 1 / (1 + slope * abs(y)) ** 2,
    "arctan": lambda y, slope: 1 / (1 + (math.pi / 2 * slope * y) ** 2),
    "triangle": lambda y, slope: max(0.0, 1 - slope * abs(y)),
    "multi-gaussian": multi_gaussian_formula,
}
FUNCTIONS = {
    "fast-sigmoid": fast_sigmoid,
    "arctan": arctan,
    "triangle": triangle,
    "multi-gaussian": multi_gaussian,
}
UNIT_HEIGHT = ("fast-sigmoid", "arctan", "triangle")

membranes = st.floats(-1e3, 1e3)
slopes = st.floats(0.1, 100)


def test_every_surrogate_of_the_configuration_is_there():
    assert set(FORMULAS) == set(SURROGATES) == set(FUNCTIONS)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_spike_is_strictly_above_zero(name):
    tiny = 5e-324
    y = torch.tensor([-1.0, -tiny, -0.0, 0.0, tiny, 1.0], dtype=torch.float64)
    s = FUNCTIONS[name](y)
    assert s.tolist() == [0, 0, 0, 0, 1, 1] and s.dtype == y.dtype


def test_nan_is_no_spike():
    assert fast_sigmoid(torch.tensor([math.nan])).tolist() == [0.0]


def test_fast_sigmoid_is_the_papers(vectors):
    y = torch.from_numpy(vectors["fast_sigmoid_x"]).requires_grad_()
    s = fast_sigmoid(y, 25.0)
    s.sum().backward()
    assert (s.detach().numpy() == vectors["fast_sigmoid_forward"]).all()
    assert y.grad.numpy() == pytest.approx(vectors["fast_sigmoid_grad"], rel=4 * 2.0**-23)


@pytest.mark.parametrize("name", FORMULAS)
@given(y=membranes, slope=slopes, upstream=membranes)
def test_the_surrogate_gradient_is_its_formula(name, y, slope, upstream):
    value = torch.tensor([y], dtype=torch.float64, requires_grad=True)
    out = heaviside(value, name, slope)
    assert out.item() == float(y > 0)
    (out * upstream).sum().backward()
    assert value.grad.item() == pytest.approx(
        upstream * FORMULAS[name](y, slope), rel=1e-12, abs=1e-13
    )


@pytest.mark.parametrize("name", FORMULAS)
@given(y=st.floats(-2, 2), slope=st.floats(0.1, 4))
def test_it_is_the_formula_near_the_threshold_too(name, y, slope):
    value = torch.tensor([y], dtype=torch.float64, requires_grad=True)
    heaviside(value, name, slope).sum().backward()
    assert value.grad.item() == pytest.approx(FORMULAS[name](y, slope), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", FORMULAS)
def test_each_function_is_the_step_with_the_slope_of_its_source_or_the_one_given(name):
    slope = {"fast-sigmoid": 25.0, "arctan": 2.0, "triangle": 1.0, "multi-gaussian": 1.0}[name]
    y = torch.linspace(-0.9, 0.9, 7, dtype=torch.float64, requires_grad=True)
    FUNCTIONS[name](y).sum().backward()
    expected = [FORMULAS[name](v, slope) for v in y.tolist()]
    assert y.grad.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-15)
    y.grad = None
    FUNCTIONS[name](y, 3.0).sum().backward()
    expected = [FORMULAS[name](v, 3.0) for v in y.tolist()]
    assert y.grad.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_gradient_is_symmetric_and_largest_at_the_threshold(name):
    y = torch.tensor([-0.3, 0.0, 0.3], requires_grad=True)
    FUNCTIONS[name](y).sum().backward()
    assert y.grad[0] == y.grad[2] < y.grad[1]
    assert (y.grad[1] == 1.0) == (name in UNIT_HEIGHT)


def test_the_multi_gaussian_has_negative_side_lobes():
    y = torch.tensor([0.0, 1.5, 3.0], dtype=torch.float64, requires_grad=True)
    multi_gaussian(y).sum().backward()
    assert y.grad[0] > 0 > y.grad[2] and y.grad[1] < 0


@pytest.mark.parametrize("name", FORMULAS)
def test_the_membrane_is_not_changed_by_the_backward_pass(name):
    y = torch.tensor([-0.5, 0.5], requires_grad=True)
    kept = y.detach().clone()
    FUNCTIONS[name](y).sum().backward()
    assert torch.equal(y.detach(), kept)


@pytest.mark.parametrize("spikes", [
    lambda name: heaviside(torch.zeros(1), name, 1.0),
    lambda name: ternary(torch.zeros(1), torch.ones(1), name, 1.0),
], ids=["heaviside", "ternary"])
def test_an_unknown_surrogate_is_named_with_the_known_ones(spikes):
    known = "fast-sigmoid, arctan, triangle, multi-gaussian"
    with pytest.raises(SpikeFunctionError, match=f"'relu'; use one of {known}"):
        spikes("relu")


@given(y=st.floats(-3, 3), delta=st.floats(1e-3, 2))
def test_ternary_spikes_are_the_membranes_signs_beyond_delta(y, delta):
    s = ternary(torch.tensor([y]).double(), torch.tensor([delta]).double(), "arctan", 2.0)
    assert s.item() == (0 if abs(y) <= delta else math.copysign(1, y))


def test_ternary_spikes_are_strict_at_both_thresholds():
    delta = torch.tensor([0.1], dtype=torch.float64)
    above = torch.nextafter(delta, torch.ones(1).double())
    y = torch.cat([-above, -delta, torch.zeros(1).double(), delta, above])
    assert ternary(y, delta, "triangle", 1.0).tolist() == [-1, 0, 0, 0, 1]
    assert ternary(torch.tensor([math.nan]), delta, "triangle", 1.0).tolist() == [0.0]


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("shape", [(2, 1, 5), (3, 1), (2, 3, 5), ()], ids=str)
def test_ternary_gradients_are_their_formulas(name, shape):
    generator = torch.Generator().manual_seed(2)
    y = torch.randn(2, 3, 5, dtype=torch.float64, generator=generator).requires_grad_()
    delta = (torch.rand(shape, dtype=torch.float64, generator=generator) + 0.1).requires_grad_()
    upstream = torch.randn(2, 3, 5, dtype=torch.float64, generator=generator)
    (ternary(y, delta, name, 1.7) * upstream).sum().backward()
    formula = np.vectorize(lambda v: FORMULAS[name](v, 1.7))
    membrane = y.detach().numpy()
    threshold = np.broadcast_to(delta.detach().numpy(), membrane.shape)
    above, below = formula(membrane - threshold), formula(-membrane - threshold)
    grad = upstream.numpy()
    assert y.grad.numpy() == pytest.approx(grad * (above + below), rel=1e-11, abs=1e-14)
    one_each = torch.from_numpy(grad * (below - above)).sum_to_size(shape)  # delta is shared
    assert delta.grad.shape == shape
    assert delta.grad.numpy() == pytest.approx(one_each.numpy(), rel=1e-11, abs=1e-13)


def test_the_step_threshold_is_a_share_of_the_largest_membrane_and_constant():
    y = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    delta = step_threshold(y)
    membrane = y.detach().numpy()
    assert delta.shape == (2, 1, 3) and not delta.requires_grad
    assert delta[:, 0].numpy() == pytest.approx(0.15 * np.abs(membrane).max(1), rel=1e-15)
    ternary(y, delta, "triangle", 2.0).sum().backward()
    bumps = sum(
        np.maximum(0, 1 - 2 * np.abs(sign * membrane - delta.numpy())) for sign in (1, -1)
    )
    assert y.grad.numpy() == pytest.approx(bumps, rel=1e-12, abs=1e-15)


def test_bernoulli_spikes_have_the_mean_and_the_gradient_of_the_sigmoid():
    levels = torch.linspace(-3, 3, 5, dtype=torch.float64)
    y = levels.repeat(4000, 1).requires_grad_()
    torch.manual_seed(0)
    s = bernoulli(y)
    assert set(s.unique().tolist()) == {0.0, 1.0} and s.dtype == torch.float64
    p = expit(levels.numpy())
    # Five standard deviations of a mean of 4000.
    assert (np.abs(s.mean(0).detach().numpy() - p) < 5 * np.sqrt(p * (1 - p) / 4000)).all()
    (s * 3.0).sum().backward()
    assert y.grad[17].numpy() == pytest.approx(3 * p * (1 - p), rel=1e-12)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9), st.integers(1, 300))
def test_integer_spikes_count_the_steps_below(values, levels):
    y = torch.tensor(values, dtype=torch.float64)
    expected = [sum(value > j - 0.5 for j in range(1, levels + 1)) for value in values]
    assert integer(y, levels).tolist() == expected
    assert count(y, torch.tensor(0.5), levels).tolist() == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_integer_spike_is_strictly_above_its_step(dtype):
    steps = torch.arange(4, dtype=dtype) + 0.5
    above = torch.nextafter(steps, torch.full_like(steps, 9.0))
    assert integer(steps, 4).tolist() == [0, 1, 2, 3] == count(steps, steps[:1], 4).tolist()
    assert integer(above, 4).tolist() == [1, 2, 3, 4] == count(above, steps[:1], 4).tolist()


def test_the_gradient_of_integer_spikes_is_one_within_half_a_step_of_their_range():
    values = [-9.0, -0.51, -0.49, 0.0, 0.5, 1.7, 3.49, 3.51, 9.0]
    y = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    (integer(y, 3) * torch.arange(1.0, 10.0)).sum().backward()
    assert y.grad.tolist() == [0, 0, 3, 4, 5, 6, 7, 0, 0]


def block_of(**changes):
    return Block(ModelConfig(channels=3, **changes), torch.Generator().manual_seed(0))


def membranes_of_a_block():
    return torch.linspace(-4, 4, 2 * 3 * 11, dtype=torch.float64).reshape(2, 3, 11)


def test_a_block_draws_bernoulli_spikes_in_training_only():
    y, block = membranes_of_a_block(), block_of(activation="bernoulli")
    torch.manual_seed(0)
    drawn = block.activate(y)
    torch.manual_seed(0)
    assert torch.equal(drawn, bernoulli(y)) and not torch.equal(drawn, (y > 0).double())
    assert torch.equal(block.eval().activate(y), (y > 0).double())


@pytest.mark.parametrize(("activation", "formula"), [
    ("heaviside", lambda y: y > 0),
    ("integer", lambda y: sum(y > j - 0.5 for j in range(1, 5))),
    ("ternary", lambda y: np.sign(y) * (np.abs(y) > 0.15 * np.abs(y).max(1, keepdims=True))),
    ("ternary-constant", lambda y: np.sign(y) * (np.abs(y) > 0.5)),
    ("sigmoid", expit),
    ("tanh", np.tanh),
    ("hard-sigmoid", lambda y: np.clip(y / 6 + 0.5, 0, 1)),
    ("relu", lambda y: np.maximum(y, 0)),
    ("gelu", lambda y: y * norm.cdf(y)),
    ("identity", lambda y: y),
])
def test_each_activation_of_a_block_is_its_formula(activation, formula):
    y = membranes_of_a_block()
    s = block_of(activation=activation).double().activate(y)
    expected = formula(y.numpy()).astype(float)
    assert s.detach().numpy() == pytest.approx(expected, rel=1e-12, abs=1e-13)
    if activation in SPIKES:
        assert (s.detach().numpy() == expected).all()


def test_a_lif_block_spikes_above_one():
    above = np.nextafter(1.0, 2.0)
    y = torch.tensor([[[0.5, 1.0, above, -3.0]] * 3], dtype=torch.float64, requires_grad=True)
    s = block_of(cells="lif", surrogate="triangle", surrogate_slope=1.0).activate(y)
    assert s[0, 0].tolist() == [0, 0, 1, 0]
    s.sum().backward()
    assert y.grad[0, 0].tolist() == pytest.approx([0.5, 1.0, 1.0, 0.0])


def test_a_constant_threshold_is_a_parameter_of_each_channel():
    y, block = membranes_of_a_block(), block_of(activation="ternary-constant")
    with torch.no_grad():
        block.log_threshold.copy_(torch.log(torch.tensor([0.2, 1.0, 3.0])))
    block.double()
    s = block.activate(y).detach()
    delta = np.exp(block.log_threshold.detach().numpy())[:, None]
    assert (s.numpy() == np.sign(y.numpy()) * (np.abs(y.numpy()) > delta)).all()
    (block.activate(y) * torch.rand_like(y)).sum().backward()
    assert bool((block.log_threshold.grad != 0).all())


def test_a_norm_on_the_membrane_is_a_batch_norm_that_is_trained_without_decay():
    y, block = membranes_of_a_block(), block_of(membrane_norm=True).double()
    normed = block.membrane(y).detach().numpy()
    assert normed.mean((0, 2)) == pytest.approx(0, abs=1e-12)
    assert normed.var((0, 2)) == pytest.approx(1, rel=1e-4)
    assert block_of().membrane(y) is y
    groups = parameter_groups(block, TrainingConfig())
    plain = {id(p) for p in groups[1]["params"]}
    assert id(block.membrane_norm.weight) in plain and id(block.norm.weight) in plain


def test_a_learned_step_of_quantisation_is_the_gain_of_the_membrane():
    """``v = q s(y / q)`` is s of a membrane of gain 1/q, mixed by weights of q W; q (H,).

    So the step that others learn (LSQ, Esser et al. 2020) is learned here, as the norm's weight:
    the same values, and by the chain rule the published gradient of q, which is s - y/q where the
    clamping leaves y/q, and s outside.
    """
    levels, block = 3, block_of(activation="integer", spike_levels=3, membrane_norm=True).double()
    norm_, mixing = block.membrane_norm, block.mixing
    with torch.no_grad():
        norm_.weight.copy_(torch.tensor([1.0, 2.0, 4.0]))
        norm_.bias.copy_(torch.tensor([-0.2, 1.0, 1.5]))
    generator = torch.Generator().manual_seed(2)
    y, weight = torch.randn(2, 4, 3, 50, generator=generator, dtype=torch.float64)
    q = torch.tensor([0.5, 1.3, 2.0], dtype=torch.float64, requires_grad=True)

    membrane = norm_(y).detach()
    published = mixing(membrane, q[:, None] * integer(membrane / q[:, None], levels))

    gained = {"weight": norm_.weight.detach() / q, "bias": norm_.bias.detach() / q}
    own = functional_call(norm_, gained, y)
    s = block.activate(own)
    o = functional_call(mixing, {"weight": mixing.weight.detach() * q}, (own, s))
    assert torch.equal(s.unique(), torch.arange(levels + 1.0, dtype=torch.float64))
    torch.testing.assert_close(o, published, rtol=1e-12, atol=1e-12)

    ratio = membrane / q.detach()[:, None]
    inside = (ratio > -0.5) & (ratio < levels + 0.5)
    of_v = torch.einsum("hj,bht->bjt", mixing.weight.detach(), weight)  # dL/dv
    expected = (of_v * (s - ratio * inside)).sum((0, 2)).detach()
    for out in (o, published):
        (found,) = torch.autograd.grad((out * weight).sum(), q)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
