"""The kinds of output: how scores are decided and counted, and that parts add up to the whole."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_ssm.kinds.outputs import OUTPUTS
from snn_ssm.kinds.outputs.answered import answered, no_counts

CLASSES = OUTPUTS["classes"]
NAMES = ("N", "S", "V", "F")


def one_hot(predictions, count=4):
    return np.eye(count)[np.asarray(predictions, np.int64)].reshape(-1, count)


def metrics(kind, scores, labels, names=NAMES):
    return kind.metrics(kind.counts(np.asarray(scores, float), np.asarray(labels)), names)


def test_a_class_table_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    found = metrics(CLASSES, one_hot([0, 0, 1, 2, 1, 0, 0]), labels)
    assert found["accuracy"] == 3 / 7
    rows = [(r["name"], r["count"], r["sensitivity"], r["predictivity"]) for r in found["classes"]]
    assert rows == [
        ("N", 4, 0.5, 0.5), ("S", 2, 0.5, 0.5), ("V", 1, 0.0, 0.0), ("F", 0, None, None),
    ]
    assert [row["f1"] for row in found["classes"]] == [0.5, 0.5, 0.0, None]
    assert found["macro_f1"] == pytest.approx(1 / 3)  # of the classes that there are


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_a_class_table_is_that_of_the_confusion_matrix(items):
    labels, predictions = np.array(items).T
    matrix = [[items.count((i, j)) for j in range(4)] for i in range(4)]
    found = metrics(CLASSES, one_hot(predictions), labels)
    assert found["accuracy"] == float((labels == predictions).mean())
    for i, row in enumerate(found["classes"]):
        actual, taken = sum(matrix[i]), sum(matrix[j][i] for j in range(4))
        assert (row["name"], row["count"]) == (NAMES[i], actual)
        assert row["sensitivity"] == (matrix[i][i] / actual if actual else None)
        assert row["predictivity"] == (matrix[i][i] / taken if taken else None)


def test_values_by_hand():
    kind = OUTPUTS["values"]
    scores, targets = [[1.0, 5.0], [2.0, 5.0], [4.0, 6.0]], [[1.0, 5.0], [3.0, 5.0], [5.0, 5.0]]
    found = metrics(kind, scores, targets, ("a", "b"))
    a, b = found["classes"]
    assert a["r2"] == pytest.approx(1 - 2 / 8) and a["mae"] == pytest.approx(2 / 3)
    assert b["r2"] is None and b["mse"] == pytest.approx(1 / 3)  # a constant has no spread
    assert found["r2"] == a["r2"] and found["accuracy"] is None
    assert kind.headline(found) == "R^2 0.75, mean absolute error 0.5"
    assert (kind.decide(np.array(scores)) == scores).all()
    assert kind.confidence(np.ones((1, 2))) is None


def test_labels_that_may_all_hold_by_hand():
    kind = OUTPUTS["multi-label"]
    scores, labels = [[1.0, -1.0], [2.0, 0.0], [-3.0, 1.0]], [[1, 0], [0, 0], [1, 1]]
    found = metrics(kind, scores, labels, ("a", "b"))
    assert found["accuracy"] == 4 / 6 and found["exact"] == 1 / 3
    a, b = found["classes"]
    assert (a["count"], a["sensitivity"], a["predictivity"], a["f1"]) == (2, 0.5, 0.5, 0.5)
    assert (b["count"], b["sensitivity"], b["predictivity"], b["f1"]) == (1, 1.0, 1.0, 1.0)
    assert kind.decide(np.array(scores)).tolist() == [[1, 0], [1, 0], [0, 1]]
    assert kind.confidence(np.array([[0.0, 1000.0]])).tolist() == [[0.5, 1.0]]


def test_confidence_is_the_share_of_the_softmax():
    scores = np.log([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25]]) + 1000
    assert CLASSES.confidence(scores) == pytest.approx([0.7, 0.5])


@pytest.mark.parametrize("name", OUTPUTS)
def test_counts_of_parts_add_up_to_those_of_the_whole(name):
    kind, rng = OUTPUTS[name], np.random.default_rng(0)
    scores = rng.normal(size=(50, 4))
    labels = rng.integers(0, 2 if kind.vector else 4, (50, 4) if kind.vector else 50)
    parts = [kind.counts(scores[i : i + 7], labels[i : i + 7]) for i in range(0, 50, 7)]
    whole = kind.counts(scores, labels)
    assert np.allclose(reduce(kind.merge, parts, no_counts(kind, 4)), whole)
    found = kind.metrics(whole, NAMES)
    assert kind.score in found and len(found["classes"]) == 4
    assert kind.headline(found) and kind.headline(kind.metrics(no_counts(kind, 4), NAMES))


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e9, -1e12])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_values_far_from_0_keep_their_spread(mean, size):
    """R^2 is that of the targets less their mean, in parts of any size, and in any order."""
    kind, rng = OUTPUTS["values"], np.random.default_rng(0)
    offsets = rng.integers(-8, 9, (100, 2)) / 8.0  # exact next to any of the means
    errors = rng.integers(-8, 9, (100, 2)) / 16.0
    targets = mean + offsets
    parts = [
        kind.counts(targets[i : i + size] + errors[i : i + size], targets[i : i + size])
        for i in range(0, 100, size)
    ]
    spread = (offsets - offsets.mean(0)) ** 2
    expected = 1 - (errors**2).sum(0) / spread.sum(0)
    for order in (parts, parts[::-1], [no_counts(kind, 2), *parts, no_counts(kind, 2)]):
        found = kind.metrics(reduce(kind.merge, order), ("a", "b"))
        assert np.allclose([row["r2"] for row in found["classes"]], expected, rtol=1e-9)
        assert [row["count"] for row in found["classes"]] == [100, 100]


@pytest.mark.parametrize("value", [0.1, 1e9 / 3, -7e-9])
def test_a_constant_has_no_r2_in_parts_either(value):
    kind, targets = OUTPUTS["values"], np.full((30, 1), value)
    parts = [kind.counts(targets[i : i + 7] + 0.5, targets[i : i + 7]) for i in range(0, 30, 7)]
    found = kind.metrics(reduce(kind.merge, parts), ("a",))
    assert found["r2"] is None and found["mse"] == pytest.approx(0.25)


def test_same_answers_of_two_runs():
    a = np.array([[1.0, 2.0], [3.0, -1.0]])
    assert CLASSES.same(a, a[:, ::-1]).tolist() == [False, False]
    assert OUTPUTS["multi-label"].same(a, np.abs(a)).tolist() == [True, False]
    moved = a + np.array([[0.002, 0], [0.01, 0]])
    assert OUTPUTS["values"].same(a, moved).tolist() == [True, False]


def test_steps_that_count_are_those_of_the_sample_that_have_a_label():
    scores = np.arange(24.0).reshape(2, 4, 3)
    labels = np.array([[0, -1, 2, 1], [1, 1, 0, 0]])
    found, expected = answered(scores, labels, np.array([4, 2]))
    assert expected.tolist() == [0, 2, 1, 1, 1]
    assert found.tolist() == scores[[0, 0, 0, 1, 1], [0, 2, 3, 0, 1]].tolist()
    whole, _ = answered(scores, None, None)
    assert whole.shape == (8, 3)
