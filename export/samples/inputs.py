"""Samples -> what the input's sources emit at each step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Source
from pynn_models.errors import SnnSsmError


class InputError(SnnSsmError):
    """Samples of the wrong shape, out of the input's range, or not finite."""


def check_samples(network: Network, samples: NDArray[Any]) -> None:
    """Raise :class:`InputError` unless ``samples`` (B, channels, steps) fit the network's input."""
    source = network.source
    expected = (source.channels, network.steps)
    if samples.ndim != 3 or samples.shape[1:] != expected or len(samples) == 0:
        raise InputError(
            f"samples have shape {samples.shape}; the input {source.name!r} expects (B, channels, "
            f"steps) = (B, {expected[0]}, {expected[1]}), B at least 1."
        )
    if not np.isfinite(samples).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(samples))[0])
        raise InputError(
            f"sample element {list(where)} is {samples[where]}; expected a finite number."
        )
    limit, words, remedy = _range(source)
    if not limit:
        return
    bad = (samples < 0) | (samples >= limit) | (samples != np.floor(samples))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"sample element {list(where)} is {samples[where]}; the input {source.name!r} expects "
            f"{words}, 0 to {limit - 1}. {remedy}"
        )


def _range(source: Source) -> tuple[int, str, str]:
    """Of how many integers from 0 a channel is one (0: of none), in words, and a remedy."""
    if source.encoding == "token":
        words = f"one of {source.symbols} symbols"
        return source.symbols, words, "Number the symbols as in training."
    if source.encoding == "spikes":
        remedy = "Give events a step, or export with --input bits or current."
        return 2, "no spike or a spike", remedy
    words = f"integers of {source.bits} bits"
    return 2**source.bits if source.bits else 0, words, "Quantise the samples as in training."


def bit_planes(source: Source, samples: NDArray[Any]) -> NDArray[np.uint8]:
    """``s[b, k, c bits + j] = bit j of p[b, c, k]``: (B, C, L) -> (B, L, C bits)."""
    values = samples.transpose(0, 2, 1).astype(np.int64)[..., None]  # (B, L, C, 1)
    planes = (values >> np.arange(source.bits)) & 1  # (B, L, C, bits)
    return planes.reshape(*planes.shape[:2], -1).astype(np.uint8)


def one_hot(source: Source, samples: NDArray[Any]) -> NDArray[np.uint8]:
    """``s[b, k, i] = 1 if p[b, 0, k] = i else 0``: (B, 1, L) -> (B, L, symbols)."""
    symbols = samples[:, 0].astype(np.int64)[..., None]  # (B, L, 1)
    spikes = np.zeros((*symbols.shape[:2], source.symbols), np.uint8)
    np.put_along_axis(spikes, symbols, 1, axis=2)
    return spikes


def encode(network: Network, samples: NDArray[Any]) -> FloatArray | NDArray[np.uint8]:
    """What each source emits at each step, (B, L, source size): spikes 0/1, or currents.

    Raises :class:`InputError`.
    """
    check_samples(network, samples)
    source = network.source
    if source.encoding == "bits":
        return bit_planes(source, samples)
    if source.encoding == "token":
        return one_hot(source, samples)
    values = np.ascontiguousarray(samples.transpose(0, 2, 1), dtype=np.float64)
    return values.astype(np.uint8) if source.encoding == "spikes" else values
