"""What populations of one spike each recorded -> the counts of the one that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from export.description.multiplicity import unit_names
from export.description.network import Network
from export.samples.recording import Recording, Spikes


def _sum(parts: Sequence[Spikes]) -> NDArray[np.uint8]:
    total = np.zeros(parts[0].shape, np.uint8)
    for part in parts:
        total += part
    return total


def counted(network: Network, recording: Recording) -> Recording:
    """The recording of ``in_units(network)`` as one of ``network``: spikes of a step added up.

    Where nothing was to add it is returned as it is.
    """
    if all(p.levels == 1 for p in network.layers):
        return recording
    spikes: dict[str, Spikes] = {}
    for population in network.layers:
        parts = [recording.spikes[name] for name in unit_names(population)]
        spikes[population.name] = parts[0] if len(parts) == 1 else _sum(parts)
    return replace(recording, spikes=spikes)
