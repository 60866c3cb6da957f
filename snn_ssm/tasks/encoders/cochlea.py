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

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig
from snn_ssm.tasks.encoders.kind import Encoder, FloatArray

_COMPRESSION = 1 / 3


def bands(task: TaskConfig) -> tuple[FloatArray, float]:
    """The centres (Hz) and the width of a band, as a share of its centre."""
    low, high = task.encode_low[0], task.encode_high[0]
    centres = np.geomspace(low, high, task.encode_size)
    ratio = (high / low) ** (1 / max(task.encode_size - 1, 1))
    return centres, float(min(ratio - 1, 1.0))


def envelopes(x: FloatArray, task: TaskConfig) -> FloatArray:
    """The compressed bands ``e^(1/3)`` of each hop, (B, C bands, L')."""
    from scipy.signal import iirpeak, lfilter

    centres, width = bands(task)
    hop, steps = task.encode_hop, x.shape[-1]
    count = -(-steps // hop)
    sizes = np.minimum(hop, steps - hop * np.arange(count))  # the last may be shorter
    found = []
    for centre in centres:
        b, a = iirpeak(centre, 1 / width, fs=task.sample_rate)
        band = np.maximum(lfilter(b, a, x, axis=-1), 0.0)  # (B, C, L)
        padded = np.zeros((*x.shape[:2], count * hop))
        padded[..., :steps] = band
        found.append(padded.reshape(*x.shape[:2], count, hop).sum(-1) / sizes)
    stacked = np.stack(found, axis=2)  # (B, C, bands, L')
    return np.asarray(stacked.reshape(len(x), -1, count) ** _COMPRESSION)


def _encode(x: FloatArray, task: TaskConfig) -> NDArray[Any]:
    drive = envelopes(x, task)
    v = np.zeros(drive.shape[:2])
    spikes = np.zeros(drive.shape, np.uint8)
    for k in range(drive.shape[-1]):
        v += drive[..., k]
        spikes[..., k] = v >= 1
        v -= spikes[..., k]
    return spikes


COCHLEA = Encoder(
    "cochlea", channels=lambda size: size, bits=lambda size: 1, encode=_encode, ranged=False,
    hops=True,
)
