"""``multi-label``: any of K labels may hold of a sample; each does whose score is above 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.kinds.outputs.kind import FloatArray, OutputKind, class_row, mean_of, ratio, share


def sigmoid(scores: FloatArray) -> FloatArray:
    """``1 / (1 + exp(-s))``, any shape, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * scores)))


def _counts(scores: FloatArray, labels: NDArray[Any]) -> FloatArray:
    """A row a label, (K, 4): answers, those it holds of, those it was said of, and both; then one
    row: answers, and how many are right in every label."""
    said, holds = scores > 0, labels > 0
    rows = np.stack(
        [np.full(scores.shape[1], len(scores)), holds.sum(0), said.sum(0), (said & holds).sum(0)],
        axis=1,
    )
    whole = [len(scores), int((said == holds).all(axis=1).sum()), 0, 0]
    return np.concatenate([rows, [whole]]).astype(np.float64)


def _metrics(counts: FloatArray, names: Sequence[str]) -> dict[str, Any]:
    """Accuracy of all labels together, the share of answers right in all, and each label."""
    right = 0.0
    rows: list[dict[str, Any]] = []
    for name, (total, actual, found, hits) in zip(names, counts[:-1], strict=True):
        right += total - actual - found + 2 * hits
        rows.append(class_row(name, hits, actual, found))
    return {
        "accuracy": ratio(right, float(counts[:-1, 0].sum())),
        "exact": ratio(counts[-1, 1], counts[-1, 0]),
        "macro_f1": mean_of([row["f1"] for row in rows]),
        "classes": rows,
    }


def _headline(metrics: Mapping[str, Any]) -> str:
    return f"accuracy {share(metrics['accuracy'])}, all labels right {share(metrics['exact'])}"


def _confidence(scores: FloatArray) -> FloatArray:
    p = sigmoid(scores)
    return np.maximum(p, 1 - p)


MULTI_LABEL = OutputKind(
    "multi-label",
    each_step=False,
    vector=True,
    real=False,
    decide=lambda scores: (scores > 0).astype(np.int64),
    confidence=_confidence,
    same=lambda a, b: ((a > 0) == (b > 0)).all(axis=1),
    counts=_counts,
    metrics=_metrics,
    score="accuracy",
    headline=_headline,
)
