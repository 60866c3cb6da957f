"""Spike functions: strict at the threshold, and the surrogate gradients' formulas."""

import math

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from snn_ssm.spiking import SpikeFunctionError, arctan, fast_sigmoid, heaviside  # noqa: E402

FORMULAS = {
    "fast-sigmoid": lambda y, slope: 1 / (1 + slope * abs(y)) ** 2,
    "arctan": lambda y, slope: 1 / (1 + (math.pi / 2 * slope * y) ** 2),
}
FUNCTIONS = {"fast-sigmoid": fast_sigmoid, "arctan": arctan}

membranes = st.floats(-1e3, 1e3)
slopes = st.floats(0.1, 100)


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
    assert value.grad.item() == pytest.approx(upstream * FORMULAS[name](y, slope), rel=1e-13)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_gradient_is_one_at_the_threshold_and_symmetric(name):
    y = torch.tensor([-0.3, 0.0, 0.3], requires_grad=True)
    FUNCTIONS[name](y).sum().backward()
    assert y.grad[1] == 1.0 and y.grad[0] == y.grad[2] < 1.0


def test_the_membrane_is_not_changed_by_the_backward_pass():
    y = torch.tensor([-0.5, 0.5], requires_grad=True)
    kept = y.detach().clone()
    fast_sigmoid(y).sum().backward()
    arctan(y).sum().backward()
    assert torch.equal(y.detach(), kept)


def test_an_unknown_surrogate_is_named_with_the_known_ones():
    with pytest.raises(SpikeFunctionError, match="'relu'; use one of fast-sigmoid, arctan"):
        heaviside(torch.zeros(1), "relu", 1.0)
