"""``values``: K real numbers, which the scores are: regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.kinds.outputs.kind import FloatArray, OutputKind, mean_of, ratio

_NEAR = 1e-3  # of the largest value: what the same answer may differ by


def _counts(scores: FloatArray, targets: NDArray[Any]) -> FloatArray:
    """A row a value, (K, 6): answers, an origin o, and sums of t - o of the targets t, of its
    square, of the error's square and of its magnitude.

    o is the first target, so that targets far from 0 keep their spread: of t itself it would be the
    difference of two large numbers.
    """
    target = targets.astype(np.float64)
    error = scores - target
    ones = np.ones(scores.shape[1])
    origin = target[0] if len(target) else 0 * ones
    offset = target - origin
    sums = (offset, offset**2, error**2, np.abs(error))
    columns = (len(scores) * ones, origin, *(values.sum(axis=0) for values in sums))
    return np.stack(columns, axis=1)


def _merge(a: FloatArray, b: FloatArray) -> FloatArray:
    """Sums around the origin of ``a``, or of ``b`` where ``a`` has no answers."""
    if not a[:, 0].any():
        return b
    if not b[:, 0].any():
        return a
    count, origin, first = b[:, :3].T
    moved = origin - a[:, 1]
    whole = a + b
    whole[:, 1] = a[:, 1]
    whole[:, 2] += count * moved
    whole[:, 3] += moved * (2 * first + count * moved)
    return whole


def _metrics(counts: FloatArray, names: Sequence[str]) -> dict[str, Any]:
    """``R^2 = 1 - sum e^2 / sum (t - mean t)^2``, the mean of ``|e|`` and of ``e^2``; each value's,
    and their means over the values. R^2 is None for a target that is always the same."""
    rows: list[dict[str, Any]] = []
    for name, (total, _, first, second, squared, absolute) in zip(names, counts, strict=True):
        spread = second - first * first / total if total else 0.0
        constant = spread <= 1e-12 * second  # but for rounding
        rows.append({
            "name": name,
            "count": int(total),
            "r2": None if constant else 1 - squared / spread,
            "mae": ratio(absolute, total),
            "mse": ratio(squared, total),
        })
    means = {key: mean_of([row[key] for row in rows]) for key in ("r2", "mae", "mse")}
    return {"accuracy": None, **means, "classes": rows}


def _headline(metrics: Mapping[str, Any]) -> str:
    r2, mae = ("-" if metrics[key] is None else f"{metrics[key]:.4g}" for key in ("r2", "mae"))
    return f"R^2 {r2}, mean absolute error {mae}"


def _same(a: FloatArray, b: FloatArray) -> NDArray[np.bool_]:
    largest = max(1.0, float(np.abs(a).max(initial=0.0)))
    return np.asarray((np.abs(a - b) <= _NEAR * largest).all(axis=1))


VALUES = OutputKind(
    "values",
    each_step=False,
    vector=True,
    real=True,
    decide=lambda scores: scores,
    confidence=lambda scores: None,
    same=_same,
    counts=_counts,
    metrics=_metrics,
    score="r2",
    headline=_headline,
    merge=_merge,
)
