"""examples/own_data.py: what it makes of public recordings is what ``own`` reads."""

import numpy as np
import pytest
from support.files import load_example
from support.mitbih_files import EVERY, noise, packed_arrays

from snn_ssm.config import TaskConfig, to_dict
from snn_ssm.tasks import own
from snn_ssm.tasks.mitbih import PACKED
from snn_ssm.tasks.wfdb import Recording


@pytest.fixture
def example(monkeypatch):
    module = load_example("own_data")
    monkeypatch.setattr(module, "COUNTS", {"train": 40, "valid": 10, "test": 10})
    return module


def test_activities_are_ragged_samples_of_people_apart(example, tmp_path):
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(20), 900)
    codes = np.tile(np.repeat([ord(c) for c in "ABC"], 300), 20)
    signal = np.repeat(users, 3).reshape(-1, 3) + rng.normal(0, 0.01, (len(users), 3))
    np.savez(tmp_path / "watch.npz", user=users, activity=codes, xyz=signal)
    example.main("activity", tmp_path / "watch.npz", tmp_path / "out")
    table = own.derived(tmp_path / "out", to_dict(own.OWN.config()), set())
    assert tuple(table["task"]["classes"]) == ("jogging", "stairs", "walking")
    people = {}
    for split in ("train", "valid", "test"):
        found = own.read_recordings(tmp_path / "out" / f"{split}.npz", TaskConfig("own"))
        assert found.lengths.min() >= 60 and found.longest <= 100 and found.sample_rate == 20
        people[split] = set(np.rint(found.inputs[:, 0, 0]).astype(int).tolist())
    assert all(people[a].isdisjoint(people[b]) for a, b in
               [("train", "valid"), ("train", "test"), ("valid", "test")])


@pytest.mark.parametrize("wanted", ["next", "phase"])
def test_hearts_have_an_answer_at_each_step(example, tmp_path, wanted):
    times, symbols = np.arange(90, 1500, 270), np.frombuffer(b"NNNNNN", np.uint8)
    recordings = {
        name: Recording(noise(1500, i), times, symbols) for i, name in enumerate(EVERY)
    }
    np.savez(tmp_path / PACKED, **packed_arrays(recordings))
    example.main(wanted, tmp_path, tmp_path / "out")
    found = own.read_recordings(tmp_path / "out" / "train.npz", TaskConfig("own"))
    assert found.inputs.shape == (40, 1, 240)
    if wanted == "next":
        level = found.inputs[:, 0].astype(float)
        np.testing.assert_allclose(
            found.answers[:, 0, :-1] * 16 + 128, level[:, 1:], atol=1e-9
        )
    else:
        assert found.names == example.PHASES and set(np.unique(found.answers)) == {0, 1, 2}
        assert (found.answers == 1).mean() == pytest.approx(14 / 90, abs=0.03)  # 14 steps of a beat


def test_another_word_is_told_what_there_is(example, tmp_path):
    with pytest.raises(SystemExit, match="activity"):
        example.main("other", tmp_path, tmp_path / "out")
