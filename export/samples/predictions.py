"""Answers as a file: a table of CSV, or arrays in an ``.npz``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from export.samples.answers import confidence, decide
from pynn_models.errors import SnnSsmError
from snn_ssm.files import write_atomic


class PredictionError(SnnSsmError):
    """A file of a kind in which answers are not written."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """``scores`` (B, K), or (B, L, K) of each step, and all that follows from them.

    ``lengths`` (B,): the steps of each sample that count; None: all. ``steps`` (B,): how many were
    needed where answers came early, and ``sure`` (B,) how sure these are. ``samples``: what the
    samples are called, where the data name them.
    """

    network: Network
    scores: FloatArray
    lengths: NDArray[np.int64] | None = None
    steps: NDArray[np.int64] | None = None
    sure: FloatArray | None = None
    samples: tuple[str, ...] = ()

    @property
    def answers(self) -> NDArray[Any]:
        """Numbers of classes, K labels of 0 and 1, or K values."""
        return decide(self.network, self.scores)

    @property
    def confidence(self) -> FloatArray | None:
        """How sure each answer is; None of values."""
        return self.sure if self.sure is not None else confidence(self.network, self.scores)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What an ``.npz`` holds: ``answers``, ``scores``, ``names``, and where there are any
        ``confidence``, ``lengths``, ``steps`` and ``samples``."""
        found: dict[str, Any] = {
            "answers": self.answers, "scores": self.scores, "names": np.array(self.network.names),
            "confidence": self.confidence, "lengths": self.lengths,
            "steps": self.steps, "samples": np.array(self.samples) if self.samples else None,
        }
        return {name: array for name, array in found.items() if array is not None}

    def rows(self) -> Iterator[dict[str, object]]:
        """A row an answer: the sample, by its name or its number, the step where each is answered,
        and what was answered."""
        answers, sure, names = self.answers, self.confidence, self.network.names
        kind = self.network.readout.answers
        for b in range(len(self.scores)):
            for at, step in self._places(b):
                called = self.samples[b] if self.samples else b
                row: dict[str, object] = {"sample": called, **step}
                if kind.vector:
                    row |= {name: answers[at][k] for k, name in enumerate(names)}
                    if sure is not None:
                        row |= {f"confidence_{name}": sure[at][k] for k, name in enumerate(names)}
                else:
                    row["answer"] = names[int(answers[at])]
                    if sure is not None:
                        row["confidence"] = sure[at]
                if not kind.real:  # of values the scores are the answers
                    row |= {f"score_{name}": self.scores[at][k] for k, name in enumerate(names)}
                yield row

    def _places(self, b: int) -> Iterator[tuple[tuple[int, ...], dict[str, object]]]:
        if not self.network.readout.each_step:
            yield (b,), {} if self.steps is None else {"steps": int(self.steps[b])}
            return
        steps = self.network.steps if self.lengths is None else int(self.lengths[b])
        for k in range(steps):
            yield (b, k), {"step": k}

    def write(self, path: Path) -> None:
        """Write them as the end of the name says; raises :class:`PredictionError`."""
        check_name(path)
        write_atomic(path, _WRITERS[path.suffix](self))


def _csv(found: Predictions) -> bytes:
    text = io.StringIO()
    writer: Any = None
    for row in found.rows():
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({key: _text(value) for key, value in row.items()})
    return text.getvalue().encode()


def _text(value: object) -> str:
    return repr(float(value)) if isinstance(value, np.floating) else str(value)


def _npz(found: Predictions) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **found.arrays())  # type: ignore[arg-type]
    return content.getvalue()


_WRITERS: Mapping[str, Callable[[Predictions], bytes]] = {".csv": _csv, ".npz": _npz}


def check_name(path: Path) -> None:
    """Raise :class:`PredictionError` for a name that says no kind of file known here."""
    if path.suffix not in _WRITERS:
        raise PredictionError(
            f"answers cannot be written to {path}; expected a name that ends in "
            f"{' or '.join(_WRITERS)}. Name such a file with --out."
        )
