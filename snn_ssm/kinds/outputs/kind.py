"""What a kind of output is: how scores become answers, and how good these are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class OutputKind:
    """N answers of K scores each, (N, K): of N samples, or of all their steps (``each_step``).

    What is to be answered is an integer below K, (N,); with ``vector`` K numbers, (N, K); with
    ``real`` any finite ones, else 0 and 1. ``decide``: scores -> answers of that shape;
    ``confidence``: scores -> a share of 1 for each answer, of the answers' shape, None where there
    is no such thing; ``same``: which answers of two runs, (N, K) scores each, are the same, (N,).

    ``counts(scores, answers)``: sums over answers, of a shape that K alone decides, and
    ``merge(a, b)`` makes those of the whole of those of its parts, here their sum;
    ``metrics(counts, names)``: what follows from them, by name, ``classes`` a list of a row a class
    or value. ``score``: the metric by which one epoch is better than another, larger is better;
    ``headline``: the metrics in a few words.
    """

    name: str
    each_step: bool
    vector: bool
    real: bool
    decide: Callable[[FloatArray], NDArray[Any]]
    confidence: Callable[[FloatArray], FloatArray | None]
    same: Callable[[FloatArray, FloatArray], NDArray[np.bool_]]
    counts: Callable[[FloatArray, NDArray[Any]], FloatArray]
    metrics: Callable[[FloatArray, Sequence[str]], dict[str, Any]]
    score: str
    headline: Callable[[Mapping[str, Any]], str]
    merge: Callable[[FloatArray, FloatArray], FloatArray] = np.add


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``; None of nothing."""
    return float(part) / float(whole) if whole else None


def share(value: float | None) -> str:
    """A share in percent."""
    return "-" if value is None else f"{value:.2%}"


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def f1(hits: float, actual: float, found: float) -> float | None:
    """``2 TP / (2 TP + FP + FN)``; None for a class that neither came nor was answered."""
    return ratio(2 * hits, actual + found)


def class_row(name: str, hits: float, actual: float, found: float) -> dict[str, Any]:
    """One class or label: how often it came, was answered, and both.

    ``sensitivity = TP / (TP + FN)``, ``predictivity = TP / (TP + FP)`` (ANSI/AAMI EC57).
    """
    return {
        "name": name,
        "count": int(actual),
        "sensitivity": ratio(hits, actual),
        "predictivity": ratio(hits, found),
        "f1": f1(hits, actual, found),
    }
