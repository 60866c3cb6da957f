"""Initial modes and their discretisation: the paper's numbers, and what the equations imply."""

import cmath
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from pynn_models import SnnSsmError  # noqa: E402
from snn_ssm.model.modes import ModeError, discretise, init_log_dt, init_modes  # noqa: E402

INITS = ["s4d-lin", "s4d-inv", "s4d-legs", "s4d-real"]

poles = st.builds(complex, st.floats(-20, -1e-3), st.floats(-100, 100))
steps = st.floats(1e-6, 1.0)


def one(lam, dt, method, b=1.0 + 0.0j):
    """abar and bbar of a single mode, as Python numbers."""
    lam, b = (torch.tensor([[value]], dtype=torch.complex128) for value in (lam, b))
    abar, bbar = discretise(lam, b, torch.tensor([dt], dtype=torch.float64), method)
    return complex(abar[0, 0]), complex(bbar[0, 0])


@pytest.mark.parametrize("name", INITS)
def test_initial_modes_are_the_papers(vectors, name):
    expected = vectors[f"init_{name.removeprefix('s4d-')}_A"]  # complex64
    found = init_modes(name, 8).numpy()
    assert found.dtype == np.complex128 and found.shape == (8,)
    # The vectors were computed in complex64: a few roundings of the largest intermediate value.
    eps, size = 2.0**-23, 16
    intermediate = {
        "s4d-inv": size / np.pi * size / (2 * np.arange(8) + 1),  # before 1 is taken off
        "s4d-legs": np.abs(expected).max(),  # the norm of the matrix, for its eigenvalues
    }.get(name, np.abs(expected))
    assert (np.abs(found - expected) <= 2 * eps * intermediate).all()


def test_initial_input_weights_are_the_papers(vectors):
    for name in INITS:
        b = vectors[f"init_{name.removeprefix('s4d-')}_B"]
        assert (b == 1.0).all()


@pytest.mark.parametrize("n", [1, 2, 5, 32])
@pytest.mark.parametrize("name", INITS)
def test_every_initial_mode_decays(name, n):
    lam = init_modes(name, n)
    assert lam.shape == (n,) and lam.dtype == torch.complex128
    assert bool((lam.real < 0).all())
    assert len(set(lam.tolist())) == n


def test_legs_modes_are_the_eigenvalues_of_the_normal_part_of_hippo():
    size = 12
    k = np.arange(size)
    root = np.sqrt(2 * k + 1)
    hippo = -np.tril(root[:, None] * root[None, :], -1) - np.diag(k + 1.0)
    normal = hippo + root[:, None] * root[None, :] / 2
    eigenvalues = np.linalg.eigvals(normal)
    expected = sorted(eigenvalues[eigenvalues.imag < 0], key=lambda value: value.imag)
    found = init_modes("s4d-legs", size // 2).numpy()
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_legendre_modes_are_the_poles_of_the_rational_delay(n):
    """Pade's [d - 1 / d] of exp(-s): the memory's readout of the window's far end."""
    d = 2 * n
    p, f = d - 1, math.factorial
    expected = np.roots([
        f(p + d - j) * f(d) / (f(p + d) * f(j) * f(d - j)) for j in range(d, -1, -1)
    ])  # fmt: skip
    expected = sorted(expected[expected.imag > 0], key=lambda value: value.imag)
    found = init_modes("legt", n).numpy()
    assert len(found) == n and (found.real < 0).all()
    # The eigenvectors part ever less: of order 16 half of the digits are left.
    assert found == pytest.approx(expected, rel=1e-6 if n == 8 else 1e-10)


def test_an_unknown_initialisation_is_named_with_the_known_ones():
    with pytest.raises(ModeError, match=r"'s4d-cos'; use one of s4d-lin, s4d-inv, s4d-legs, s4d"):
        init_modes("s4d-cos", 4)


def test_initial_steps_span_the_range_and_follow_the_generator():
    drawn = [init_log_dt(2000, 1e-3, 1e-1, torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    dt = drawn[0].exp()
    assert bool(((dt >= 1e-3) & (dt <= 1e-1)).all())
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    # The logarithm is uniform: the median step is the geometric mean of the ends.
    assert float(drawn[0].median()) == pytest.approx(math.log(1e-2), abs=0.2)


@given(poles, steps)
def test_zoh_equals_its_equation(lam, dt):
    abar, bbar = one(lam, dt, "zoh")
    assert abar == pytest.approx(cmath.exp(lam * dt), rel=1e-14)
    z = lam * dt
    series = sum(z**k / math.factorial(k + 1) for k in range(30))  # (exp(z) - 1)/z, small z
    expected = dt * series if abs(z) < 1 else (cmath.exp(z) - 1) / lam
    assert bbar == pytest.approx(expected, rel=1e-14)


@given(poles, steps)
def test_bilinear_equals_its_equation(lam, dt):
    abar, bbar = one(lam, dt, "bilinear")
    assert abar == pytest.approx((1 + lam * dt / 2) / (1 - lam * dt / 2), rel=1e-14)
    assert bbar == pytest.approx(dt / (1 - lam * dt / 2), rel=1e-14)


@given(poles, st.floats(1e-6, 100.0), st.sampled_from(["zoh", "bilinear"]))
def test_a_decaying_mode_stays_inside_the_unit_circle(lam, dt, method):
    assert abs(one(lam, dt, method)[0]) < 1


@given(poles, st.floats(1e-4, 0.5))
def test_two_zoh_steps_are_one_of_twice_the_length(lam, dt):
    abar, bbar = one(lam, dt, "zoh")
    abar2, bbar2 = one(lam, 2 * dt, "zoh")
    assert abar2 == pytest.approx(abar**2, rel=1e-12, abs=1e-300)
    assert bbar2 == pytest.approx(abar * bbar + bbar, rel=1e-12)


def test_zoh_is_the_exact_integral_of_the_leaky_equation():
    lam, dt, u, x = -0.7 + 3.0j, 0.4, 1.3, 0.2 - 0.5j
    abar, bbar = one(lam, dt, "zoh")
    count = 2000
    h, state = dt / count, x
    for _ in range(count):  # Runge and Kutta's method of fourth order: error below 1e-13 here
        k1 = lam * state + u
        k2 = lam * (state + h / 2 * k1) + u
        k3 = lam * (state + h / 2 * k2) + u
        k4 = lam * (state + h * k3) + u
        state += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    assert abar * x + bbar * u == pytest.approx(state, rel=1e-12)


def test_bilinear_is_of_second_order():
    lam, time = -0.5 + 2.0j, 1.0
    errors = [
        abs(one(lam, time / count, "bilinear")[0] ** count - cmath.exp(lam * time))
        for count in (64, 128, 256)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.01)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize("method", ["zoh", "bilinear"])
def test_real_modes_are_complex_ones_without_imaginary_part(method):
    lam = -torch.rand(3, 4, dtype=torch.float64) - 0.1
    dt, b = torch.tensor([0.1, 0.5, 3.0], dtype=torch.float64), torch.ones(3, 4).double()
    real = discretise(lam, b, dt, method)
    cplx = discretise(lam + 0j, b + 0j, dt, method)
    for r, c in zip(real, cplx, strict=True):
        assert not r.is_complex()
        assert torch.allclose(r + 0j, c, rtol=1e-15, atol=0)


@pytest.mark.parametrize("bad", [0.0, 1e-9, math.nan, math.inf])
@pytest.mark.parametrize("imaginary", [0.0, 1.0])
def test_a_mode_that_does_not_decay_is_named(bad, imaginary):
    lam = torch.complex(torch.full((2, 3), -1.0), torch.full((2, 3), imaginary))
    lam.real[1, 2] = bad
    with pytest.raises(ModeError, match=r"mode \[1, 2\] has Re\(lambda\) = .*expected below 0"):
        discretise(lam, torch.ones(2, 3), torch.ones(2))
    with pytest.raises(ModeError, match=r"mode \[1, 2\]"):
        discretise(lam.real, torch.ones(2, 3), torch.ones(2))


def test_an_unknown_discretisation_is_named():
    with pytest.raises(ModeError, match="'euler'; use 'zoh' or 'bilinear'"):
        discretise(-torch.ones(1, 1), torch.ones(1, 1), torch.ones(1), "euler")


def test_errors_are_the_projects_own():
    assert issubclass(ModeError, SnnSsmError)
