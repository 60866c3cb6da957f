"""Samples -> what the input's sources emit at each step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from export.description.encodings.quantised import ends, units
from export.description.network import FloatArray, Network, Source
from pynn_models.errors import SnnSsmError

_NAMED = 10  # channels in a warning


class InputError(SnnSsmError):
    """Samples of the wrong shape, out of the input's range, or not finite."""


class QuantiserWarning(UserWarning):
    """Real values beyond the range of a quantised input, which are cut off at its end."""


def as_samples(network: Network, samples: ArrayLike) -> NDArray[Any]:
    """``samples`` (B, channels, steps) as an array: of an array, a tensor, or lists.

    Raises :class:`InputError` for what is none, and as :func:`check_samples`.
    """
    try:
        found = np.asarray(samples)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged; a tensor that needs gradients
        raise InputError(
            f"samples are no array ({error}); expected numbers of shape (B, channels, steps). Give "
            "a NumPy array, for example tensor.detach().cpu().numpy()."
        ) from error
    if found.dtype.kind not in "biuf":
        raise InputError(
            f"samples are of type {found.dtype}; expected real numbers of shape (B, channels, "
            "steps). Give a NumPy array of numbers."
        )
    check_samples(network, found)
    return found


def check_samples(network: Network, samples: NDArray[Any]) -> None:
    """Raise :class:`InputError` unless ``samples`` (B, channels, steps) fit the network's input."""
    source = network.source
    expected = (source.channels, network.steps)
    if samples.ndim != 3 or samples.shape[1:] != expected or len(samples) == 0:
        raise InputError(
            f"samples have shape {samples.shape}; the input {source.name!r} expects (B, channels, "
            f"steps) = (B, {expected[0]}, {expected[1]}), B at least 1."
        )
    check_values(network, samples)


def check_values(network: Network, samples: NDArray[Any]) -> None:
    """Raise :class:`InputError` unless every element is a value that the input can carry."""
    source = network.source
    if not np.isfinite(samples).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(samples))[0])
        raise InputError(
            f"sample element {list(where)} is {samples[where]}; expected a finite number."
        )
    if source.kind.fractions:
        _warn_beyond(source, samples)
    limit, words, remedy = source.kind.values(source)
    if not limit:
        return
    bad = (samples < 0) | (samples >= limit) | (samples != np.floor(samples))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        encoder = network.origin.get("task", {}).get("encode", "none")
        if encoder != "none":
            remedy = (
                f"Recordings become these by task.encode = {encoder!r}, as in training: "
                f"snn_ssm.tasks.encoders.ENCODERS[{encoder!r}].encode(recordings, task)."
            )
        raise InputError(
            f"sample element {list(where)} is {samples[where]}; the input {source.name!r} expects "
            f"{words}, 0 to {limit - 1}. {remedy}"
        )


def _warn_beyond(source: Source, samples: NDArray[Any]) -> None:
    """Say which channels have values that a quantised input cuts off."""
    low, high = (units(source) * end for end in ends(source.bits))  # (C, 1)
    half = units(source) / 2
    beyond = ((samples < low - half) | (samples >= high + half)).any(axis=(0, 2))
    if beyond.any():
        found = np.flatnonzero(beyond)
        c = found[0]
        warnings.warn(
            f"channel(s) {', '.join(map(str, found[:_NAMED]))}{', ...' * (len(found) > _NAMED)} of "
            f"the input {source.name!r} have values beyond those that it was quantised for ({c}: "
            f"{low[c, 0]:g} to {high[c, 0]:g}), which are cut off. Export again with samples as "
            "large as these.",
            QuantiserWarning,
            stacklevel=4,
        )


def encode(network: Network, samples: ArrayLike) -> FloatArray | NDArray[np.uint8]:
    """What each source emits at each step, (B, L, source size): spikes 0/1, or currents.

    Raises :class:`InputError`.
    """
    return network.source.kind.emit(network.source, as_samples(network, samples))
