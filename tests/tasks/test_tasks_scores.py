"""The table of classes: counts, sensitivities and predictive values."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snn_ssm.tasks.mitbih import CLASSES
from snn_ssm.tasks.scores import ClassScore, class_table


def test_a_class_table_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    predictions = np.array([0, 0, 1, 2, 1, 0, 0])
    assert class_table(labels, predictions, "NSVF") == (
        ClassScore("N", 4, 0.5, 0.5), ClassScore("S", 2, 0.5, 0.5), ClassScore("V", 1, 0.0, 0.0),
        ClassScore("F", 0, None, None),
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_a_class_table_is_that_of_the_confusion_matrix(items):
    labels = np.array([label for label, _ in items], np.int64)
    predictions = np.array([found for _, found in items], np.int64)
    matrix = [[items.count((i, j)) for j in range(4)] for i in range(4)]
    for i, row in enumerate(class_table(labels, predictions, CLASSES)):
        actual, found = sum(matrix[i]), sum(matrix[j][i] for j in range(4))
        assert (row.name, row.count) == (CLASSES[i], actual)
        assert row.sensitivity == (matrix[i][i] / actual if actual else None)
        assert row.predictivity == (matrix[i][i] / found if found else None)
