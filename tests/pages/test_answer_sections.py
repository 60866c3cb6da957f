"""The section on answers, of every kind of output."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.random_networks import checkpoint_of, samples_of

from export import lower
from export.pages.answer_sections import Answers, answers
from export.pages.figure_style import ReportError
from export.pages.value_figures import plot_values
from export.samples import decide, logits
from export.software import simulation as software
from snn_ssm.checkpoint import Checkpoint
from snn_ssm.config import Config, TaskConfig

LENGTHS = np.array([3, 20, 7, 12])
NAMES = ("north", "east", "south")


def given(labels, **model):
    """The answers of a random network of three names, and what they should be."""
    made = checkpoint_of(1, steps=20, **model)
    task = TaskConfig("own", 20, classes=NAMES)
    checkpoint = Checkpoint(Config(task, made.config.model), made.arrays)
    network, samples = lower(checkpoint), samples_of(checkpoint, 4)
    scores = logits(network, samples, software.run(network, samples), LENGTHS)
    return Answers(network, samples, labels, decide(network, scores), LENGTHS)


def drawn(section):
    for drawing in section.drawings:
        assert isinstance(drawing.draw(6.0), Figure) and drawing.caption and drawing.alt


def test_classes_by_their_names():
    found = given(np.array([0, 1, 2, 0]))
    section = answers(found)
    wrong = int((found.predictions != found.labels).sum())
    assert wrong and f"{wrong} of 4 samples were taken for another class" in section.text[0]
    b = int(np.argmax(found.predictions != found.labels))
    taken = f"sample {b}: {NAMES[found.labels[b]]} taken for {NAMES[found.predictions[b]]}"
    assert taken in section.text[0]
    drawn(section)


def test_labels_count_the_steps_of_the_samples():
    labels = np.random.default_rng(0).integers(-1, 3, (4, 20))
    found = given(labels, output="labels", pooling="last")
    section = answers(found)
    counted = (np.arange(20) < LENGTHS[:, None]) & (labels >= 0)
    right = int((counted & (found.predictions == labels)).sum())
    said = f"{right:,} of {int(counted.sum()):,} labelled steps were taken for what they are."
    assert said == section.text[0]
    assert [row["name"] for row in section.tables[0]] == list(NAMES)
    drawn(section)


@pytest.mark.parametrize("per_step", [False, True])
def test_values_over_their_targets(per_step):
    shape = (4, 20, 3) if per_step else (4, 3)
    targets = np.random.default_rng(0).normal(size=shape)
    section = answers(given(targets, output="values", per_step=per_step))
    count = int(LENGTHS.sum()) if per_step else 4
    assert section.text[0] == f"{count:,} answers of 3 values."
    assert set(section.tables[0][0]) == {"name", "count", "r2", "mae", "mse"}
    drawn(section)


def test_labels_that_may_all_hold():
    labels = np.array([[0, 1, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]])
    found = given(labels, output="multi-label")
    section = answers(found)
    right = int((found.predictions == labels).all(axis=1).sum())
    assert section.text[0] == f"{right} of 4 samples are right in every label."
    assert [row["count"] for row in section.tables[0]] == ["2", "3", "2"]


def test_values_that_cannot_be_drawn():
    with pytest.raises(ReportError, match=r"targets have shape \(3, 2\), answers \(3, 1\)"):
        plot_values(np.zeros((3, 2)), np.zeros((3, 1)), ["a", "b"])
