"""``levels``: integers of so many bits, ``floor((x - low) / (high - low) 2^bits)``, cut off.

What is below low has the least level, what is above high the largest.

Back: the middle of a level; the error is at most half a level, ``(high - low) / 2^(bits + 1)``, for
values from low to high.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig
from snn_ssm.tasks.encoders.kind import Encoder, FloatArray, State, ranges


def _onwards(x: FloatArray, task: TaskConfig, state: State) -> NDArray[Any]:
    return _encode(x, task)


def _encode(x: FloatArray, task: TaskConfig) -> NDArray[Any]:
    low, high = ranges(task)
    most = 2**task.encode_size
    level = np.clip(np.floor((x - low) / (high - low) * most), 0, most - 1)
    return level.astype(np.uint8 if task.encode_size <= 8 else np.uint16)


def _inverse(encoded: NDArray[Any], task: TaskConfig) -> FloatArray:
    low, high = ranges(task)
    return np.asarray(low + (encoded + 0.5) * (high - low) / 2**task.encode_size)


LEVELS = Encoder(
    "levels", channels=lambda size: 1, bits=lambda size: size, encode=_encode,
    onwards=_onwards, inverse=_inverse,
)
