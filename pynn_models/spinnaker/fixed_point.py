"""SpiNNaker's fixed-point formats, and its multiply, divide and exponential, on Python integers::

    s16.15: value = n / 2^15, n signed, 32 bits      membranes, currents, parameters
    Q0.31:  value = n / 2^31, n signed, 32 bits      poles of the native cell
    u0.32:  value = n / 2^32, n unsigned, 32 bits    decays of the stock synapse

Everything is scalar and exact, so that it can be read beside the formulas; only a cell's constants
need it. What runs at every tick is compiled (:mod:`.stock`, :mod:`.native`). The formulas were
checked against the ARM build that sPyNNaker 7.4.1 ships: every input of the exponential.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pynn_models.errors import SnnSsmError

Int64Array = NDArray[np.int64]

S1615_ONE = 1 << 15
INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1
UINT32_MAX = (1 << 32) - 1

_EXP_MIN = -340695  # below: e^x rounds to 0
_EXP_MAX = 363408  # above: e^x does not fit s16.15


class FixedPointError(SnnSsmError):
    """A number that SpiNNaker's formats or arithmetic cannot hold."""


def wrap32(n: int) -> int:
    """``((n + 2^31) mod 2^32) - 2^31``: what a signed 32-bit register keeps of an integer."""
    return ((n - INT32_MIN) & UINT32_MAX) + INT32_MIN


def to_s1615(value: float | decimal.Decimal | str, what: str = "value") -> int:
    """``K(x) = round(Decimal(str(x)) * 2^15)``, half to even: a number as sPyNNaker sends it.

    ``what`` names the number in the error. Raises `FixedPointError` outside [-65536, 65536) and
    for NaN or infinity. Source: sPyNNaker's data specification, measured.
    """
    try:
        exact = decimal.Decimal(str(value))
    except decimal.InvalidOperation as error:
        raise FixedPointError(
            f"{what} is {value!r}, expected a number, for example 1.5 or '1.5'."
        ) from error
    if exact.is_finite() and abs(exact) <= 1 << 17:
        with decimal.localcontext(prec=60):
            n = int((exact * S1615_ONE).to_integral_value(decimal.ROUND_HALF_EVEN))
        if INT32_MIN <= n <= INT32_MAX:
            return n
    raise FixedPointError(
        f"{what} is {value}, expected -65536 <= {what} < 65536, the range of s16.15. "
        "Rescale the neuron (weights, threshold and membrane together), or change the unit."
    )


def s1615_array(values: ArrayLike, what: str = "value") -> Int64Array:
    """`to_s1615` of every element; any shape. Raises `FixedPointError`, naming the element."""
    given = np.asarray(values)
    result = np.empty(given.shape, np.int64)
    for index in np.ndindex(given.shape):
        place = what + "".join(f"[{i}]" for i in index)
        result[index] = to_s1615(given[index].item(), place)
    return result


def from_s1615(n: ArrayLike) -> NDArray[np.float64]:
    """``x = n / 2^15``, exactly."""
    return np.asarray(n, np.float64) / S1615_ONE


def to_q031(values: ArrayLike, what: str = "value") -> NDArray[np.int32]:
    """``n = rint(x * 2^31)``, limited to +-(2^31 - 1); any shape.

    The limit makes -n representable and 1.0 into 1 - 2^-31. Raises `FixedPointError` for |x| > 1.
    """
    scaled = _scaled(values, 31, -1.0, 1.0, "Q0.31", what)
    return np.clip(scaled, -INT32_MAX, INT32_MAX).astype(np.int32)


def from_q031(n: ArrayLike) -> NDArray[np.float64]:
    """``x = n / 2^31``, exactly."""
    return np.ldexp(np.asarray(n, np.float64), -31)


def to_u032(values: ArrayLike, what: str = "value") -> NDArray[np.uint32]:
    """``n = rint(x * 2^32)``, limited to 2^32 - 1; any shape.

    Raises `FixedPointError` outside [0, 1].
    """
    scaled = _scaled(values, 32, 0.0, 1.0, "u0.32", what)
    return np.minimum(scaled, UINT32_MAX).astype(np.uint32)


def from_u032(n: ArrayLike) -> NDArray[np.float64]:
    """``x = n / 2^32``, exactly."""
    return np.ldexp(np.asarray(n, np.float64), -32)


def _scaled(
    values: ArrayLike, bits: int, low: float, high: float, name: str, what: str
) -> NDArray[np.float64]:
    given = np.asarray(values, np.float64)
    refused = ~((given >= low) & (given <= high))
    if refused.any():
        where = tuple(int(i) for i in np.argwhere(refused)[0])
        place = what + "".join(f"[{i}]" for i in where)
        raise FixedPointError(
            f"{place} is {given[where]}, expected {low:g} <= {what} <= {high:g} for {name}; "
            f"{int(refused.sum())} of {given.size} elements are refused. Only decaying modes "
            "and decays themselves have this format."
        )
    return np.asarray(np.rint(np.ldexp(given, bits)))


def kmul(a: int, b: int) -> int:
    """``(a b) >> 15`` of two s16.15 numbers: floor, the low 32 bits kept, no saturation."""
    return wrap32((a * b) >> 15)


def kdiv(a: int, b: int, what: str = "quotient") -> int:
    """``floor(a 2^15 / b)`` of two s16.15 numbers, a >= 0, b > 0.

    Raises `FixedPointError` for other signs (the board's compilers differ on them) and when the
    quotient does not fit s16.15.
    """
    if a < 0 or b <= 0:
        raise FixedPointError(
            f"{what}: {a / S1615_ONE:g} / {b / S1615_ONE:g}, expected a dividend >= 0 and a "
            f"divisor of at least {1 / S1615_ONE:g} (the smallest s16.15 number). Time constants, "
            "capacitances and timesteps must be positive, and not round to zero."
        )
    quotient = (a << 15) // b
    if quotient > INT32_MAX:
        raise FixedPointError(
            f"{what}: {a / S1615_ONE:g} / {b / S1615_ONE:g} is 65536 or more, out of the range of "
            "s16.15. Bring the two numbers closer together."
        )
    return quotient


def _rounded_exponential(numbers: Iterable[Any], complement: bool) -> tuple[int, ...]:
    one = decimal.Decimal(1)
    with decimal.localcontext(prec=60):
        values = [decimal.Decimal(x).exp() for x in numbers]
        scaled = [((one - v) if complement else v) * (1 << 32) for v in values]
        return tuple(int(v.to_integral_value(decimal.ROUND_HALF_EVEN)) for v in scaled)


_HIGH_FROM = -13
_HIGH = _rounded_exponential(range(_HIGH_FROM, 13), complement=False)  # e^z, z = -13..12
_MIDDLE = _rounded_exponential((-j / 16 for j in range(16)), complement=True)  # 1 - e^(-j/16)


def _product_u032(t: int, b: int) -> int:
    """``t b / 2^32`` of a 64-bit and a u0.32 number, the low half's product rounded to nearest."""
    low = (t & UINT32_MAX) * b
    return (low >> 32) + ((low >> 31) & 1) + (t >> 32) * b


def _low_part(y: int) -> int:
    """``1 - e^(-y / 2^32)`` in u0.32 for y < 2^28: a quadratic."""
    linear = 4293434720 - ((2081624032 * y) >> 32)
    return (5294 + ((linear * y) >> 32)) & UINT32_MAX


def _exp_u3232(n: int) -> int:
    """``e^(n / 2^15)`` with 32 fractional bits: high part times middle part times low part."""
    z = n >> 15
    fraction = n - (z << 15)
    if fraction == 0:
        return _HIGH[z - _HIGH_FROM]
    g = S1615_ONE - fraction  # e^x = e^(z+1) e^(-g/2^15), g in 1..2^15-1
    t = _HIGH[z + 1 - _HIGH_FROM]
    t -= _product_u032(t, _MIDDLE[g >> 11])
    return t - _product_u032(t, _low_part((g & 0x7FF) << 17))


def expk(n: int) -> int:
    """``e^x`` of an s16.15 number in s16.15; 0 below -10.397, the largest number above 11.090.

    Error: up to 1.03 units of the last place for x <= 0. Source: the board's own routine.
    """
    if n < _EXP_MIN:
        return 0
    return INT32_MAX if n > _EXP_MAX else _exp_u3232(n) >> 17


def expulr(n: int) -> int:
    """``e^x`` of an s16.15 number x <= 0 in u0.32, modulo 1 (so e^0 gives 0); 0 below -10.397.

    Error: up to 1.2e-6. Source: the board's own routine.
    """
    return 0 if n < _EXP_MIN else _exp_u3232(n) & UINT32_MAX


def ceil_s1615(n: int) -> int:
    """``ceil(n / 2^15)``, an integer."""
    return -(-n >> 15)
