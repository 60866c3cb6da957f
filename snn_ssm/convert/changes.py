"""What an array of the source goes through on its way to a checkpoint's.

With x the source's array, or -x where the map says ``negate``, and T its ``transform``:

    a = log T(x),   log_dt = log T(x),   omega = T(x) or -T(x), as the layout says,
    b, c = x, or its complex conjugate (``conjugate``),   d = x.

T is the identity for omega, and exp for a and log_dt, which leaves x as it is, unless the map says
otherwise: S4's kernels have A_real, A_imag and dt as one of these functions of what they train.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0) + 1e-4  # as S4 has it: a rate of 0 would not decay


def _sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


TRANSFORMS: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {
        "exp": np.exp, "softplus": _softplus, "relu": _relu, "sigmoid": _sigmoid,
        "none": lambda x: x,
    }
)
_LOGARITHMS = ("a", "log_dt")
_COMPLEX = ("b", "c")


def fields_of(leaf: str) -> tuple[str, ...]:
    """What the map can say of the array that becomes this parameter of a mode."""
    if leaf in _COMPLEX:
        return "name", "negate", "conjugate"
    return ("name", "negate") if leaf == "d" else ("name", "negate", "transform")


@dataclass(frozen=True)
class Change:
    """What the map says of one array; ``negate`` None and ``transform`` "": nothing.

    ``turned``: the layout's rotation has the other sign.
    """

    negate: bool | None = None
    conjugate: bool = False
    transform: str = ""
    turned: bool = False

    def apply(self, leaf: str, x: Array) -> Array:
        """A mode's parameter ``leaf`` from x, in float64; complex numbers are (..., 2), (re, im).

        A rate or step that is not positive comes out as NaN or infinite.
        """
        x = -x if self.negate else x
        if self.conjugate:
            return x * np.array([1.0, -1.0])
        if leaf in _LOGARITHMS and self.transform not in ("", "exp"):
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.log(TRANSFORMS[self.transform](x))
        if leaf == "omega":
            with np.errstate(over="ignore"):
                x = TRANSFORMS[self.transform or "none"](x)
            return -x if self.turned else x
        return x
