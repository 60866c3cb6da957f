"""``crossings``: a spike where a signal crosses a threshold, of its own for up and for down.

Thresholds ``theta_j = low + (j + 1) (high - low) / (T + 1)``, a channel T = ``encode_size``.
Channel (direction, c, j) spikes at step k where ``x[k-1] < theta_j <= x[k]`` (up) or
``x[k] < theta_j <= x[k-1]`` (down); before the first step x is low. Back: the middle between the
thresholds that the signal is between; the error is at most half their distance, for values from low
to high.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig
from snn_ssm.tasks.encoders.kind import Encoder, FloatArray, State, ranges, signed


def _encode(x: FloatArray, task: TaskConfig) -> NDArray[Any]:
    return _onwards(x, task, {})


def _onwards(x: FloatArray, task: TaskConfig, state: State) -> NDArray[Any]:
    low, high = ranges(task)
    count = task.encode_size
    theta = low + (high - low) * np.arange(1, count + 1) / (count + 1)  # (C, T)
    above = x[:, :, None] >= theta[..., None]  # (B, C, T, L)
    above = above.reshape(len(x), -1, x.shape[-1])
    last = state.get("above", np.zeros_like(above[..., :1]))
    before = np.concatenate([last, above], axis=-1)
    state["above"], before = before[..., -1:], before[..., :-1]
    return signed(above & ~before, before & ~above)


def _inverse(encoded: NDArray[Any], task: TaskConfig) -> FloatArray:
    low, high = ranges(task)
    up, down = np.split(encoded.astype(np.int64), 2, axis=1)  # (B, C T, L)
    steps = (up - down).cumsum(-1).reshape(len(up), len(low), -1, encoded.shape[-1]).sum(2)
    return np.asarray(low + (steps + 0.5) * (high - low) / (task.encode_size + 1))


CROSSINGS = Encoder(
    "crossings", channels=lambda size: 2 * size, bits=lambda size: 1, encode=_encode,
    onwards=_onwards, inverse=_inverse,
)
