"""The fewest input spikes that turn an answer: sparse flips, each checked by running the network.

Of a sample of spikes, one a source and step, in rounds n = 1, 2, ...: of the flips that the
gradient says lower the margin the 10 n strongest are tried one by one; those that do lower it are
made. Once the answer is another, as many of the weakest are undone as leave it so. Source: Lun et
al. 2025, arXiv 2503.03272 (sparse dynamic attack, SDA).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.encodings.quantised import quantise, values_of, weights_of_bits
from export.description.network import FloatArray, Network, Source
from export.samples.inputs import as_samples
from export.samples.readout import logits, needed_membranes
from export.software.simulation import run
from pynn_models.errors import SnnSsmError

Samples = NDArray[np.int64]
Gradient = Callable[[NDArray[Any], NDArray[np.int64]], FloatArray]

ROUNDS = 20
_A_ROUND = 10  # more flips that are tried in each round


class AttackError(SnnSsmError):
    """A network whose input has no spikes to flip, or that has one answer alone."""


@dataclass(frozen=True, eq=False)
class Attack:
    """What became of a sample: ``sample`` (C, L) as it turned out (real values where the input is
    quantised), ``flips`` (n, 3) of it, each a channel, a step and a bit, and whether they
    ``turned`` the answer, to the class ``answer``."""

    sample: NDArray[Any]
    flips: NDArray[np.int64]
    turned: bool
    answer: int


def _check(network: Network) -> int:
    """Bits of a channel; raises :class:`AttackError`."""
    if len(network.names) == 1:
        raise AttackError(
            f"the network knows one class, {network.names[0]!r}: there is no other answer to turn "
            "to. Attack one of two classes or more."
        )
    kind = network.source.kind
    if kind.binary:
        return 1
    if kind.integers:
        return network.source.bits
    raise AttackError(
        f"the input {network.source.name!r} is of the encoding {network.source.encoding!r}, which "
        "has no spikes to flip one by one; expected bits or spikes. Export with --input bits, or "
        "attack a network of events."
    )


def margins(network: Network, samples: NDArray[Any], labels: NDArray[np.int64]) -> FloatArray:
    """``logit_label - max of the others`` in ``software``, (B,): below 0 where another is answered.

    Of equal scores the first class is the answer: with a later one its margin is just below 0.
    """
    recording = run(network, samples, membranes=needed_membranes(network))
    scores = logits(network, samples, recording)
    rows = np.arange(len(labels))
    own = scores[rows, labels]
    scores[rows, labels] = -np.inf
    found = own - scores.max(axis=1)
    lost = (found == 0) & (scores.argmax(axis=1) < labels)
    return np.where(lost, -np.finfo(np.float64).tiny, found)


def flipped(sample: Samples, flips: NDArray[np.int64]) -> Samples:
    """The sample (C, L) with the bits ``flips`` (n, 3) of its channels and steps turned."""
    found = sample.copy()
    for channel, step, bit in flips:
        found[channel, step] ^= 1 << int(bit)
    return found


def attack(
    network: Network, sample: NDArray[Any], label: int, gradient: Gradient, rounds: int = ROUNDS
) -> Attack:
    """Try to turn the answer ``label`` of a sample (C, L).

    ``gradient(samples, labels)``: that of the margins with respect to the samples (B, C, L); of a
    quantised input to its integers.
    Raises :class:`AttackError`, ``InputError``.
    """
    bits, source = _check(network), network.source
    samples = as_samples(network, np.asarray(sample)[None])
    weights = 1 << np.arange(bits)
    if source.kind.fractions:  # the same network, of its integers' bits
        samples, weights = quantise(source, samples) % 2**bits, weights_of_bits(bits)
        network = replace(network, source=Source(source.name, "bits", source.channels, bits))
    start = samples[0].astype(np.int64)
    labels = np.array([label])
    current, margin = start, float(margins(network, start[None], labels)[0])
    made = np.zeros((0, 3), np.int64)
    effects = np.zeros(0)
    for number in range(1, rounds + 1):
        if margin < 0:
            break
        slopes = gradient(_read(source, current)[None], labels)[0]  # (C, L)
        chosen = _strongest(current, slopes, weights, made, _A_ROUND * number)
        if not len(chosen):
            break
        tried = np.stack([flipped(current, flip[None]) for flip in chosen])
        change = margins(network, tried, labels.repeat(len(tried))) - margin
        lower = change < 0
        together = flipped(current, chosen[lower])
        now = float(margins(network, together[None], labels)[0])
        if now >= margin and lower.any():  # together they do not add up: the best of them alone
            lower = np.arange(len(chosen)) == change.argmin()
            together = tried[change.argmin()]
            now = margin + float(change.min())
        made = np.concatenate([made, chosen[lower]])
        effects = np.concatenate([effects, change[lower]])
        current, margin = together, now
    if margin < 0:
        made = _fewest(network, start, label, made[np.argsort(effects, kind="stable")])
        current = flipped(start, made)
    found = _read(source, current)
    recorded = values_of(source, found) if source.kind.fractions else found
    return Attack(recorded, made, margin < 0, _answer(network, current))


def _read(source: Source, sample: Samples) -> Samples:
    """The integers that the model reads for bits (C, L): with their sign where they have one."""
    if not source.kind.fractions:
        return sample
    return np.where(sample >= 2 ** (source.bits - 1), sample - 2**source.bits, sample)


def _answer(network: Network, sample: Samples) -> int:
    recording = run(network, sample[None], membranes=needed_membranes(network))
    return int(logits(network, sample[None], recording)[0].argmax())


def _strongest(
    sample: Samples, slopes: FloatArray, weight: NDArray[np.int64], made: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    """The flips (n, 3), none of those ``made``, that lower the margin most as far as slopes say.

    ``weight`` (bits,): what the bits weigh.
    """
    set_now = (sample[..., None] & np.abs(weight)) > 0  # (C, L, bits)
    change = slopes[..., None] * np.where(set_now, -weight, weight)
    change[tuple(made.T)] = 0
    order = np.argsort(change, axis=None, kind="stable")[:count]
    order = order[change.ravel()[order] < 0]
    return np.stack(np.unravel_index(order, change.shape), axis=1)


def _fewest(
    network: Network, start: Samples, label: int, made: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The shortest beginning of the flips ``made``, strongest first, found by halves, that turns
    the answer."""
    low, high = 0, len(made)  # low does not turn it, high does
    while high - low > 1:
        middle = (low + high) // 2
        tried = flipped(start, made[:middle])[None]
        if margins(network, tried, np.array([label]))[0] < 0:
            high = middle
        else:
            low = middle
    return made[:high]
