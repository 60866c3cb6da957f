"""How sure an answer is, and when it suffices: two rules, and the file that holds both.

Dynamic Confidence: ``c_k = max softmax(scores_k / T_k)``, and the answer suffices at the first step
k of those asked at which c_k exceeds a threshold. The temperatures T_k are fitted
(:mod:`export.streaming.calibration`), one for each of those steps: what half a sample says is less
sure than its scores are large. Source: Li, Jones & Furber 2023, arXiv 2303.10276 (one temperature).

Conformal sets (SpikeCP): at some of those steps the set ``{c: -log softmax(scores_k / T_k)_c <=
q_k}`` holds the class with a probability of at least P whichever of them one stops at, for samples
like those that it was calibrated with: q_k is the quantile of the labels' own at the level
``1 - (1 - P) / m`` of m steps. The answer suffices at the first at which one class is left. Source:
Chen, Park, Popovski & Simeone 2023, arXiv 2305.11322.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from operator import index
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from pynn_models.errors import SnnSsmError
from snn_ssm.files import read_bytes, sha256, write_atomic
from snn_ssm.reading import LARGEST_TEXT, parse_json

Decided = NDArray[np.bool_]

CONFIDENCE_FILE = "confidence.json"
_SCHEMA = 1


class ConfidenceError(SnnSsmError):
    """A confidence that is not calibrated, is of another model, or was altered."""


class Rule(Protocol):
    """When an answer suffices. ``steps``: those at which it is asked, ascending."""

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps at which it is asked."""

    def ask(self, step: int, scores: FloatArray) -> tuple[FloatArray, Decided]:
        """How sure scores (B, K) after so many steps are, (B,), and whether they suffice, (B,)."""


@dataclass(frozen=True)
class Confidence:
    """What calibration found, for the model whose arrays have the SHA-256 ``model``.

    ``steps``: those at which an answer is asked for, the last the whole sample; ``temperatures``,
    one each. ``set_steps``: those of them at which sets are made; ``quantiles``: by coverage P, as
    it is written, q at each of them (null: every class belongs). ``curve``: thresholds, with the
    mean share of steps and the accuracy that they had on the samples of calibration; ``samples``:
    how many those were, and of what.
    """

    model: str
    steps: tuple[int, ...]
    temperatures: tuple[float, ...]
    set_steps: tuple[int, ...]
    quantiles: Mapping[str, tuple[float | None, ...]]
    curve: tuple[tuple[float, float, float], ...]
    samples: int
    data: str

    def temperature(self, step: int) -> float:
        """Of one of its steps."""
        return self.temperatures[self.steps.index(step)]

    def sure(self, step: int, scores: FloatArray) -> FloatArray:
        """``max softmax(scores / T)`` of scores (B, K) after so many steps, (B,)."""
        return np.exp(log_softmax(scores, self.temperature(step)).max(axis=-1))


def log_softmax(scores: FloatArray, temperature: FloatArray | float) -> FloatArray:
    """``log softmax(scores / T)`` over the last axis."""
    scaled = scores / temperature
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True)))


@dataclass(frozen=True)
class ThresholdRule:
    """Dynamic Confidence: the answer suffices where c_k > ``threshold``."""

    confidence: Confidence
    threshold: float

    @property
    def steps(self) -> tuple[int, ...]:
        return self.confidence.steps

    def ask(self, step: int, scores: FloatArray) -> tuple[FloatArray, Decided]:
        sure = self.confidence.sure(step, scores)
        return sure, sure > self.threshold


@dataclass(frozen=True)
class SetRule:
    """Conformal sets of a coverage: the answer suffices where at most one class is left."""

    confidence: Confidence
    coverage: float

    @property
    def steps(self) -> tuple[int, ...]:
        return self.confidence.set_steps

    def classes(self, step: int, scores: FloatArray) -> Decided:
        """Which classes the sets of scores (B, K) after so many steps hold, (B, K)."""
        place = self.confidence.set_steps.index(step)
        quantile = self.confidence.quantiles[repr(self.coverage)][place]
        limit = math.inf if quantile is None else quantile
        return -log_softmax(scores, self.confidence.temperature(step)) <= limit

    def sets(self, steps: NDArray[np.int64], scores: FloatArray) -> Decided:
        """:meth:`classes` of scores (B, K) of which each is after its own step (B,)."""
        held = np.zeros(scores.shape, np.bool_)
        for step in np.unique(steps):
            held[steps == step] = self.classes(int(step), scores[steps == step])
        return held

    def ask(self, step: int, scores: FloatArray) -> tuple[FloatArray, Decided]:
        left = self.classes(step, scores).sum(axis=-1)
        return self.confidence.sure(step, scores), left <= 1


def rule_of(
    confidence: Confidence, *, threshold: float | None = None, coverage: float | None = None
) -> Rule:
    """The rule of a threshold, or of a coverage; raises :class:`ConfidenceError`."""
    if (threshold is None) == (coverage is None):
        raise ConfidenceError(
            "a rule has a threshold of confidence or a coverage; expected one of the two. Leave "
            "out the other."
        )
    if threshold is not None:
        if not 0 < threshold < 1:
            raise ConfidenceError(
                f"the confidence is {threshold}; expected a number between 0 and 1, such as 0.99."
            )
        return ThresholdRule(confidence, threshold)
    if repr(coverage) not in confidence.quantiles:
        raise ConfidenceError(
            f"the coverage is {coverage}; calibrated are {', '.join(confidence.quantiles)}. Use "
            "one of these."
        )
    return SetRule(confidence, float(coverage or 0))


def save_confidence(confidence: Confidence, directory: Path) -> None:
    """Write ``confidence.json`` into a directory of a checkpoint or network, with its SHA-256."""
    table = {"schema": _SCHEMA, **asdict(confidence)}
    text = json.dumps({**table, "sha256": _seal(table)}, indent=1)
    write_atomic(Path(directory) / CONFIDENCE_FILE, text.encode())


def _seal(table: Mapping[str, Any]) -> str:
    return sha256(json.dumps(table, sort_keys=True).encode())


def _rebuilt(table: Mapping[str, Any], steps: int) -> Confidence:
    """What the file's table says; raises ``ValueError`` and its like for what is none."""
    found = Confidence(
        **dict(table)
        | {key: tuple(map(index, table[key])) for key in ("steps", "set_steps")}
        | {"temperatures": tuple(map(_number, table["temperatures"]))}
        | {
            "quantiles": {
                k: tuple(None if q is None else _number(q) for q in v)
                for k, v in table["quantiles"].items()
            }
        }
        | {"curve": tuple((_number(t), _number(s), _number(a)) for t, s, a in table["curve"])}
    )
    ascending = all(a < b for a, b in pairwise((0, *found.steps)))
    if not (ascending and found.steps[-1:] == (steps,)):
        raise ValueError(f"its steps do not ascend to the {steps} of a sample")
    if len(found.temperatures) != len(found.steps) or min(found.temperatures) <= 0:
        raise ValueError("it lacks a temperature above 0 for each step")
    if found.set_steps[-1:] != (steps,) or not set(found.set_steps) <= set(found.steps):
        raise ValueError("its sets are made at other steps")
    if any(len(q) != len(found.set_steps) for q in found.quantiles.values()):
        raise ValueError("it lacks a quantile for each set")
    return found


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:40]!r} is no finite number")
    return float(value)


def model_of(network: Network) -> str:
    """Whose answers they are: the SHA-256 of the trained model, with that of its quantised input.

    Rounded values have other answers, for which nothing calibrated on the others promises.
    """
    model, source = str(network.origin.get("model_sha256", "")), network.source
    if not source.kind.fractions:
        return model
    return sha256(f"{model} {source.bits} {source.fraction}".encode())


def load_confidence(directory: Path, network: Network) -> Confidence:
    """What stands beside a network; raises :class:`ConfidenceError`."""
    path = Path(directory) / CONFIDENCE_FILE
    if not path.exists():
        raise ConfidenceError(
            f"there is no {path}: nothing is known about how sure its answers are. Run 'snn-ssm "
            "calibrate CHECKPOINT NETWORK --data DIR'."
        )
    try:
        table = parse_json(read_bytes(path, "confidence", LARGEST_TEXT))
        seal = table.pop("sha256")
        if table.pop("schema") != _SCHEMA or seal != _seal({"schema": _SCHEMA, **table}):
            raise ValueError("its SHA-256 or its schema is another")
        found = _rebuilt(table, network.steps)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ConfidenceError(
            f"{path} was altered, or is of another version ({error}). Calibrate anew."
        ) from error
    if "model_sha256" not in network.origin or found.model != model_of(network):
        raise ConfidenceError(
            f"{path} was calibrated for another model than that of this network, or for another "
            "quantised input. Calibrate the checkpoint that it was exported from, and it: "
            "'snn-ssm calibrate CHECKPOINT NETWORK --data DIR'."
        )
    return found
