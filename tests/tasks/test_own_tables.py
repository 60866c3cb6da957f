"""Tables and folders as others leave them: answers a row, names, stray files, other notations."""

from pathlib import Path

import numpy as np
import pytest

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import DataError, load_samples
from snn_ssm.tasks.own import derived, read_inputs, read_recordings

TASK = TaskConfig("own", 3)
WORDS = TaskConfig("own", 3, classes=("calm", "rough"))


def table(path, rows, header="sample,x,label"):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.mark.parametrize(("labels", "task", "of_steps"), [
    ([1, 1, 1, 0, 0], TASK, [[1, 1, 1], [0, 0, -1]]),
    (["rough"] * 3 + ["calm"] * 2, WORDS, [[1, 1, 1], [0, 0, -1]]),
    ([1, 1, 1, "", ""], TASK, [[1, 1, 1], [-1, -1, -1]]),
    (["rough"] * 3 + [""] * 2, WORDS, [[1, 1, 1], [-1, -1, -1]]),
    ([""] * 5, TASK, [[-1] * 3, [-1] * 3]),
])
def test_labels_that_change_in_no_sample_are_those_of_steps_where_steps_are_answered(
    tmp_path, labels, task, of_steps
):
    rows = [("a", k, label) for k, label in enumerate(labels[:3])]
    rows += [("b", k, label) for k, label in enumerate(labels[3:])]
    path = table(tmp_path / "test.csv", rows)
    assert load_samples(path, "test", task, each_step=True).labels.tolist() == of_steps
    if -1 in of_steps[1][:2]:
        with pytest.raises(DataError, match=r"recording [01] of .* has an empty label\. Fill it"):
            load_samples(path, "test", task)
        assert read_inputs(path, task).inputs.shape == (2, 1, 3)  # nobody asks for the labels
    else:
        assert load_samples(path, "test", task).labels.tolist() == [1, 0]


def test_so_are_values_and_the_samples_of_a_stride(tmp_path):
    rows = [("a", k, 0.5, 2) for k in range(3)] + [("b", k, 1.5, 4) for k in range(2)]
    path = table(tmp_path / "test.csv", rows, "sample,x,target_u,target_v")
    found = load_samples(path, "test", TASK, each_step=True).labels
    assert found.shape == (2, 3, 2)
    assert (found[0] == [0.5, 2]).all() and (found[1, :2] == [1.5, 4]).all()
    assert load_samples(path, "test", TASK).labels.tolist() == [[0.5, 2], [1.5, 4]]
    strided = TaskConfig("own", 2, stride=2)
    assert load_samples(path, "test", strided, each_step=True).labels.shape == (2, 2, 2)


def test_the_one_class_of_a_folder_is_no_answer_of_steps(tmp_path):
    for name in ("calm", "rough"):
        table(tmp_path / "test" / name / "r.csv", [[1], [2], [3]], "x")
    assert load_samples(tmp_path, "test", WORDS, each_step=True).labels.tolist() == [0, 1]


def test_samples_keep_their_names(tmp_path):
    rows = [("walk 7", 1, 0), ("b", 2, 1), ("walk 7", 3, 0)]
    path = table(tmp_path / "one.csv", rows)
    assert read_inputs(path, TASK).samples == ("walk 7", "b")
    assert read_inputs(table(tmp_path / "two.csv", [[1], [2]], "x"), TASK).samples == ()
    folder = tmp_path / "test"
    table(folder / "calm" / "p1" / "r.csv", [[1], [2]], "x")
    table(folder / "calm" / "p2" / "r.csv", [("u", 1), ("v", 2)], "sample,x")
    names = ("calm/p1/r.csv", "calm/p2/r.csv:u", "calm/p2/r.csv:v")
    assert read_inputs(folder, TASK).samples == names


def test_stray_files_of_other_programs_are_passed_over(tmp_path):
    for name in ("calm", "rough"):
        place = tmp_path / "train" / name
        table(place / "p1" / "r.csv", [[1], [2]], "x")
        for stray in (place, place / "p1", *([tmp_path / "train"] if name == "calm" else [])):
            for left in (".DS_Store", "Thumbs.db", "desktop.ini", "._r.csv"):
                (stray / left).write_bytes(b"\0\1")
            (stray / ".ipynb_checkpoints").mkdir()
            table(stray / ".ipynb_checkpoints" / "r.csv", [[9]], "x")
    found = read_recordings(tmp_path / "train", TASK)
    assert found.answers.tolist() == ["calm", "rough"] and found.inputs.shape == (2, 1, 2)
    table(tmp_path / "train" / "calm" / "notes.txt", [])
    with pytest.raises(DataError, match=r"notes\.txt is no recording that is known here"):
        read_recordings(tmp_path / "train", TASK)


@pytest.mark.parametrize(("sign", "said"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_tables_without_commas_are_refused_by_what_stands_there(tmp_path, sign, said):
    rows = [("a", "1,5", 0), ("a", "2,5", 0)]
    text = "\n".join(sign.join(map(str, row)) for row in [("sample", "x", "label"), *rows])
    (tmp_path / "test.csv").write_text(text)
    with pytest.raises(DataError, match=f"columns with {said} between them; expected commas"):
        read_recordings(tmp_path / "test.csv", TASK)


@pytest.mark.parametrize("value", ["1_000", "1_0.5", "1e1_0"])
def test_numbers_in_the_notation_of_python_are_none(tmp_path, value):
    path = table(tmp_path / "test.csv", [("a", 1, 0), ("a", value, 0)])
    with pytest.raises(DataError, match=rf"column 'x', row 2, is '{value}'; expected a number"):
        read_recordings(path, TASK)


@pytest.mark.parametrize("size", [1e-5, 1e-300])
def test_bins_that_are_too_small_for_memory_are_told_by_their_key(tmp_path, size):
    events = np.array([(0, 0, 0, 1), (10**12, 1, 1, 0)],
                      [("t", int), ("x", int), ("y", int), ("p", int)])
    np.savez(tmp_path / "test.npz", events=events, offsets=[0, 2], labels=[0])
    with pytest.raises(DataError, match=r"Set a larger task\.event_bin \(it is 1e-") as caught:
        read_recordings(tmp_path / "test.npz", TaskConfig("own", 3, event_bin=size))
    assert "task.steps" not in str(caught.value)


def test_a_recording_that_is_too_long_for_memory_is_told(tmp_path, monkeypatch):
    from snn_ssm.tasks import base

    path = table(tmp_path / "test.csv", [("a", 1, 0), ("b", 2, 0)])
    monkeypatch.setattr(base, "memory", lambda: 1)
    with pytest.raises(DataError, match="cut that one, or give fewer samples"):
        read_recordings(path, TASK)


def test_a_configuration_is_derived_of_labels_that_change_in_no_test_sample(tmp_path):
    table(tmp_path / "train.csv", [("a", 1, 0), ("a", 2, 1)])
    table(tmp_path / "test.csv", [("c", 1, 0), ("c", 2, 0)])
    tables = {"task": {"name": "own", "steps": 1, "encode": "none", "encode_hop": 1,
                       "permutation": [], "stride": 1}, "model": {"per_step": False}}
    assert derived(tmp_path, tables, ())["model"]["output"] == "labels"


def test_folders_that_nobody_may_read_are_told(tmp_path, monkeypatch):
    table(tmp_path / "train" / "calm" / "r.csv", [[1]], "x")
    iterdir = Path.iterdir

    def refused(path):
        if path.name == "calm":
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(DataError, match=r"the folder .*calm cannot be read \(Permission denied\)"):
        read_recordings(tmp_path / "train", TASK)
