"""What a live input was, as samples: the same spikes once more, in another backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network, Source


def as_samples_of(network: Network, sent: NDArray[Any]) -> tuple[Network, NDArray[np.uint8]]:
    """A network whose inputs are the spikes themselves, and its one sample: (1, m size, L).

    ``sent`` (L, size): how often each source sent in a step, at most m times, which a live input
    may do where two of a sender's steps arrive in one. Source i of copy j sends where it did more
    than j times, through the same synapses, so that a target receives the same sum.
    """
    copies = max(int(sent.max(initial=0)), 1)
    name, size = network.source.name, network.source.size
    source = Source(name, "spikes", channels=copies * size)
    projections = tuple(
        p if p.source != name else replace(
            p, weights=np.tile(p.weights, (copies, 1)),
            delay=p.delay if isinstance(p.delay, int) else np.tile(p.delay, (copies, 1)),
            mask=None if p.mask is None else np.tile(p.mask, (copies, 1)),
        )
        for p in network.projections
    )
    found = replace(network, steps=len(sent), source=source, projections=projections)
    parts = [j < sent.T for j in range(copies)]  # (size, L) each
    return found, np.concatenate(parts)[None].astype(np.uint8)
