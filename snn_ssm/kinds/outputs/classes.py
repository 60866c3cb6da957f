"""``classes``: one class a sample; ``labels``: one class a step. The largest score decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.kinds.outputs.kind import FloatArray, OutputKind, class_row, mean_of, ratio, share


def softmax(scores: FloatArray) -> FloatArray:
    """``exp(s_k) / sum_j exp(s_j)``: (N, K) -> (N, K)."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _counts(scores: FloatArray, labels: NDArray[Any]) -> FloatArray:
    """Answers of each class (row) by what they were taken for (column), (K, K)."""
    found = np.zeros((scores.shape[1],) * 2)
    np.add.at(found, (labels, scores.argmax(axis=1)), 1)
    return found


def _metrics(counts: FloatArray, names: Sequence[str]) -> dict[str, Any]:
    """Accuracy, the mean F1 of the classes that came or were answered, and each class."""
    rows = [
        class_row(name, counts[k, k], counts[k].sum(), counts[:, k].sum())
        for k, name in enumerate(names)
    ]
    return {
        "accuracy": ratio(np.trace(counts), counts.sum()),
        "macro_f1": mean_of([row["f1"] for row in rows]),
        "classes": rows,
    }


def _headline(metrics: Mapping[str, Any]) -> str:
    return f"accuracy {share(metrics['accuracy'])}"


def _of(name: str, each_step: bool) -> OutputKind:
    return OutputKind(
        name,
        each_step=each_step,
        vector=False,
        real=False,
        decide=lambda scores: scores.argmax(axis=1),
        confidence=lambda scores: softmax(scores).max(axis=1),
        same=lambda a, b: a.argmax(axis=1) == b.argmax(axis=1),
        counts=_counts,
        metrics=_metrics,
        score="accuracy",
        headline=_headline,
    )


CLASSES = _of("classes", each_step=False)
LABELS = _of("labels", each_step=True)
