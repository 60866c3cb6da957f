"""How many spikes are sent: as many as there are, or of differences the size of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network, Population
from export.samples.recording import Recording


def sent_by(population: Population, spikes: NDArray[Any]) -> NDArray[Any]:
    """What a population sends of its spikes (..., L, H): ``|s[k] - s[k-1]|`` or s[k].

    A synapse passes on as many: this is what rates and synaptic operations count.
    """
    if not population.differences:
        return spikes
    counts = spikes.astype(np.int16)
    return np.abs(np.diff(counts, axis=-2, prepend=np.zeros_like(counts[..., :1, :])))


def sent(network: Network, recording: Recording) -> dict[str, NDArray[Any]]:
    """:func:`sent_by` of each layer that was recorded, (B, L, H)."""
    return {
        name: sent_by(network.population(name), spikes) for name, spikes in recording.spikes.items()
    }
