"""Scores and what they should be, of samples of different lengths, as one list of answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.kinds.outputs.kind import FloatArray, OutputKind

Lengths = NDArray[np.int64]


def answered(
    scores: FloatArray, labels: NDArray[Any] | None, lengths: Lengths | None
) -> tuple[FloatArray, NDArray[Any] | None]:
    """Scores (N, K), and labels (N,) or (N, K), of the N answers that count.

    ``scores`` (B, K): those are all samples. (B, L, K): all steps k < ``lengths`` (B,) (None: L) of
    each sample, but for those of a negative integer label, which nobody labelled.
    """
    if scores.ndim == 2:
        return scores, labels
    counted = mask(scores.shape[0], scores.shape[1], lengths)
    if labels is None:
        return scores[counted], None
    if labels.ndim == 2:
        counted = counted & (labels >= 0)
    return scores[counted], labels[counted]


def no_counts(kind: OutputKind, classes: int) -> FloatArray:
    """The sums of a kind over no answers at all, of K = ``classes`` scores."""
    labels = np.zeros((0, classes) if kind.vector else (0,), np.int64)
    return kind.counts(np.zeros((0, classes)), labels)


def mask(samples: int, steps: int, lengths: Lengths | None) -> NDArray[np.bool_]:
    """Which steps belong to their sample, (B, L)."""
    if lengths is None:
        return np.ones((samples, steps), np.bool_)
    return np.asarray(np.arange(steps) < lengths[:, None])
