"""``bits``: a B-bit integer channel is B spike sources; source j weighs 2^j times the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.description.encodings.kind import Encoding, FloatArray, Values

if TYPE_CHECKING:
    from export.description.parts import Source


def integers(source: Source) -> Values:
    """A channel of ``source.bits`` bits; any number where it has none."""
    words = f"integers of {source.bits} bits"
    limit = 2**source.bits if source.bits else 0
    return Values(limit, words, "Quantise the samples as in training.")


def integer_words(source: Source) -> str:
    """What such a channel carries."""
    return f"{source.bits}-bit integers" if source.bits else "real values"


def integer_unit(source: Source) -> str:
    """The axis label of its values."""
    return f"value\n({source.bits}-bit integer)" if source.bits else "value\n(dimensionless)"


def bit_planes(source: Source, samples: NDArray[Any]) -> NDArray[np.uint8]:
    """``s[b, k, c bits + j] = bit j of p[b, c, k]``: (B, C, L) -> (B, L, C bits)."""
    values = samples.transpose(0, 2, 1).astype(np.int64)[..., None]  # (B, L, C, 1)
    planes = (values >> np.arange(source.bits)) & 1  # (B, L, C, bits)
    return planes.reshape(*planes.shape[:2], -1).astype(np.uint8)


def _expand(source: Source, matrix: FloatArray) -> FloatArray:
    powers = 2.0 ** np.arange(source.bits)
    return (matrix[..., None] * powers).reshape(len(matrix), -1)  # (H, C bits)


BITS = Encoding(
    "bits",
    size=lambda source: source.channels * source.bits,
    emit=bit_planes,
    expand=_expand,
    values=integers,
    words=integer_words,
    unit=integer_unit,
    integers=True,
)
