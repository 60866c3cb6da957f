"""Spikes -> logits, on the host; and from the accumulators' membranes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from export.samples.inputs import encode
from export.samples.recording import Recording
from pynn_models.errors import SnnSsmError


class ReadoutError(SnnSsmError):
    """A recording from which no logits can be had."""


def needed_membranes(network: Network) -> list[str]:
    """The populations whose membranes :func:`logits` reads: none where spike counts suffice."""
    return [] if network.linear_readout else [network.readout.population]


def logits(
    network: Network, samples: NDArray[Any], recording: Recording, *, steps: int | None = None
) -> FloatArray:
    """``mean_k(sum_i s_i[k - lag_i] R_i) + r`` (mean pooling), or that of the last step: (B, K).

    ``steps``: of the first so many steps of each sample, as if these were all; None: of all.

    With linear mixing the pooled stream and the decoder are linear in the spikes, so spike counts
    suffice. R_i are the weights of the projections onto the readout population, r its bias. With
    gated mixing: :func:`accumulated_logits`, which raises :class:`ReadoutError`.
    """
    if not network.linear_readout:
        return accumulated_logits(network, recording, steps=steps)
    pooling = network.readout.kind
    emitted = {network.source.name: encode(network, samples), **recording.spikes}
    total = np.zeros((len(samples), network.population(network.readout.population).size))
    for projection in network.incoming(network.readout.population):
        sent = emitted[projection.source][:, :steps]
        for lag, weights in projection.by_lag(network.lead(projection), projection.weights):
            total += pooling.pooled(_later(sent, lag)) @ weights
    bias = network.population(network.readout.population).cell.bias
    return total / pooling.terms(steps or network.steps) + bias


def _later(sent: NDArray[Any], lag: int) -> NDArray[Any]:
    """``s[k - lag]`` of what is sent, (B, L, size); 0 before the first step."""
    if lag == 0:
        return sent
    late = np.zeros_like(sent)
    late[:, lag:] = sent[:, :-lag]
    return late


def accumulated_logits(
    network: Network, recording: Recording, *, steps: int | None = None
) -> FloatArray:
    """The logits that the readout population holds at the end of each sample, (B, K).

    ``steps``: after so many steps instead. Raises :class:`ReadoutError` where its membrane was not
    recorded.
    """
    name = network.readout.population
    if name not in recording.membranes:
        raise ReadoutError(
            f"{recording.backend} recorded no membrane of {name!r}; it has "
            f"{', '.join(recording.membranes) or 'none'}. Record the membrane of {name!r}; spike "
            "counts give the logits only of a network without gated mixing."
        )
    last = steps or network.steps
    return recording.membranes[name][:, last - 1] / network.readout.kind.terms(last)
