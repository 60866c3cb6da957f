"""How well each class is told from the others, where accuracy says little: unequal classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassScore:
    """One row of :func:`class_table`; a ratio without a denominator is None."""

    name: str
    count: int
    sensitivity: float | None
    predictivity: float | None


def class_table(
    labels: NDArray[Any], predictions: NDArray[Any], names: Sequence[str]
) -> tuple[ClassScore, ...]:
    """``sensitivity = TP / (TP + FN)``, ``positive predictivity = TP / (TP + FP)``, class by class.

    TP, FN, FP: samples (B,) of the class found, of the class missed, and of another taken for it.
    Source: ANSI/AAMI EC57.
    """
    rows = []
    for label, name in enumerate(names):
        actual, found = labels == label, predictions == label
        hits = int((actual & found).sum())
        rows.append(ClassScore(name, int(actual.sum()), _ratio(hits, actual), _ratio(hits, found)))
    return tuple(rows)


def _ratio(hits: int, of: NDArray[np.bool_]) -> float | None:
    total = int(of.sum())
    return hits / total if total else None
