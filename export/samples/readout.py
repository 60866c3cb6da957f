"""Spikes -> scores, on the host; and from the accumulators' membranes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from export.samples.inputs import encode
from export.samples.recording import Recording
from pynn_models.cells import StateSpaceCell, propagator
from pynn_models.errors import SnnSsmError

Lengths = NDArray[np.int64]


class ReadoutError(SnnSsmError):
    """A recording from which no logits can be had."""


def needed_membranes(network: Network) -> list[str]:
    """The populations whose membranes :func:`logits` reads: none where spikes suffice."""
    return [] if network.linear_readout else [network.readout.population]


def logits(
    network: Network, samples: NDArray[Any], recording: Recording, lengths: Lengths | None = None
) -> FloatArray:
    """What the readout population would hold of the spikes, divided: (B, K), or (B, L, K).

    With linear mixing the stream and the decoder are linear in the spikes, so ``u[k] = sum_i
    s_i[k] R_i + r`` is what the population receives, R_i the weights of the projections onto it, r
    its bias; its equation is done here. ``lengths`` (B,): the steps of each sample that count, at
    the last of which its scores are read (None: all). With gated mixing:
    :func:`accumulated_logits`, which raises :class:`ReadoutError`.
    """
    if not network.linear_readout:
        return accumulated_logits(network, recording, lengths)
    return _read(network, _of_spikes(network, samples, recording), lengths)


def readout_membrane(
    network: Network, samples: NDArray[Any], recording: Recording
) -> FloatArray:
    """The membrane of the readout population (B, L, K), recorded or, else, as spikes say.

    Raises :class:`ReadoutError` where neither gives it.
    """
    recorded = network.readout.population in recording.membranes
    if recorded or not network.linear_readout:
        return _recorded(network, recording)
    return _of_spikes(network, samples, recording)


def _of_spikes(network: Network, samples: NDArray[Any], recording: Recording) -> FloatArray:
    population = network.population(network.readout.population)
    emitted = {network.source.name: encode(network, samples), **recording.spikes}
    u = np.zeros((len(samples), network.steps, population.size))
    for projection in network.incoming(population.name):
        for lag, weights in projection.by_lag(network.lead(projection), projection.weights):
            for b, values in enumerate(_later(emitted[projection.source], lag)):
                u[b] += values.astype(np.float64) @ weights
    u += population.cell.bias
    return silent_membrane(population.state_space, u, network.timestep)


def _later(sent: NDArray[Any], lag: int) -> NDArray[Any]:
    """``s[k - lag]`` of what is sent, (B, L, size); 0 before the first step."""
    if lag == 0:
        return sent
    late = np.zeros_like(sent)
    late[:, lag:] = sent[:, :-lag]
    return late


def silent_membrane(cell: StateSpaceCell, u: FloatArray, timestep: float) -> FloatArray:
    """The membrane (B, L, K) of neurons that never spike, for their input u (B, L, K)."""
    if cell.n_modes == 0:
        return cell.d * u
    re, im = propagator(cell.tau, cell.omega, timestep)  # (K, N)
    decay = re if im is None else re + 1j * im
    c = cell.c_re if cell.c_im is None else cell.c_re + 1j * cell.c_im
    x = np.zeros((len(u), *decay.shape), decay.dtype)
    membrane = np.empty_like(u)
    for k in range(u.shape[1]):
        x = decay * x + u[:, k, :, None]
        membrane[:, k] = (c * x).sum(-1).real + cell.d * u[:, k]
    return membrane


def accumulated_logits(
    network: Network, recording: Recording, lengths: Lengths | None = None
) -> FloatArray:
    """The scores that the readout population holds at the end of each sample, (B, K).

    (B, L, K) of a network that answers at each step. ``lengths`` as in :func:`logits`. Raises
    :class:`ReadoutError` where its membrane was not recorded.
    """
    return _read(network, _recorded(network, recording), lengths)


def _recorded(network: Network, recording: Recording) -> FloatArray:
    name = network.readout.population
    if name not in recording.membranes:
        raise ReadoutError(
            f"{recording.backend} recorded no membrane of {name!r}; it has "
            f"{', '.join(recording.membranes) or 'none'}. Record the membrane of {name!r}; spike "
            "counts give the logits only of a network without gated mixing."
        )
    return recording.membranes[name]


def _read(network: Network, membrane: FloatArray, lengths: Lengths | None) -> FloatArray:
    """``y[k] / terms(k + 1)`` of a membrane (B, L, K), at each step or where a sample ends."""
    terms = network.readout.kind.terms
    if network.readout.each_step:
        return membrane / terms(np.arange(1, network.steps + 1))[:, None]
    if lengths is None:
        return membrane[:, -1] / terms(network.steps)
    ends = membrane[np.arange(len(membrane)), lengths - 1]
    return np.asarray(ends / terms(lengths)[:, None])


def scores_of(
    network: Network, samples: NDArray[Any], recording: Recording, lengths: Lengths | None = None
) -> FloatArray:
    """A recording's scores: those that its backend gave, else :func:`logits`."""
    if recording.logits is None:
        return logits(network, samples, recording, lengths)
    if lengths is None or network.readout.each_step:
        return recording.logits
    if recording.running is None:
        return recording.logits  # what a job read where its samples end
    return recording.running[np.arange(len(samples)), lengths - 1]
