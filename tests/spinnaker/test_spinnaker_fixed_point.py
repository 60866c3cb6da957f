"""SpiNNaker's formats and its exponential: the measured claims, and every refusal."""

import decimal
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pynn_models import SnnSsmError
from pynn_models.spinnaker import (
    FixedPointError,
    from_q031,
    from_s1615,
    from_u032,
    to_q031,
    to_s1615,
    to_u032,
)
from pynn_models.spinnaker.fixed_point import (
    ceil_s1615,
    expk,
    expulr,
    kdiv,
    kmul,
    s1615_array,
    wrap32,
)

INT32 = st.integers(-(2**31), 2**31 - 1)
EXPONENTS = [*range(-340695, 363409, 37), -340695, -32769, -32768, -32767, -1, 0, 1, 363408]


@given(INT32)
def test_every_s1615_number_goes_there_and_back(n):
    assert to_s1615(float(from_s1615(n))) == n


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 32768),
        (-0.5, -16384),
        ("0.0000152587890625", 0),  # half a unit: to even
        ("0.0000457763671875", 2),  # one and a half: to even
        (0.1, 3277),
        (65535.99998, 2**31 - 1),
        (-65536, -(2**31)),
        (np.float32(0.1), 3277),
    ],
)
def test_to_s1615_rounds_the_decimal_half_to_even(value, expected):
    assert to_s1615(value) == expected


@pytest.mark.parametrize("value", [65536, -65536.1, 1e300, math.nan, math.inf, "1e999999"])
def test_to_s1615_refuses_what_does_not_fit(value):
    with pytest.raises(FixedPointError, match=r"tau_m is .*expected -65536 <= tau_m < 65536"):
        to_s1615(value, "tau_m")


def test_to_s1615_refuses_words():
    with pytest.raises(SnnSsmError, match="'high', expected a number"):
        to_s1615("high")


def test_arrays_name_the_element():
    assert s1615_array([[1.0, 0.5]]).tolist() == [[32768, 16384]]
    with pytest.raises(FixedPointError, match=r"v_rest\[0\]\[1\] is 70000"):
        s1615_array([[1.0, 70000.0]], "v_rest")


def test_q031_and_u032():
    assert to_q031([-1.0, 0.5, 1.0]).tolist() == [-(2**31) + 1, 2**30, 2**31 - 1]
    assert to_u032([0.0, 0.5, 1.0]).tolist() == [0, 2**31, 2**32 - 1]
    assert from_q031(2**30) == 0.5
    assert from_u032(2**31) == 0.5
    assert from_q031(to_q031(0.999)) == pytest.approx(0.999, abs=2**-32)
    with pytest.raises(FixedPointError, match=r"abar\[1\] is 1.5, expected -1 <= abar <= 1"):
        to_q031([0.5, 1.5], "abar")
    with pytest.raises(FixedPointError, match="1 of 1 elements are refused"):
        to_u032(-0.1)
    with pytest.raises(FixedPointError, match="nan"):
        to_q031(math.nan)


@given(INT32, INT32)
def test_kmul_floors_and_wraps(a, b):
    exact = math.floor(decimal.Decimal(a * b) / 32768)
    assert (kmul(a, b) - exact) % 2**32 == 0
    assert -(2**31) <= kmul(a, b) < 2**31
    assert wrap32(kmul(a, b) + 2**32) == kmul(a, b)


@given(st.integers(0, 2**31 - 1), st.integers(1, 2**31 - 1))
@example(2**16, 1)
def test_kdiv_floors_or_refuses(a, b):
    exact = a * 32768 // b
    if exact < 2**31:
        assert kdiv(a, b) == exact
    else:
        with pytest.raises(FixedPointError, match="out of the range of s16.15"):
            kdiv(a, b)


@pytest.mark.parametrize(("a", "b"), [(-1, 1), (1, 0), (1, -1)])
def test_kdiv_refuses_other_signs(a, b):
    with pytest.raises(FixedPointError, match="cm: .* expected a dividend >= 0"):
        kdiv(a, b, "cm")


@given(st.integers(-(2**31), 2**31 - 1))
def test_ceil(n):
    assert ceil_s1615(n) == math.ceil(decimal.Decimal(n) / 32768)


def test_expk_is_within_1_03_units_where_decays_are():
    worst = max(abs(expk(n) - math.exp(n / 32768) * 32768) for n in EXPONENTS if n <= 0)
    assert 1.0 < worst < 1.035
    growing = max(abs(expk(n) / 32768 / math.exp(n / 32768) - 1) for n in EXPONENTS if n > 0)
    assert growing < 4e-5


def test_expulr_is_within_1_3e_6():
    worst = max(abs(expulr(n) / 2**32 - math.exp(n / 32768)) for n in EXPONENTS if n < 0)
    assert 1.0e-6 < worst < 1.25e-6


def test_exponentials_at_their_ends():
    assert expk(-340696) == expulr(-340696) == 0
    assert expk(-340695) > 0
    assert expk(363408) < expk(363409) == 2**31 - 1
    assert expk(0) == 32768
    assert expulr(0) == 0  # 1.0 does not fit u0.32: the board's trap for the slowest synapses
    assert expk(32768) == math.floor(math.e * 32768)


def test_exponential_table_entries_are_those_of_the_board():
    """Whole arguments come from a table: e^z rounded to 32 fractional bits."""
    for z in range(-10, 12):
        exact = decimal.Decimal(z).exp(decimal.Context(prec=40)) * 2**32
        assert expk(z * 32768) == int(exact.to_integral_value()) >> 17
