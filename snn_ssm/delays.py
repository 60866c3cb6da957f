"""Learned delays as whole steps: what training rounds when it evaluates. No torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def whole_delays(position: ArrayLike, largest: int) -> NDArray[np.int64]:
    """``rint(D / (1 + exp(-p)))``, D = ``largest``: the delays of positions p, in float64.

    Any shape; halves go to the even number.
    """
    p = np.asarray(position, np.float64)
    share = 1 / (1 + np.exp(-np.abs(p)))  # of |p|, which does not overflow
    return np.rint(largest * np.where(p < 0, 1 - share, share)).astype(np.int64)
