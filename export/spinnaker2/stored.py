"""Weights as 8-bit integers with a scale a neuron."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Projection
from pynn_models.errors import SnnSsmError

LARGEST = 127  # of a stored weight
_EXACT = 2**24  # integers up to here are exact in float32


class Spinnaker2Error(SnnSsmError):
    """A network that SpiNNaker 2, as its public software has it, cannot be given."""


def stored(
    onto: Sequence[Projection], size: int
) -> tuple[FloatArray, dict[Projection, NDArray[np.int8]]]:
    """The scales q (H,) of what arrives together, and the integers of each projection.

    A neuron that receives nothing has q = 1. Raises :class:`Spinnaker2Error` for sums that float32
    cannot hold.
    """
    largest = np.zeros(size)
    for p in onto:
        largest = np.maximum(largest, np.abs(p.weights).max(axis=0, initial=0.0))
    scale = np.where(largest > 0, largest, LARGEST) / LARGEST
    sources = sum(len(p.weights) for p in onto)
    if sources * LARGEST > _EXACT:
        raise Spinnaker2Error(
            f"population {onto[0].target!r} has {sources} sources; a sum of so many weights "
            f"of {LARGEST} is not exact in float32, which takes {_EXACT // LARGEST}. Use "
            "fewer channels."
        )
    return scale, {p: np.rint(p.weights / scale).astype(np.int8) for p in onto}
