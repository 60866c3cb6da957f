"""Scores -> answers: which class, label or value, how sure, and how many are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from snn_ssm.kinds.outputs import OutputKind
from snn_ssm.kinds.outputs.answered import answered, no_counts


def decide(network: Network, scores: FloatArray) -> NDArray[Any]:
    """The answers to scores (B, K) or (B, L, K): a class each, or K labels or values."""
    return _shaped(network.readout.answers.decide(_flat(scores)), scores)


def confidence(network: Network, scores: FloatArray) -> FloatArray | None:
    """How sure each answer is, a share of 1, of the answers' shape; None of values.

    A class: its share of the softmax of the scores; a label: its probability.
    """
    found = network.readout.answers.confidence(_flat(scores))
    return None if found is None else np.asarray(_shaped(found, scores))


def _flat(scores: FloatArray) -> FloatArray:
    return scores.reshape(-1, scores.shape[-1])


def _shaped(answers: NDArray[Any], scores: FloatArray) -> NDArray[Any]:
    return answers.reshape(*scores.shape[:-1], *answers.shape[1:])


@dataclass
class Counted:
    """Sums over answers, of which those of parts of the samples are added up."""

    kind: OutputKind
    names: tuple[str, ...]
    counts: FloatArray

    @classmethod
    def of(cls, network: Network) -> Counted:
        """None yet, of a network's answers."""
        kind, names = network.readout.answers, network.names
        return cls(kind, names, no_counts(kind, len(names)))

    def add(
        self, scores: FloatArray, labels: NDArray[Any], lengths: NDArray[np.int64] | None
    ) -> FloatArray:
        """Count the answers of some samples; returns their own counts."""
        found, expected = answered(scores, labels, lengths)
        own = self.kind.counts(found, np.asarray(expected))
        self.merge(own)
        return own

    def merge(self, counts: FloatArray) -> None:
        """Count what others have counted."""
        self.counts = self.kind.merge(self.counts, counts)

    def metrics(self) -> dict[str, Any]:
        """How good they are, and ``classes``, a row a class or value."""
        return self.kind.metrics(self.counts, self.names)

    def headline(self) -> str:
        """The same in a few words."""
        return self.kind.headline(self.metrics())
