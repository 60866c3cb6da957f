"""Spikes -> logits, on the host; and from the accumulators' membranes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.inputs import encode
from export.network import FloatArray, Network
from export.recording import Recording


def logits(
    network: Network, samples: NDArray[Any], recording: Recording
) -> FloatArray:
    """``mean_k(sum_i s_i[k] R_i) + r`` (mean pooling), or the same at the last step: (B, K).

    The pooled stream and the decoder are linear in the spikes, so spike counts suffice. R_i are
    the weights of the projections onto the readout population, r its bias.
    """
    mean = network.readout.pooling == "mean"
    emitted = {network.source.name: encode(network, samples), **recording.spikes}
    total = np.zeros((len(samples), network.population(network.readout.population).size))
    for projection in network.incoming(network.readout.population):
        s = emitted[projection.source]  # (B, L, size)
        pooled = s.sum(axis=1, dtype=np.float64) if mean else s[:, -1].astype(np.float64)
        total += pooled @ projection.weights
    bias = network.population(network.readout.population).cell.bias
    return total / network.steps + bias if mean else total + bias


def accumulated_logits(network: Network, recording: Recording) -> FloatArray:
    """The logits that the readout population holds at the end of each sample, (B, K)."""
    membrane = recording.membranes[network.readout.population][:, -1]
    return membrane / network.steps if network.readout.pooling == "mean" else membrane
