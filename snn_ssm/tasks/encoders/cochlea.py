"""``cochlea``: sound as the spikes of a bank of resonators, half-wave rectified.

Of ``encode_size`` bands, their centres evenly spaced in the logarithm of the frequency from
``encode_low`` to ``encode_high`` (Hz), each two poles and as wide as the distance to the next one.
The rectified band is averaged over ``encode_hop`` steps, e, and its power 1/3, as an ear compresses
it, is summed up by a neuron that spikes and takes 1 off where it has 1::

    v[k] = v[k-1] + e[k]^(1/3);   where v[k] >= 1: spike, v[k] = v[k] - 1

There is no way back, since phases are lost: over any time the spikes of a band differ from the sum
of ``e^(1/3)`` by less than 1, wherever e is at most 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig
from snn_ssm.tasks.encoders.kind import Encoder, FloatArray, State

_COMPRESSION = 1 / 3


def bands(task: TaskConfig) -> tuple[FloatArray, float]:
    """The centres (Hz) and the width of a band, as a share of its centre."""
    low, high = task.encode_low[0], task.encode_high[0]
    centres = np.geomspace(low, high, task.encode_size)
    ratio = (high / low) ** (1 / max(task.encode_size - 1, 1))
    return centres, float(min(ratio - 1, 1.0))


def envelopes(x: FloatArray, task: TaskConfig) -> FloatArray:
    """The compressed bands ``e^(1/3)`` of each hop, (B, C bands, L')."""
    rest = np.zeros((*x.shape[:2], 2))
    return _compressed([
        _averages(np.maximum(filtered(x, rest)[0], 0.0), task.encode_hop)
        for filtered in _filters(task)
    ])


def _filters(task: TaskConfig) -> list[Callable[[FloatArray, FloatArray], Any]]:
    """What filters (B, C, L) for each band, from its state (B, C, 2) to the next one."""
    from scipy.signal import iirpeak, lfilter

    centres, width = bands(task)
    made = [iirpeak(centre, 1 / width, fs=task.sample_rate) for centre in centres]
    return [partial(_filtered, lfilter, b, a) for b, a in made]


def _filtered(lfilter: Any, b: FloatArray, a: FloatArray, x: FloatArray, state: FloatArray) -> Any:
    return lfilter(b, a, x, axis=-1, zi=state)


def _averages(band: FloatArray, hop: int) -> FloatArray:
    """(B, C, L) -> (B, C, L'); the last hop may be shorter."""
    steps = band.shape[-1]
    count = -(-steps // hop)
    sizes = np.minimum(hop, steps - hop * np.arange(count))
    padded = np.zeros((*band.shape[:2], count * hop))
    padded[..., :steps] = band
    return np.asarray(padded.reshape(*band.shape[:2], count, hop).sum(-1) / sizes)


def _compressed(averages: list[FloatArray]) -> FloatArray:
    stacked = np.stack(averages, axis=2)  # (B, C, bands, L')
    batch, channels, count, steps = stacked.shape
    return np.asarray(stacked.reshape(batch, channels * count, steps) ** _COMPRESSION)


def _spikes(drive: FloatArray, state: State) -> NDArray[Any]:
    v = state.get("v", np.zeros(drive.shape[:2])).copy()
    spikes = np.zeros(drive.shape, np.uint8)
    for k in range(drive.shape[-1]):
        v += drive[..., k]
        spikes[..., k] = v >= 1
        v -= spikes[..., k]
    state["v"] = v
    return spikes


def _encode(x: FloatArray, task: TaskConfig) -> NDArray[Any]:
    return _spikes(envelopes(x, task), {})


def _onwards(x: FloatArray, task: TaskConfig, state: State) -> NDArray[Any]:
    """``state``: of the filters, of the neurons, and the rectified steps of a hop that goes on."""
    filters = _filters(task)
    before = state.get("filters", np.zeros((len(filters), *x.shape[:2], 2)))
    parts = state.get("parts", np.zeros((len(filters), *x.shape[:2], 0)))
    found = [filtered(x, at) for filtered, at in zip(filters, before, strict=True)]
    rectified = np.concatenate([parts, np.maximum([band for band, _ in found], 0.0)], axis=-1)
    ready = rectified.shape[-1] // task.encode_hop * task.encode_hop
    averages = [_averages(band[..., :ready], task.encode_hop) for band in rectified]
    state["filters"] = np.array([end for _, end in found])
    state["parts"] = rectified[..., ready:]
    return _spikes(_compressed(averages), state)


COCHLEA = Encoder(
    "cochlea", channels=lambda size: size, bits=lambda size: 1, encode=_encode, onwards=_onwards,
    ranged=False, hops=True,
)
