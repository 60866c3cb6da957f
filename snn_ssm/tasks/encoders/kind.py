"""What makes integers or spikes of real-valued recordings, and how far back that leads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig

FloatArray = NDArray[np.float64]
State = dict[str, NDArray[Any]]  # of an encoder between pieces of a signal; empty at its beginning


@dataclass(frozen=True)
class Encoder:
    """Recordings (B, C, L) of real values -> (B, C', L') of integers of ``bits(size)`` bits.

    ``encode(x, task)``: causal, of the keys ``encode_...`` of the task; C' is ``channels(size)`` a
    channel, L' is L / ``encode_hop``, rounded up. ``onwards(x, task, state)``: the same of a signal
    that comes in pieces, bit for bit, but for a hop that is not whole yet; ``state`` is changed to
    what the next piece needs. ``inverse(encoded, task)``: (B, C, L) again, up
    to an error that the module says; None where there is none. ``ranged``: ``encode_low`` and
    ``encode_high`` are a channel's; of others two frequencies. ``hops``: it may take several steps
    at a time.
    """

    name: str
    channels: Callable[[int], int]
    bits: Callable[[int], int]
    encode: Callable[[FloatArray, TaskConfig], NDArray[Any]]
    onwards: Callable[[FloatArray, TaskConfig, State], NDArray[Any]]
    inverse: Callable[[NDArray[Any], TaskConfig], FloatArray] | None = None
    ranged: bool = True
    hops: bool = False


def ranges(task: TaskConfig) -> tuple[FloatArray, FloatArray]:
    """The low and high end of each channel, (C, 1) each."""
    return np.array(task.encode_low)[:, None], np.array(task.encode_high)[:, None]


def signed(up: NDArray[np.bool_], down: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Spikes up and spikes down, (B, C, L) each, side by side: (B, 2 C, L)."""
    return np.concatenate([up, down], axis=1).astype(np.uint8)
