"""``delta``: a spike up or down moves an estimate by a step towards the signal.

With the step ``q = (high - low) / 2^size`` and r = low before the first step::

    up[k] = x[k] - r[k-1] >= q,   down[k] = r[k-1] - x[k] >= q
    r[k] = r[k-1] + q (up[k] - down[k])

Back: r. Its error is below q wherever the signal has moved by no more than q a step since the
estimate last was that near.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig
from snn_ssm.tasks.encoders.kind import Encoder, FloatArray, State, ranges, signed


def _step(task: TaskConfig) -> FloatArray:
    low, high = ranges(task)
    return np.asarray((high - low) / 2**task.encode_size)  # (C, 1)


def _encode(x: FloatArray, task: TaskConfig) -> NDArray[Any]:
    return _onwards(x, task, {})


def _onwards(x: FloatArray, task: TaskConfig, state: State) -> NDArray[Any]:
    low, _ = ranges(task)
    q = _step(task)[:, 0]
    # The estimate as a whole number of steps, so that no rounding adds up.
    at = state.get("at", np.zeros(x.shape[:2], np.int64)).copy()
    up, down = np.zeros(x.shape, np.bool_), np.zeros(x.shape, np.bool_)
    for k in range(x.shape[-1]):
        away = x[..., k] - (low[:, 0] + at * q)
        up[..., k], down[..., k] = away >= q, -away >= q
        at += up[..., k].astype(np.int64) - down[..., k]
    state["at"] = at
    return signed(up, down)


def _inverse(encoded: NDArray[Any], task: TaskConfig) -> FloatArray:
    low, _ = ranges(task)
    up, down = np.split(encoded.astype(np.int64), 2, axis=1)
    return np.asarray(low + (up - down).cumsum(-1) * _step(task))


DELTA = Encoder(
    "delta", channels=lambda size: 2, bits=lambda size: 1, encode=_encode, onwards=_onwards,
    inverse=_inverse,
)
