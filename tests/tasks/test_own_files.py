"""A user's own files: every format gives the same samples; what is not understood is refused."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import wavfile

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import DataError, load_samples, read_samples
from snn_ssm.tasks.own import read_inputs, read_recordings, splits

TASK = TaskConfig("own", 5)
ITEMS = [np.arange(6.0).reshape(3, 2), 10 + np.arange(10.0).reshape(5, 2), np.ones((1, 2))]
INPUTS = np.zeros((3, 2, 5))
for row, item in zip(INPUTS, ITEMS, strict=True):
    row[:, : len(item)] = item.T
LENGTHS = [3, 5, 1]
RAGGED = {"inputs": np.concatenate(ITEMS), "offsets": np.array([0, 3, 8, 9])}


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def assert_are_the_items(found):
    assert found.inputs.shape == (3, 2, 5) and (found.inputs == INPUTS).all()
    assert found.lengths.tolist() == LENGTHS


def refusal(path, task=TASK):
    with pytest.raises(DataError) as caught:
        read_recordings(path, task)
    message = str(caught.value)
    assert str(path) in message and message.endswith(".")
    return message


def test_ragged_arrays_are_filled_up_and_know_their_lengths(tmp_path):
    found = read_samples(saved(tmp_path / "s.npz", **RAGGED, labels=[0, 1, 0], sample_rate=20.0))
    assert_are_the_items(found)
    assert found.labels.tolist() == [0, 1, 0] and found.sample_rate == 20.0


def test_one_channel_needs_no_axis_of_its_own(tmp_path):
    flat = {"inputs": RAGGED["inputs"][:, 0], "offsets": RAGGED["offsets"]}
    found = read_samples(saved(tmp_path / "s.npz", **flat, labels=[0, 1, 0]))
    assert (found.inputs == INPUTS[:, :1]).all()


def test_answers_at_each_step_are_filled_up_too(tmp_path):
    steps = np.arange(9)
    labels = read_samples(saved(tmp_path / "a.npz", **RAGGED, labels=steps)).labels
    assert labels.tolist() == [[0, 1, 2, -1, -1], [3, 4, 5, 6, 7], [8, -1, -1, -1, -1]]
    targets = np.stack([steps, -steps], axis=1) / 2
    values = read_samples(saved(tmp_path / "b.npz", **RAGGED, targets=targets)).labels
    assert values.shape == (3, 5, 2) and (values[1] == targets[3:8]).all()
    assert (values[0, 3:] == 0).all()


def test_whole_arrays_with_lengths_and_targets_of_both_shapes(tmp_path):
    found = read_samples(
        saved(tmp_path / "a.npz", inputs=INPUTS, lengths=LENGTHS, targets=[0.5, 1.5, -1.0])
    )
    assert_are_the_items(found)
    assert found.labels.tolist() == [[0.5], [1.5], [-1.0]]
    each = np.arange(15.0).reshape(3, 1, 5)  # (B, K, L), as inputs are
    found = read_samples(saved(tmp_path / "b.npz", inputs=INPUTS, targets=each))
    assert (found.labels == each.transpose(0, 2, 1)).all() and found.lengths is None
    full = read_samples(saved(tmp_path / "c.npz", inputs=INPUTS, lengths=[5] * 3, labels=[0] * 3))
    assert full.lengths is None  # nothing is filled up


def test_labels_of_text_are_numbered_by_the_classes(tmp_path):
    path = saved(tmp_path / "s.npz", inputs=INPUTS, labels=np.array(["run", "walk", "run"]))
    task = TaskConfig("own", 5, classes=("walk", "run"))
    assert load_samples(path, "test", task).labels.tolist() == [1, 0, 1]
    with pytest.raises(DataError, match=r"they are <U4\. Name the classes \(task\.classes"):
        read_samples(path)
    with pytest.raises(DataError, match=r"the label 'run'; expected one of walk, stand\. Correct"):
        load_samples(path, "test", TaskConfig("own", 5, classes=("walk", "stand")))
    named = saved(tmp_path / "n.npz", inputs=INPUTS, labels=np.array(["run", "walk", "run"]),
                  names=np.array(["run", "walk"]))
    assert read_samples(named).labels.tolist() == [0, 1, 0]
    with pytest.raises(DataError, match=r"the names run, walk, and task\.classes are walk, run"):
        load_samples(named, "test", task)


@pytest.mark.parametrize(("change", "said"), [
    ({"targets": np.zeros(3)}, "holds labels and targets; expected one of them"),
    ({"lengths": [3, 5]}, r"lengths are of int64 and shape \(2,\); expected an integer a sample"),
    ({"lengths": [3.0, 5.0, 1.0]}, "lengths are of float64"),
    ({"lengths": [3, 6, 1]}, r"lengths\[1\] is 6; expected 1 to 5"),
    ({"lengths": [3, 0, 1]}, r"lengths\[1\] is 0; expected 1 to 5"),
    ({"offsets": [0, 3]}, "inputs have shape"),
    ({"names": np.array([1, 2])}, "names are of int64"),
    ({"names": np.array(["a", "a"])}, "expected texts that differ"),
    ({"sample_rate": -1.0}, "expected one positive number"),
    ({"sample_rate": np.ones(2)}, "expected one positive number"),
    ({"labels": [0, -1, 2]}, "the least is -1"),
    ({"labels": [0, 2**16, 2]}, "the largest is 65536"),
    ({"weights": np.zeros(3)}, "it also holds weights, of which nothing is known here"),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_arrays_that_are_not_understood(tmp_path, change, said):
    import re

    arrays = {"inputs": INPUTS, "labels": [0, 1, 2]} | change
    assert re.search(said, refusal(saved(tmp_path / "s.npz", **arrays)))


@pytest.mark.parametrize(("change", "said"), [
    ({"offsets": [1, 3, 8, 9]}, "that rise from 0 to the number of steps"),
    ({"offsets": [0, 3, 3, 9]}, "that rise from 0 to the number of steps"),
    ({"offsets": [0, 3, 8]}, "that rise from 0 to the number of steps"),
    ({"offsets": [0.0, 3.0, 9.0]}, "that rise from 0 to the number of steps"),
    ({"lengths": [1, 1, 1]}, "holds offsets and lengths; expected one of them"),
    ({"labels": np.zeros((9, 2), int)}, "expected one a sample or one a step"),
])
def test_ragged_arrays_that_are_not_understood(tmp_path, change, said):
    arrays = RAGGED | {"labels": [0, 1, 0]} | change
    assert said in refusal(saved(tmp_path / "s.npz", **arrays))


@pytest.mark.parametrize(("targets", "said"), [
    (np.array(["a", "b", "c"]), "expected real numbers"),
    (np.array([0.0, np.nan, 1.0]), "not all finite numbers"),
])
def test_targets_that_are_none(tmp_path, targets, said):
    assert said in refusal(saved(tmp_path / "s.npz", inputs=INPUTS, targets=targets))


def test_samples_without_answers_can_be_asked_about_and_not_trained_on(tmp_path):
    path = saved(tmp_path / "s.npz", **RAGGED)
    assert_are_the_items(read_inputs(path, TASK))
    with pytest.raises(DataError, match=r"neither labels nor targets; expected one of them"):
        load_samples(path, "test", TASK)


def test_samples_of_other_lengths_are_fitted_to_the_task(tmp_path):
    path = saved(tmp_path / "s.npz", **RAGGED, labels=np.arange(9))
    longer = load_samples(path, "test", TaskConfig("own", 8))
    assert longer.inputs.shape == (3, 2, 8) and longer.lengths.tolist() == LENGTHS
    assert longer.labels.shape == (3, 8) and (longer.labels[:, 5:] == -1).all()
    with pytest.raises(DataError, match=r"sample 1 of .* has 5 steps, but task\.steps is 4"):
        load_samples(path, "test", TaskConfig("own", 4))
    whole = saved(tmp_path / "w.npz", inputs=INPUTS, labels=[0, 1, 0])
    assert load_samples(whole, "test", TaskConfig("own", 6)).lengths.tolist() == [5, 5, 5]
    with pytest.raises(DataError, match="have 5 steps, but task.steps is 6"):
        load_samples(whole, "test", TaskConfig("other", 6))  # whose samples have one length


def write_csv(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def rows_of(answers=None):
    """(sample, two channels, answer) of each step of the items."""
    for i, item in enumerate(ITEMS):
        for k, values in enumerate(item):
            answer = [] if answers is None else [answers[i][k]]
            yield [f"s{i}", *values, *answer]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_with_a_column_of_samples(tmp_path, kind):
    answers = [["walk"] * 3, ["run"] * 5, ["walk"]]
    path = write_csv(tmp_path / "t.csv", ["sample", "x", "y", "label"], rows_of(answers))
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        from pyarrow import csv as arrow_csv
        from pyarrow import parquet

        parquet.write_table(arrow_csv.read_csv(path), tmp_path / "t.parquet")
        path = tmp_path / "t.parquet"
    found = read_recordings(path, TASK)
    assert_are_the_items(found)
    assert found.answers.tolist() == ["walk", "run", "walk"]


def test_parquet_without_its_package(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    assert "pip install 'snn-ssm[parquet]'" in refusal(tmp_path / "t.parquet")


def test_answers_in_a_table_at_each_step(tmp_path):
    labels = [[0, 1, 1], [2, 2, 2, 2, 0], [1]]
    path = write_csv(tmp_path / "a.csv", ["sample", "x", "y", "label"], rows_of(labels))
    found = read_recordings(path, TASK).answers
    assert found.tolist() == [[0, 1, 1, -1, -1], labels[1], [1, -1, -1, -1, -1]]
    targets = [[0.5, 1, 1], [2, 2, 2, 2, 0], [1]]
    path = write_csv(tmp_path / "b.csv", ["sample", "x", "y", "target_speed"], rows_of(targets))
    found = read_recordings(path, TASK)
    assert found.answers[1, 0].tolist() == targets[1] and found.names == ("speed",)


def test_a_folder_of_tables_and_a_folder_a_class(tmp_path):
    for i, (item, place) in enumerate(zip(ITEMS, ["walk", "run", "walk"], strict=True)):
        for folder, extra in ((tmp_path / "flat", [i % 2]), (tmp_path / "deep" / place, [])):
            folder.mkdir(parents=True, exist_ok=True)
            header = ["x", "y", "label"][: 2 + len(extra)]
            write_csv(folder / f"{i}.csv", header, [[*values, *extra] for values in item])
    flat = read_recordings(tmp_path / "flat", TASK)
    assert_are_the_items(flat)
    assert flat.answers.tolist() == [0, 1, 0]
    deep = read_recordings(tmp_path / "deep", TASK)  # in the order of the classes' names
    assert deep.answers.tolist() == ["run", "walk", "walk"]
    assert (deep.inputs == INPUTS[[1, 0, 2]]).all()


HEADER = ["sample", "x", "label"]


@pytest.mark.parametrize(("lines", "said"), [
    ([], "expected the names of the columns"),
    ([["x", "x"], [1, 2]], "expected the names of the columns"),
    ([HEADER], "has no rows"),
    ([["sample", "label"], ["a", 1]], "expected one at least that is a channel"),
    ([HEADER, ["a", 1]], "row 2 has 2 fields; expected 3"),
    ([HEADER, ["a", "one", 1]], "column 'x', row 1, is 'one'; expected a number"),
    ([HEADER, ["a", "nan", 1]], "column 'x', row 1, is nan; expected a finite number"),
    ([[*HEADER, "target"], ["a", 1, 1, 1]], "columns label and target; expected one of them"),
])
def test_tables_that_are_not_understood(tmp_path, lines, said):
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    assert said in refusal(path)


def test_a_table_that_is_no_text(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\xff")
    assert "is no CSV table" in refusal(tmp_path / "t.csv")


def test_folders_that_are_not_understood(tmp_path):
    folder = tmp_path / "f"
    (folder / "a").mkdir(parents=True)
    write_csv(folder / "a" / "1.csv", ["x"], [[1]])
    write_csv(folder / "2.csv", ["x"], [[1]])
    assert "holds the file 2.csv beside the folder a" in refusal(folder)
    (folder / "2.csv").unlink()
    write_csv(folder / "a" / "1.csv", ["x", "label"], [[1, 0]])
    with pytest.raises(DataError, match="its folder names a class; expected one of them"):
        read_recordings(folder, TASK)
    write_csv(folder / "a" / "1.csv", ["x"], [[1]])
    write_csv(folder / "a" / "2.csv", ["y"], [[1]])
    assert "differ in channels: ('x',) and ('y',)" in refusal(folder)
    (folder / "a" / "3.txt").touch()
    with pytest.raises(DataError, match=r"3\.txt is no recording that is known here"):
        read_recordings(folder, TASK)
    with pytest.raises(DataError, match="is of a kind that is not known here"):
        read_recordings(folder / "a" / "3.txt", TASK)


def test_some_recordings_without_an_answer(tmp_path):
    write_csv(tmp_path / "1.csv", ["x", "label"], [[1, 0]])
    write_csv(tmp_path / "2.csv", ["x"], [[1]])
    assert "recording 1 of" in refusal(tmp_path) and "has no label or target" in refusal(tmp_path)


@pytest.mark.parametrize(("kind", "values", "expected"), [
    (np.int16, [0, 2**14, -(2**15)], [0, 0.5, -1]), (np.uint8, [128, 192, 0], [0, 0.5, -1]),
    (np.float32, [0, 0.5, -1], [0, 0.5, -1]), (np.int32, [0, 2**30, -(2**31)], [0, 0.5, -1]),
])
def test_sound_is_of_values_from_minus_1_to_1(tmp_path, kind, values, expected):
    (tmp_path / "yes").mkdir()
    for i in range(2):
        wavfile.write(tmp_path / "yes" / f"{i}.wav", 8000, np.array(values, kind))
    found = read_recordings(tmp_path, TASK)
    assert found.inputs[0].tolist() == [expected] and found.sample_rate == 8000
    assert found.answers.tolist() == ["yes", "yes"]


def test_sound_that_cannot_be_read(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF junk")
    with pytest.raises(DataError, match=r"a\.wav is no WAV file that can be read"):
        read_recordings(tmp_path, TASK)
    wavfile.write(tmp_path / "a.wav", 8000, np.zeros(4, np.int16))
    wavfile.write(tmp_path / "b.wav", 16000, np.zeros(4, np.int16))
    assert "differ in rate: 16000.0 and 8000.0" in refusal(tmp_path)
    slow = TaskConfig("own", 5, sample_rate=20.0)
    path = saved(tmp_path / "s.npz", inputs=INPUTS, labels=[0] * 3, sample_rate=8000.0)
    with pytest.raises(DataError, match=r"is of 8000 Hz, and task\.sample_rate is 20 Hz"):
        load_samples(path, "test", slow)


def test_a_split_stands_in_one_place(tmp_path):
    saved(tmp_path / "train.npz", inputs=INPUTS, labels=[0] * 3)
    rows = rows_of([[0] * 3, [1] * 5, [0]])
    write_csv(tmp_path / "test.csv", ["sample", "x", "y", "label"], rows)
    assert {name: p.name for name, p in splits(tmp_path).items()} == {
        "train": "train.npz", "test": "test.csv",
    }
    assert load_samples(tmp_path, "test", TASK).source == f"{tmp_path.name}/test.csv"
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="has train.npz and train; expected one of them"):
        splits(tmp_path)


def test_a_part_of_the_training_samples_is_held_out(tmp_path):
    inputs = np.arange(20.0).reshape(20, 1, 1) * np.ones((20, 2, 5))
    for split in ("train", "test"):
        saved(tmp_path / f"{split}.npz", inputs=inputs, labels=[0] * 20)
    task = TaskConfig("own", 5, valid_samples=6)
    parts = [load_samples(tmp_path, split, task).inputs[:, 0, 0] for split in ("train", "valid")]
    assert [len(part) for part in parts] == [14, 6]
    assert sorted(np.concatenate(parts).tolist()) == list(range(20))
    assert all((np.diff(part) > 0).all() for part in parts)
    again = load_samples(tmp_path, "valid", task).inputs[:, 0, 0]
    assert (again == parts[1]).all() and parts[1].tolist() != list(range(14, 20))
    with pytest.raises(DataError, match=r"valid_samples is 20, but 'own' has 20 training samples"):
        load_samples(tmp_path, "train", TaskConfig("own", 5, valid_samples=20))
    saved(tmp_path / "valid.npz", inputs=inputs[:3], labels=[0] * 3)
    assert len(load_samples(tmp_path, "valid", TASK)) == 3
    with pytest.raises(DataError, match=r"has samples to validate with, valid\.npz, and"):
        load_samples(tmp_path, "train", task)


def labelled(path, *labels):
    rows = (f"{n},{n}.5,{label}\n" for n, label in enumerate(labels))
    path.write_text("sample,x,label\n" + "".join(rows))
    return path


def test_classes_whose_names_are_numbers_among_others(tmp_path):
    task = TaskConfig("own", 1, classes=("1", "2", "rest"))

    def labels_of(*labels, task=task):
        path = labelled(tmp_path / "t.csv", *labels)
        return load_samples(path, "test", task).labels.tolist()

    assert labels_of("2", "rest", "1") == [1, 2, 0]
    assert labels_of("2", "1") == [1, 0]  # and not the places of these numbers
    with pytest.raises(DataError, match=r"the label '0'; expected one of 1, 2, rest\."):
        labels_of("0", "1")
    assert labels_of("0", "1", task=replace(task, classes=("walk", "run"))) == [0, 1]
    assert labels_of("01", "02", task=replace(task, classes=("02", "01"))) == [1, 0]
    for number, name in enumerate("12"):
        (tmp_path / "test" / name).mkdir(parents=True)
        (tmp_path / "test" / name / "a.csv").write_text(f"x\n{number}\n")
    assert load_samples(tmp_path, "test", task).labels.tolist() == [0, 1]


def test_steps_without_a_label_beside_classes_whose_names_are_numbers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,label\n0.5,2\n1.5,\n2.5,1\n")
    task = TaskConfig("own", 3, classes=("1", "2", "rest"))
    assert load_samples(path, "test", task).labels.tolist() == [[1, -1, 0]]


def test_what_a_table_lacks_is_no_text(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    path = tmp_path / "t.parquet"
    plain = {"sample": [0, 0, 1, 1], "x": [0.5, 1.0, 1.5, 2.0]}

    def read(**columns):
        parquet.write_table(pa.table(plain | columns), path)
        return read_recordings(path, TASK)

    assert read(label=["a", None, "b", "a"]).answers.tolist() == [["a", ""], ["b", "a"]]
    assert read(label=[2.0, float("nan"), 1.0, 2.0]).answers.tolist() == [[2, -1], [1, 2]]
    assert len(read(sample=[0.0, 0.0, 1.0, 2.0], label=[1] * 4)) == 3
    with pytest.raises(DataError, match=r"column 'sample', row 2, is empty; expected the sample"):
        read(sample=[0, None, 1, 1], label=[1] * 4)
    with pytest.raises(DataError, match="column 'group' is '' in the sample of row 3"):
        read(group=["ann", "ann", None, None], label=[1] * 4)


def test_names_of_files_end_in_capitals_and_columns_stand_in_any_order(tmp_path):
    for name, text in (("a/1.CSV", "x,y\n1,2.5\n"), ("b/1.csv", "y,x\n2.5,1\n")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    found = read_recordings(tmp_path, TASK)
    assert found.inputs.tolist() == [[[1], [2.5]]] * 2 and found.channels == ("x", "y")
    assert found.answers.tolist() == ["a", "b"]
    assert read_recordings(tmp_path / "a" / "1.CSV", TASK).inputs.tolist() == [[[1], [2.5]]]
    (tmp_path / "b" / "1.csv").write_text("y,z\n2.5,1\n")
    with pytest.raises(DataError, match=r"differ in channels: \('x', 'y'\) and \('y', 'z'\)"):
        read_recordings(tmp_path, TASK)
