"""Calibration: temperatures, quantiles and the curve of thresholds, of samples with labels."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from export.description.network import FloatArray, Network
from export.samples.inputs import as_samples
from export.samples.readout import readout_membrane
from export.samples.recording import Recording
from export.streaming.confidence import (
    Confidence,
    ConfidenceError,
    ThresholdRule,
    log_softmax,
    model_of,
)
from export.streaming.exits import exits

QUESTIONS = 98  # steps of a sample at which its answer is asked for, at most
SETS = 8  # of them, those at which sets are made: each weakens the bound
COVERAGES = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)
_LOG_TEMPERATURE = (-6.0, 6.0)
_FEWEST = 20  # samples


def question_steps(steps: int, count: int = QUESTIONS) -> tuple[int, ...]:
    """At most ``count`` steps of a sample, evenly spaced, the last its last."""
    every = -(-steps // count)
    return tuple(range(steps, 0, -every))[::-1]


def set_steps(questions: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the second half of the questions at which sets are made."""
    half = questions[len(questions) // 2 :][::-1]
    return half[:: max(len(half) // SETS, 1)][:SETS][::-1]


def running_scores(
    network: Network, samples: NDArray[np.generic], recording: Recording, steps: tuple[int, ...]
) -> FloatArray:
    """The logits of the first k steps of each sample, k of ``steps``: (B, n, K).

    From the readout's membrane where it was recorded, else from the spikes; raises
    ``ReadoutError`` where neither gives them.
    """
    membrane, terms = readout_membrane(network, samples, recording), network.readout.kind.terms
    return np.stack([membrane[:, k - 1] / terms(k) for k in steps], axis=1)


def calibrate(
    network: Network,
    samples: NDArray[np.generic],
    labels: NDArray[np.int64],
    execute: Callable[[NDArray[np.generic], list[str]], Recording],
    *,
    data: str = "",
    batch: int = 100,
) -> Confidence:
    """What samples (B, C, L) with labels (B,), none that the model was trained with, say.

    ``execute(samples, membranes)`` runs a batch of them. ``T_k = argmin_T -sum_b log
    softmax(scores_bk / T)_label`` of one half of them, drawn; the quantiles are of the other half,
    since sets hold what they promise only where nothing else was fitted to its labels. Raises
    :class:`ConfidenceError` for too few samples.
    """
    samples = as_samples(network, samples)
    check_enough(len(samples))
    steps = question_steps(network.steps)
    parts = [samples[i : i + batch] for i in range(0, len(samples), batch)]
    readout = [network.readout.population]
    scores = np.concatenate(
        [running_scores(network, part, execute(part, readout), steps) for part in parts]
    )  # (B, n, K)
    return fit(network, steps, scores, labels, data)


def check_enough(count: int) -> None:
    """Raise :class:`ConfidenceError` for fewer samples to calibrate with than mean anything."""
    if count < _FEWEST:
        raise ConfidenceError(
            f"there are {count} samples to calibrate with; expected {_FEWEST} at least. Give more "
            "of them: 'snn-ssm calibrate' takes half of them."
        )


def fit(
    network: Network, steps: tuple[int, ...], scores: FloatArray, labels: NDArray[np.int64],
    data: str = "",
) -> Confidence:
    """:func:`calibrate` of scores (B, n, K) at n steps."""
    check_enough(len(labels))
    order = np.random.default_rng(0).permutation(len(labels))  # samples may come class by class
    one, two = order[::2], order[1::2]
    temperatures = tuple(_temperature(scores[one, i], labels[one]) for i in range(len(steps)))
    chosen = set_steps(steps)
    places = [steps.index(k) for k in chosen]
    of_label = np.stack(
        [_surprise(scores[two, i], temperatures[i], labels[two]) for i in places], axis=1
    )  # (B / 2, m)
    quantiles = {repr(p): tuple(_quantiles(of_label, p)) for p in COVERAGES}
    bare = Confidence(
        model_of(network), steps, temperatures, chosen, quantiles, (),
        len(labels), data,
    )  # fmt: skip
    curve = []
    for threshold in THRESHOLDS:
        found = exits(ThresholdRule(bare, threshold), scores)
        curve.append((
            threshold,
            float(found.steps.mean() / network.steps),
            float((found.labels == labels).mean()),
        ))
    return Confidence(
        bare.model, steps, temperatures, chosen, quantiles, tuple(curve), len(labels), data
    )


def _surprise(
    scores: FloatArray, temperature: float, labels: NDArray[np.int64]
) -> FloatArray:
    """``-log softmax(scores / T)`` of the labels, (B,)."""
    return -log_softmax(scores, temperature)[np.arange(len(labels)), labels]


def _temperature(scores: FloatArray, labels: NDArray[np.int64]) -> float:
    scale = float(np.abs(scores).max()) or 1.0
    found = minimize_scalar(
        lambda log_t: float(_surprise(scores, scale * math.exp(log_t), labels).mean()),
        bounds=_LOG_TEMPERATURE, method="bounded",
    )  # fmt: skip
    return scale * math.exp(found.x)


def _quantiles(surprises: FloatArray, coverage: float) -> list[float | None]:
    """The ``ceil((B + 1) (1 - (1 - P) / m))``-th smallest of each step; None: there is none."""
    count, steps = surprises.shape
    rank = math.ceil((count + 1) * (1 - (1 - coverage) / steps))
    if rank > count:
        return [None] * steps
    return [float(q) for q in np.sort(surprises, axis=0)[rank - 1]]
