"""The section on a network's answers: what of them is right, by kind of output."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network
from export.pages.answer_figures import plot_confusion, plot_misclassified
from export.pages.page import Drawing, Section
from export.pages.single import single
from export.pages.value_figures import plot_values
from snn_ssm.kinds.outputs.answered import answered
from snn_ssm.tasks import TASKS

_PICTURES = ("smnist", "image", "pathfinder", "path-x")  # tasks that read a picture row by row


@dataclass(frozen=True)
class Answers:
    """``samples`` (B, C, L); ``labels`` and ``predictions`` as :class:`snn_ssm.tasks.Samples` has
    labels; ``lengths`` (B,) or None."""

    network: Network
    samples: NDArray[Any]
    labels: NDArray[Any]
    predictions: NDArray[Any]
    lengths: NDArray[np.int64] | None = None


def answers(given: Answers) -> Section:
    """The figures and tables of the answers, of the network's kind of output."""
    return _SECTIONS[given.network.readout.output](given)


def _confusion(
    labels: NDArray[Any], predictions: NDArray[Any], names: tuple[str, ...], what: str
) -> Drawing:
    plot_confusion(labels, predictions, names)  # refuses what does not fit
    wide = 0.08 * max(map(len, names))  # of their names
    right = int((labels == predictions).sum())
    return Drawing(
        single(
            partial(plot_confusion, labels, predictions, names), 1.6 + 0.36 * len(names),
            most=1.9 + 0.42 * len(names) + wide,
        ),
        f"Confusion matrix: {what} of each class by the class they were taken for; the shade "
        "is the share of the row.",
        f"Confusion matrix of {len(labels)} {what} in {len(names)} classes: {right} on the "
        f"diagonal, {len(labels) - right} off it.",
        half=True,
    )


def _of_classes(given: Answers) -> Section:
    """The confusion matrix, and the samples that were taken for another class."""
    labels, predictions, names = given.labels, given.predictions, given.network.names
    drawings = [_confusion(labels, predictions, names, "samples")]
    wrong = np.flatnonzero(labels != predictions)
    if not len(wrong):
        text = f"All {len(labels)} samples were taken for what they are."
        return Section("Answers", [text], drawings=drawings)
    listed = ", ".join(
        f"sample {b}: {names[labels[b]]} taken for {names[predictions[b]]}" for b in wrong[:12]
    )
    more = f", and {len(wrong) - 12} more" if len(wrong) > 12 else ""
    drawings.append(
        Drawing(
            lambda width: plot_misclassified(
                given.samples, labels, predictions, side=_side(given.network), width=width,
                names=names,
            ),
            "Samples that were taken for another class: number, label → answer"
            + (" (the first 12)." if more else "."),
            f"Inputs of the misclassified samples; {listed}.",
        )
    )
    text = f"{len(wrong)} of {len(labels)} samples were taken for another class: {listed}{more}."
    return Section("Answers", [text], drawings=drawings)


def _side(network: Network) -> int | None:
    """Rows of the picture that the task reads row by row; None for other tasks or lengths."""
    name = network.origin.get("task", {}).get("name", "")
    if name not in _PICTURES or network.source.channels != 1:
        return None
    whole = network.steps == TASKS[name].config().task.steps
    return math.isqrt(network.steps) if whole else None


def _of_labels(given: Answers) -> Section:
    """The confusion matrix of all steps that have a label."""
    network = given.network
    steps = np.eye(len(network.names))[given.predictions]  # (B, L, K), the answer's score is 1
    found, labels = answered(steps, given.labels, given.lengths)
    labels = np.asarray(labels)
    right = int((found.argmax(1) == labels).sum())
    text = f"{right:,} of {len(labels):,} labelled steps were taken for what they are."
    drawing = _confusion(labels, found.argmax(1), network.names, "steps")
    return Section("Answers", [text], [_rows(given, found)], drawings=[drawing])


def _of_values(given: Answers) -> Section:
    """Each value over what it should be."""
    names = given.network.names
    found, targets = answered(given.predictions.astype(np.float64), given.labels, given.lengths)
    targets = np.asarray(targets)
    drawing = Drawing(
        partial(plot_values, targets, found, names),
        "Answers over what they should be; on the line they are equal.",
        f"Scatter of {len(found)} answers over their targets, a panel a value of "
        f"{', '.join(names)}.",
    )
    text = f"{len(found):,} answers of {len(names)} values."
    return Section("Answers", [text], [_rows(given, found)], drawings=[drawing])


def _of_multi_label(given: Answers) -> Section:
    """A table of the labels."""
    scores = given.predictions - 0.5  # above 0 where a label is said to hold
    right = int((given.predictions == given.labels).all(axis=1).sum())
    text = f"{right} of {len(given.labels)} samples are right in every label."
    return Section("Answers", [text], [_rows(given, scores)])


def _rows(given: Answers, scores: NDArray[Any]) -> list[dict[str, object]]:
    """A row a class, label or value of scores (N, K)."""
    network = given.network
    labels = given.labels
    if network.readout.each_step:
        shaped = np.zeros((*given.labels.shape[:2], len(network.names)))
        labels = answered(shaped, given.labels, given.lengths)[1]  # type: ignore[assignment]
    kind = network.readout.answers
    rows = kind.metrics(kind.counts(scores, labels), network.names)["classes"]
    return [
        {key: "-" if value is None else _said(value) for key, value in row.items()} for row in rows
    ]


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


_SECTIONS: Mapping[str, Callable[[Answers], Section]] = {
    "classes": _of_classes,
    "labels": _of_labels,
    "values": _of_values,
    "multi-label": _of_multi_label,
}
