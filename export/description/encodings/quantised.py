"""``quantised``: real values in fixed point, ``x ~ q 2^-f``; a bit of q is a spike source.

q is a signed integer of B bits in two's complement: source j of a channel weighs 2^j units of it,
and the top one, j = B - 1, -2^(B - 1). So 0 stays 0, and silent; f is a channel's own. What is
rounded is off by half a unit at most, ``2^-f / 2``; what is beyond the range is cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.description.encodings.kind import Encoding, FloatArray

if TYPE_CHECKING:
    from export.description.parts import Source


def ends(bits: int) -> tuple[int, int]:
    """The least and the largest integer of so many bits."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def units(source: Source) -> FloatArray:
    """What a channel's integers count in, ``2^-f``, (C, 1)."""
    return np.ldexp(1.0, -np.array(source.fraction))[:, None]


def quantise(source: Source, samples: NDArray[Any]) -> NDArray[np.int64]:
    """``q = rint(x 2^f)``, cut off at the range's ends; ties go to the even one; (..., C, L)."""
    with np.errstate(over="ignore"):
        scaled = np.asarray(samples, np.float64) / units(source)  # by a power of two: exact
    return np.clip(np.rint(scaled), *ends(source.bits)).astype(np.int64)


def values_of(source: Source, integers: NDArray[np.int64]) -> FloatArray:
    """``q 2^-f``: what the integers (..., C, L) stand for, exactly."""
    return integers * units(source)


def bits_of(source: Source, integers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """``s[b, k, c B + j] = bit j of q[b, c, k]``: (B, C, L) -> (B, L, C B)."""
    planes = (integers.transpose(0, 2, 1)[..., None] >> np.arange(source.bits)) & 1
    return planes.reshape(*planes.shape[:2], -1).astype(np.uint8)


def weights_of_bits(bits: int) -> NDArray[np.int64]:
    """What the bits of an integer weigh, the lowest first: (B,)."""
    found = 2 ** np.arange(bits)
    found[-1] *= -1
    return found


def _expand(source: Source, matrix: FloatArray) -> FloatArray:
    return (matrix[..., None] * weights_of_bits(source.bits)).reshape(len(matrix), -1)  # (H, C B)


QUANTISED = Encoding(
    "quantised",
    size=lambda source: source.channels * source.bits,
    emit=lambda source, samples: bits_of(source, quantise(source, samples)),
    expand=_expand,
    # Whatever sums lie on the way count: with both signs the bits reach further than a value.
    reach=lambda source, matrix: np.abs(matrix).sum(axis=1),
    words=lambda source: "real values",
    unit=lambda source: "value\n(dimensionless)",
    integers=True,
    fractions=True,
)
