"""Quantisation-aware training: the grids, their ends, and gradients that pass straight through."""

import math
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from snn_ssm.model.quantise import (  # noqa: E402
    grid_decays,
    quantise_poles,
    quantise_weights,
    round_through,
)
from snn_ssm.poles import discretise, rounded_pole  # noqa: E402
from snn_ssm.poles import log_magnitude as poles_log_magnitude  # noqa: E402

entries = st.integers(-(10**6), 10**6).map(lambda n: n / 1000)
matrices = st.lists(entries, min_size=1, max_size=12)


def tensor(values, **options):
    return torch.tensor(values, dtype=torch.float64, **options)


def test_rounding_is_half_to_even_and_its_gradient_that_of_the_identity():
    x = tensor([0.5, 1.5, 2.5, -0.5, -1.5, 0.49, 7.0], requires_grad=True)
    rounded = round_through(x)
    assert rounded.tolist() == [0, 2, 2, 0, -2, 0, 7]
    upstream = tensor([1.0, -2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    (rounded * upstream).sum().backward()
    assert torch.equal(x.grad, upstream)


@given(values=matrices, bits=st.integers(2, 16))
def test_weights_are_signed_integers_times_one_scale(values, bits):
    found = quantise_weights(tensor(values), bits).numpy()
    weight = np.array(values)
    most = 2 ** (bits - 1) - 1
    q = np.abs(weight).max() / most
    if q == 0:
        assert (found == weight).all()
        return
    units = found / q
    assert np.abs(units - np.rint(units)).max() <= 1e-9 and np.abs(units).max() <= most + 1e-9
    assert (np.abs(found - weight) <= q / 2 * (1 + 1e-9)).all()
    assert found == pytest.approx(q * np.rint(weight / q), rel=1e-12, abs=0)


def test_the_largest_weight_keeps_its_value_and_both_signs_have_as_many_steps():
    weight = tensor([[-0.7, 0.7], [0.35, 0.1]])
    found = quantise_weights(weight, 3)
    assert found.flatten().tolist() == pytest.approx([-0.7, 0.7, 0.7 / 3 * 2, 0.0])
    assert quantise_weights(weight, 2).flatten().tolist() == pytest.approx([-0.7, 0.7, 0.0, 0.0])


def test_no_bits_and_no_weights_change_nothing():
    weight = torch.randn(3, 4)
    assert quantise_weights(weight, 0) is weight
    zeros = torch.zeros(3, 4, requires_grad=True)
    found = quantise_weights(zeros, 8)
    assert torch.equal(found, zeros)
    found.sum().backward()
    assert torch.equal(zeros.grad, torch.ones(3, 4))


@given(values=matrices, bits=st.integers(2, 16))
def test_the_gradient_of_rounded_weights_passes_straight_through(values, bits):
    weight = tensor(values, requires_grad=True)
    upstream = torch.arange(1.0, len(values) + 1, dtype=torch.float64)
    (quantise_weights(weight, bits) * upstream).sum().backward()
    assert weight.grad.numpy() == pytest.approx(upstream.numpy(), rel=1e-14)


def test_float32_weights_are_rounded_in_float64():
    weight = torch.randn(40, 40, generator=torch.Generator().manual_seed(0))
    exact = weight.double().numpy()
    q = np.abs(exact).max() / (2**15 - 1)
    found = quantise_weights(weight, 16)
    assert found.dtype == torch.float32
    assert (found.numpy() == (np.rint(exact / q) * q).astype(np.float32)).all()


@given(parts=st.lists(st.floats(-1, 1), min_size=2, max_size=10), rotates=st.booleans())
def test_poles_are_q0_31_part_by_part(parts, rotates):
    parts = np.array(parts[: len(parts) // 2 * 2])
    values = parts.view(np.complex128) if rotates else parts
    found = quantise_poles(torch.from_numpy(values.copy())).numpy()
    assert found.dtype == values.dtype and found.shape == values.shape
    units = np.rint(parts * 2.0**31)
    nearest = (units / 2.0**31).view(values.dtype)
    inside = np.abs(nearest) < 1 - 2.0**-31
    assert (found[inside] == nearest[inside]).all()
    assert (np.abs(found) < 1).all()
    assert (np.rint(found.view(np.float64) * 2.0**31) == found.view(np.float64) * 2.0**31).all()


def test_poles_end_inside_of_the_unit_circle():
    largest = (2**31 - 1) / 2**31
    ends = tensor([1.0, largest, 1 - 2.0**-33, -1.0, -1.0 - 2.0**-40, 2.0, -2.0, 0.0])
    expected = [largest, largest, largest, -largest, -largest, largest, -largest, 0.0]
    assert quantise_poles(ends).tolist() == expected


slow = st.floats(-60, -2)  # log of what a pole leaks in a step


@given(
    leaks=st.lists(slow, min_size=1, max_size=20),
    rotates=st.booleans(),
    seed=st.integers(0, 99),
)
def test_slow_poles_keep_leaking_and_lowering_has_the_same(leaks, rotates, seed):
    """Rounded to the nearest, a slow pole that rotates can be outside of the unit circle."""
    rate = np.exp(np.array(leaks))
    angle = np.random.default_rng(seed).uniform(-np.pi, np.pi, len(rate)) if rotates else 0.0
    abar = np.exp(-rate + 1j * angle)
    found = quantise_poles(torch.from_numpy(abar if rotates else abar.real.copy())).numpy()
    for pole in np.atleast_1d(found):
        re, im = (Fraction(float(v)) for v in (pole.real, pole.imag))
        assert re * re + im * im < 1  # exactly
    assert (np.abs(found - abar) <= 3 * 2.0**-31).all()  # to the circle, and towards zero
    lowered, log_magnitude = rounded_pole(abar)
    assert (lowered == found).all()
    assert (log_magnitude < 0).all()


@given(log_magnitude=st.floats(-20, -0.1), angle=st.floats(-3, 3))
def test_fast_poles_keep_their_digits_in_the_logarithm(log_magnitude, angle):
    """exp of it is |abar| to rounding, also where |abar|^2 is small beside 1."""
    abar = np.array([np.exp(log_magnitude + 1j * angle)])
    rounded, found = rounded_pole(abar)
    assert np.exp(found) == pytest.approx(np.abs(rounded), rel=1e-14)
    lam, dt = np.array([[-2.0 + 2.0 * np.exp(log_magnitude)]]) + 0j, np.ones(1)  # real, abar > 0
    (bilinear,), _ = discretise(lam, dt, "bilinear")
    found = poles_log_magnitude(lam, dt, "bilinear")
    assert np.exp(found[0]) == pytest.approx(np.abs(bilinear), rel=1e-14)


def test_the_nearest_pole_of_that_kind_can_grow():
    """Guards the test above."""
    angle = np.linspace(-np.pi, np.pi, 1001)
    units = np.rint(np.cos(angle) * 2.0**31) ** 2 + np.rint(np.sin(angle) * 2.0**31) ** 2
    assert (units > 2.0**62).mean() > 0.3


@pytest.mark.parametrize("kind", [torch.float64, torch.complex128])
def test_the_gradient_of_poles_passes_straight_through_beyond_the_ends_too(kind):
    generator = torch.Generator().manual_seed(1)
    poles = (2 * torch.randn(9, dtype=kind, generator=generator)).requires_grad_()
    upstream = torch.randn(9, dtype=kind, generator=generator)
    assert bool((poles.abs() > 1).any()) and bool((poles.abs() < 1).any())
    quantise_poles(poles).backward(upstream)
    assert torch.equal(poles.grad, upstream)


@given(log_rate=st.floats(math.log(1e-5), math.log(100)))
def test_decays_are_on_the_grid_of_stock_synapses(log_rate):
    rate = math.exp(log_rate)
    n = min(max(round(rate * 2**15), 66), 2**18)
    found = grid_decays(tensor([rate])).item()
    assert found == pytest.approx(math.exp(-n / 2**15), rel=1e-15)
    assert -math.log(found) * 2**15 == pytest.approx(n, rel=1e-9)


@pytest.mark.parametrize(("units", "n"), [
    (1.0, 66), (65.9, 66), (66.4, 66), (66.6, 67), (2**18 - 0.6, 2**18 - 1), (2**18, 2**18),
    (2**18 + 9, 2**18), (67.5, 68), (68.5, 68),
])
def test_the_slowest_and_the_fastest_decay(units, n):
    found = grid_decays(tensor([units / 2**15])).item()
    assert found == pytest.approx(math.exp(-n / 2**15), rel=1e-15)


def test_the_ends_are_496_steps_and_an_eighth_of_a_step():
    slowest, fastest = (-1 / math.log(v) for v in grid_decays(tensor([1e-9, 1e9])).tolist())
    assert slowest == pytest.approx(2**15 / 66, rel=1e-9) and 496 < slowest < 497
    assert fastest == pytest.approx(1 / 8, rel=1e-9)


def test_the_gradient_of_a_decay_is_that_of_the_exponential_within_the_ends_and_none_beyond():
    rate = tensor([1e-4, 0.05, 0.7, 3.0, 9.0], requires_grad=True)
    found = grid_decays(rate)
    found.sum().backward()
    assert rate.grad[1:4].tolist() == pytest.approx((-found[1:4]).tolist(), rel=1e-14)
    assert rate.grad[[0, 4]].tolist() == [0.0, 0.0]
