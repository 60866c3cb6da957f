"""What a rule does to samples that were run whole: where each would have stopped, at what price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.inspection import table
from export.description.network import FloatArray, Network
from export.samples.messages import sent
from export.samples.recording import Recording
from export.streaming.confidence import Confidence, Rule, SetRule, ThresholdRule

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Exits:
    """By sample: the ``place`` (B,) of the rule's step at which it stopped, that ``steps`` (B,),
    the ``scores`` (B, K) there, and how ``sure`` they are (B,)."""

    place: Indices
    steps: Indices
    scores: FloatArray
    sure: FloatArray

    @property
    def labels(self) -> Indices:
        """The class of the highest score, (B,)."""
        return np.asarray(self.scores.argmax(axis=-1), dtype=np.int64)


def exits(rule: Rule, scores: FloatArray) -> Exits:
    """Where a rule stops.

    ``scores`` (B, n, K) at its n steps. What never suffices stops at the last of them.
    """
    asked = rule.steps
    place = np.full(len(scores), len(asked) - 1)
    sure = np.empty(scores.shape[:2])
    for i in reversed(range(len(asked))):
        sure[:, i], suffices = rule.ask(asked[i], scores[:, i])
        place[suffices] = i
    at = (np.arange(len(scores)), place)
    return Exits(place, np.array(asked)[place], scores[at], sure[at])


def counts(network: Network, recording: Recording, steps: tuple[int, ...]) -> Indices:
    """Spikes that all layers send in the first k steps of each sample, k of ``steps``: (B, n)."""
    found = []
    for spikes in sent(network, recording).values():
        by_step = spikes.sum(axis=2, dtype=np.int64).cumsum(axis=1)  # (B, L)
        found.append(by_step[:, np.array(steps) - 1])
    return np.asarray(np.sum(found, axis=0), dtype=np.int64)


def measured(
    found: Confidence, scores: FloatArray, spikes: Indices, labels: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """A row a rule, on samples that were not calibrated with, the first row of whole samples.

    ``scores`` (B, n, K) and ``spikes`` (B, n) at ``found.steps``, ``labels`` (B,). ``steps`` and
    ``spikes``: the mean share of a whole sample's. Of sets ``covered``, the share that hold the
    label, and ``classes``, how many they hold on average.
    """
    whole = found.steps[-1]
    rows = [
        {
            "rule": "whole samples", "steps": 1.0, "spikes": 1.0,
            "accuracy": float((scores[:, -1].argmax(axis=-1) == labels).mean()),
        }
    ]  # fmt: skip
    thresholds: list[tuple[str, Rule]] = [
        (f"confidence {t:g}", ThresholdRule(found, t)) for t, *_ in found.curve
    ]
    sets = [(f"coverage {p}", SetRule(found, float(p))) for p in found.quantiles]
    for name, rule in [*thresholds, *sets]:
        places = [found.steps.index(k) for k in rule.steps]
        stopped = exits(rule, scores[:, places])
        used = spikes[np.arange(len(spikes)), np.array(places)[stopped.place]]
        row = {
            "rule": name,
            "steps": float(stopped.steps.mean() / whole),
            "spikes": float((used / np.maximum(spikes[:, -1], 1)).mean()),
            "accuracy": float((stopped.labels == labels).mean()),
        }
        if isinstance(rule, SetRule):
            held = rule.sets(stopped.steps, stopped.scores)  # (B, K)
            row["covered"] = float(held[np.arange(len(labels)), labels].mean())
            row["classes"] = float(held.sum(axis=1).mean())
        rows.append(row)
    return rows


def describe_rules(rows: list[dict[str, Any]], samples: int) -> str:
    """:func:`measured` as text."""
    header = ["rule", "accuracy", "steps", "spikes", "label in the set", "classes in it"]
    lines = [
        [
            row["rule"], f"{row['accuracy']:.2%}", f"{row['steps']:.1%}", f"{row['spikes']:.1%}",
            f"{row['covered']:.2%}" if "covered" in row else "",
            f"{row['classes']:.2f}" if "classes" in row else "",
        ]
        for row in rows
    ]  # fmt: skip
    return f"On {samples} samples that were not calibrated with:\n\n" + table(header, lines)
