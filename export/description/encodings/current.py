"""``current``: each channel is a step current, its value as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.description.encodings.bits import integer_unit, integer_words, integers
from export.description.encodings.kind import Encoding, FloatArray

if TYPE_CHECKING:
    from export.description.parts import Source


def _reach(source: Source, matrix: FloatArray) -> FloatArray:
    peak = 2.0**source.bits - 1 if source.bits else np.inf
    with np.errstate(invalid="ignore"):
        return np.where(matrix == 0, 0.0, matrix * peak).sum(axis=1)


CURRENT = Encoding(
    "current",
    reach=_reach,
    values=integers,
    words=integer_words,
    unit=integer_unit,
    currents=True,
)
