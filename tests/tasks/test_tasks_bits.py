"""N-parity and delayed match to sample: their bits, their answers, and what they ask of a model."""

from pathlib import Path

import numpy as np
import pytest
from support.files import ROOT

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import DataError, load_samples
from snn_ssm.tasks.bits import N_DMS, N_PARITY, match, parity

NOWHERE = Path("/nonexistent")


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_answers_are_those_of_their_own_bits(steps):
    for task in (N_PARITY, N_DMS):
        samples = task.load(NOWHERE, "test", TaskConfig(task.name, steps))
        assert samples.inputs.shape == (2000, 1, steps) and set(np.unique(samples.inputs)) == {0, 1}
        first = samples.head(50)
        for bits, label in zip(first.inputs[:, 0].tolist(), first.labels.tolist(), strict=True):
            odd, same = sum(bits) % 2, int(bits[0] == bits[-1])
            assert label == (odd if task is N_PARITY else same)
        if steps > 1:
            assert 0.45 < samples.labels.mean() < 0.55


def test_answers_by_hand():
    bits = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 1], [0, 1, 1]], np.uint8)
    assert parity(bits).tolist() == [0, 1, 1, 0] and match(bits).tolist() == [1, 0, 1, 0]


def test_samples_are_always_the_same_and_splits_differ():
    task = TaskConfig("n-parity", 20)
    one, two = (N_PARITY.load(NOWHERE, "train", task) for _ in range(2))
    assert (one.inputs == two.inputs).all() and len(one) == 10_000
    test = N_PARITY.load(NOWHERE, "test", task)
    assert (test.inputs != one.inputs[:2000]).any()
    few = load_samples(ROOT, "train", TaskConfig("n-parity", 20, train_samples=30))
    assert len(few) == 30


def test_too_many_bits_for_the_memory():
    with pytest.raises(DataError, match="the samples of 'n-parity' would take"):
        N_PARITY.load(NOWHERE, "train", TaskConfig("n-parity", 2**24))


@pytest.mark.parametrize("task", [N_PARITY, N_DMS], ids=lambda t: t.name)
def test_nothing_is_fetched(task, tmp_path):
    task.download(tmp_path)
    assert list(tmp_path.iterdir()) == []
