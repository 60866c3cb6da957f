"""Two recordings of the same samples, spike for spike: how many differ, and which is the first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray
from export.samples.recording import Recording
from pynn_models.errors import SnnSsmError


class VerificationError(SnnSsmError):
    """Runs that cannot be compared."""


@dataclass(frozen=True)
class Divergence:
    """The first spike that differs, in order of sample, step and layer.

    ``spike``: whether the reference spikes, or, of neurons of several levels, how often.
    ``reference`` and ``value`` are the two membranes there (None where a backend gave none),
    ``margin`` is the reference's distance from the nearest threshold, as a history has moved it.
    ``cause``: the part of the neuron by which the two came apart, ``reset``, ``refractory`` or
    ``history``; None where it was none of these, or where it cannot be told
    (:mod:`export.verification.cause`).
    """

    sample: int
    layer: str
    neuron: int
    step: int
    spike: bool | int
    reference: float | None
    value: float | None
    margin: float | None
    cause: str | None = None


def first_difference(a: Recording, b: Recording) -> tuple[int, int, str, int] | None:
    """Sample, step, layer and neuron of the first spike that differs; None if all are equal."""
    found: list[tuple[int, int, int, str, int]] = []
    for rank, (name, spikes) in enumerate(a.spikes.items()):
        differs = np.argwhere(spikes != b.spikes[name])
        if len(differs):
            sample, step, neuron = (int(v) for v in differs[0])
            found.append((sample, step, rank, name, neuron))
    if not found:
        return None
    sample, step, _, name, neuron = min(found)
    return sample, step, name, neuron


def mismatches(a: Recording, b: Recording) -> int:
    """Number of (sample, step, neuron) at which one of the two spikes and the other does not.

    Raises :class:`VerificationError` where layers or shapes differ.
    """
    return sum(mismatches_by_layer(a, b).values())


def mismatches_by_layer(a: Recording, b: Recording) -> dict[str, int]:
    """:func:`mismatches` of every layer by itself, by its name."""
    if a.spikes.keys() != b.spikes.keys():
        raise VerificationError(
            f"{a.backend} recorded {', '.join(a.spikes)}; {b.backend} {', '.join(b.spikes)}. "
            "Compare recordings of the same network."
        )
    found = {}
    for name, spikes in a.spikes.items():
        other = b.spikes[name]
        if spikes.shape != other.shape:
            raise VerificationError(
                f"{name}: {a.backend} recorded (samples, steps, neurons) = {spikes.shape}, "
                f"{b.backend} {other.shape}. Compare runs of the same samples."
            )
        found[name] = int((spikes != other).sum())
    return found


def at_threshold(
    membrane: FloatArray, theta: FloatArray, margin: FloatArray
) -> NDArray[np.bool_]:
    """Ties: ``|y - (theta - margin)| <= margin``, y (B, L, H).

    ``theta`` (H,) a network's thresholds, which are its trained ones and ``margin`` (H,), the
    bound on what rounding makes of a membrane. Decides nothing: a spike that differs is a
    mismatch, at a tie or not.
    """
    return (membrane <= theta) & (membrane >= theta - 2 * margin)
