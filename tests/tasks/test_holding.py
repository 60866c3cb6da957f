"""Held-out samples: whole groups where there are any, every sample in one fold, always the same."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.files import save_splits

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import DataError, Samples, has_valid, load_samples
from snn_ssm.tasks.holding import held_out
from snn_ssm.tasks.own import read_recordings

TASK = TaskConfig("own", 5)
NAMES = ["ann", "bob", "cem", "dot"]
SIZES = [7, 3, 5, 1]
GROUPS = np.random.default_rng(0).permutation(np.repeat(NAMES, SIZES))  # 16


def numbered(groups=None, count=16):
    """Samples whose labels are their numbers."""
    return Samples(np.zeros((count, 1, 5), np.uint8), np.arange(count), groups=groups)


def parts(samples, **settings):
    """The labels of the samples to train on, and of those held out."""
    task = TaskConfig("own", 5, **settings)
    return [held_out(samples, task, valid).labels for valid in (False, True)]


def assert_parted(train, valid, count=16):
    assert sorted([*train, *valid]) == list(range(count))
    assert (np.diff(train) > 0).all() and (np.diff(valid) > 0).all()


@given(st.integers(2, 6), st.lists(st.integers(0, 5), min_size=6, max_size=40), st.booleans())
def test_folds_are_all_samples_once_and_never_part_a_group(count, drawn, whole):
    groups = np.array([*range(6), *drawn]) if whole else None
    total = 6 + len(drawn)
    samples = numbered(groups, total)
    held = []
    for i in range(1, count + 1):
        train, valid = parts(samples, valid_fold=f"{i}/{count}")
        assert_parted(train, valid, total)
        assert len(valid) > 0 and len(train) > 0
        assert groups is None or not set(groups[train]) & set(groups[valid])
        held.append(valid)
    assert sorted(np.concatenate(held)) == list(range(total))
    sizes = [len(each) for each in held]
    slack = 1 if groups is None else np.bincount(groups).max()
    assert max(sizes) - min(sizes) <= slack


def test_the_largest_group_goes_first_and_to_the_emptiest_fold():
    samples = numbered(GROUPS)
    held = [set(GROUPS[parts(samples, valid_fold=f"{i}/2")[1]]) for i in (1, 2)]
    assert held == [{"ann", "dot"}, {"cem", "bob"}]  # 7 + 1 and 5 + 3
    alike = numbered(np.repeat([2, 10, 1, 3], 4))
    held = [parts(alike, valid_fold=f"{i}/4")[1][0] // 4 for i in (1, 2, 3, 4)]
    assert held == [2, 0, 3, 1]  # equal ones in the order of their names


def test_folds_do_not_depend_on_the_order_of_samples_in_groups():
    turned = Samples(np.zeros((16, 1, 5)), np.arange(16)[::-1].copy(), groups=GROUPS[::-1])
    for i in (1, 2, 3):
        one = parts(numbered(GROUPS), valid_fold=f"{i}/3")[1]
        assert sorted(parts(turned, valid_fold=f"{i}/3")[1]) == one.tolist()


def test_samples_without_groups_are_dealt_out_shuffled():
    first = parts(numbered(), valid_fold="1/4")[1]
    assert first.tolist() != list(range(0, 16, 4)) and len(first) == 4
    assert (parts(numbered(), valid_fold="1/4")[1] == first).all()


@pytest.mark.parametrize("wanted", range(1, 10))
def test_so_many_samples_are_held_out_in_no_more_groups_than_it_takes(wanted):
    train, valid = parts(numbered(GROUPS), valid_samples=wanted)
    assert_parted(train, valid)
    names, counts = np.unique(GROUPS[valid], return_counts=True)
    assert not set(GROUPS[train]) & set(names) and counts.sum() == len(valid) >= wanted
    more = parts(numbered(GROUPS), valid_samples=wanted + 1)[1]
    assert set(valid) <= set(more)  # one order of groups, of which the last are held out
    if len(more) > len(valid):
        assert len(valid) == wanted


@pytest.mark.parametrize(("groups", "settings", "said"), [
    (["a"] * 16, {"valid_fold": "1/2"}, "valid_fold is '1/2', but 'own' has one group of"),
    (GROUPS, {"valid_fold": "2/5"}, "has 4 groups of training samples; expected 5 at least"),
    (None, {"valid_fold": "1/17"}, "has 16 training samples; expected 17 at least, one a part"),
    (["a"] * 16, {"valid_samples": 1}, "and 'own' has one group of 16 training samples, none of"),
    (["a", "b"] * 8, {"valid_samples": 9}, "in whole groups, and 'own' has 2 groups of 16"),
    (GROUPS, {"valid_samples": 16}, "valid_samples is 16, but 'own' has 16 training samples"),
])
def test_where_nothing_would_be_left(groups, settings, said):
    with pytest.raises(DataError) as caught:
        parts(numbered(None if groups is None else np.array(groups)), **settings)
    assert said in str(caught.value)


@pytest.mark.parametrize("groups", [["a"] * 15, [["a"]] * 16, [0.5] * 16, [None] * 16, "a"])
def test_groups_that_are_none(groups):
    with pytest.raises(DataError, match=r"groups are of .* a sample, \(16,\)\. Correct them, or"):
        numbered(groups)


def test_groups_go_with_their_samples_and_change_no_digest():
    samples = numbered(GROUPS)
    index = np.array([3, 0])
    assert samples.take(index).groups.tolist() == GROUPS[index].tolist()
    assert samples.head(2).groups.tolist() == GROUPS[:2].tolist()
    assert samples.digest() == numbered().digest()


# Own data

ITEMS = {"ann": [1, 2, 3], "bob": [4], "cem": [5, 6, 7, 8, 9]}
RAGGED = {
    "inputs": np.arange(1, 10), "offsets": np.array([0, 3, 4, 9]), "labels": np.array([0, 1, 0]),
}


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def assert_are_the_people(found):
    assert found.groups.tolist() == list(ITEMS) and found.lengths.tolist() == [3, 1, 5]


def test_arrays_of_groups_of_whole_and_of_ragged_samples(tmp_path):
    path = saved(tmp_path / "a.npz", **RAGGED, groups=list(ITEMS))
    assert_are_the_people(read_recordings(path, TASK))
    assert_are_the_people(load_samples(path, "train", TaskConfig("own", 8)))
    whole = saved(tmp_path / "b.npz", inputs=np.zeros((2, 1, 5)), labels=[0, 1], groups=[7, 7])
    assert load_samples(whole, "train", TASK).groups.tolist() == [7, 7]
    events = np.zeros(3, [(name, int) for name in "txyp"])
    path = saved(tmp_path / "c.npz", events=events, offsets=[0, 1, 3], groups=["a", "b"])
    assert read_recordings(path, TASK).groups.tolist() == ["a", "b"]


def test_ragged_samples_of_one_group_are_held_out_together(tmp_path):
    arrays = {**RAGGED, "groups": ["ann", "bob", "ann"]}
    save_splits(tmp_path, **arrays)
    (tmp_path / "test.npz").unlink()  # which nobody reads
    held = [load_samples(tmp_path, "valid", TaskConfig("own", 5, valid_fold=f)) for f in
            ("1/2", "2/2")]
    assert [each.mean_steps for each in held] == [4, 1]
    rest = load_samples(tmp_path, "train", TaskConfig("own", 5, valid_fold="2/2"))
    assert rest.groups.tolist() == ["ann", "ann"] and rest.lengths.tolist() == [3, 5]
    fold = TaskConfig("own", 5, valid_fold="1/2")
    assert has_valid(tmp_path, fold) and not has_valid(tmp_path, TASK)
    saved(tmp_path / "valid.npz", **RAGGED)
    with pytest.raises(DataError, match=r"valid\.npz, and task\.valid_fold is '1/2'\. Leave one"):
        load_samples(tmp_path, "train", fold)


@pytest.mark.parametrize("groups", [["a", "b"], [[1], [2], [3]], [1.0, 2.0, 3.0]])
def test_arrays_of_groups_that_do_not_fit(tmp_path, groups):
    path = saved(tmp_path / "a.npz", **RAGGED, groups=groups)
    with pytest.raises(DataError, match=r"a\.npz: groups are of .* a sample, \(3,\)"):
        read_recordings(path, TASK)


def write_csv(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_of_groups(tmp_path, kind):
    rows = [[name, name, value] for name, values in ITEMS.items() for value in values]
    path = write_csv(tmp_path / "t.csv", ["sample", "group", "x"], rows)
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        from pyarrow import csv as arrow_csv
        from pyarrow import parquet

        parquet.write_table(arrow_csv.read_csv(path), tmp_path / "t.parquet")
        path = tmp_path / "t.parquet"
    found = read_recordings(path, TASK)
    assert_are_the_people(found)
    assert found.inputs.shape == (3, 1, 5)  # the groups are no channel


@pytest.mark.parametrize(("groups", "said"), [
    (["a", "b", "b"], "column 'group' is 'a' and 'b' in the sample of row 1; expected one name"),
    (["a", "a", ""], "column 'group' is '' in the sample of row 3; expected one name"),
])
def test_a_column_of_groups_that_are_none(tmp_path, groups, said):
    rows = [[sample, group, 1] for sample, group in zip("ssr", groups, strict=True)]
    path = write_csv(tmp_path / "t.csv", ["sample", "group", "x"], rows)
    with pytest.raises(DataError) as caught:
        read_recordings(path, TASK)
    assert str(path) in str(caught.value) and said in str(caught.value)


def test_folders_of_groups_within_those_of_classes(tmp_path):
    for place, name in (("run", "ann"), ("run", "bob"), ("walk", "ann")):
        write_csv(tmp_path / place / name / "1.csv", ["x"], [[1], [2]])
    found = read_recordings(tmp_path, TASK)
    assert found.answers.tolist() == ["run", "run", "walk"]
    assert found.groups.tolist() == ["ann", "bob", "ann"]
    write_csv(tmp_path / "walk" / "bob" / "2.csv", ["x", "group"], [[1, "bob"]])
    with pytest.raises(DataError, match=r"2\.csv has a column group, and its folder names a group"):
        read_recordings(tmp_path, TASK)
    (tmp_path / "walk" / "bob" / "2.csv").rename(tmp_path / "walk" / "3.csv")
    assert read_recordings(tmp_path, TASK).groups.tolist() == ["ann", "bob", "bob", "ann"]
    write_csv(tmp_path / "walk" / "3.csv", ["x"], [[1]])
    with pytest.raises(DataError, match="recording 2 of .* has no group, and others have. Add a"):
        read_recordings(tmp_path, TASK)


def test_folders_of_groups_of_events(tmp_path):
    for place, name in (("0", "ann"), ("1", "bob")):
        (tmp_path / place / name).mkdir(parents=True)
        (tmp_path / place / name / "a.bin").write_bytes(bytes(5))
    found = read_recordings(tmp_path, TASK)
    assert found.groups.tolist() == ["ann", "bob"] and found.answers.tolist() == [0, 1]
    (tmp_path / "1" / "bob" / "a.bin").rename(tmp_path / "1" / "a.bin")
    with pytest.raises(DataError, match="recording 1 of .* has no group, and others have"):
        read_recordings(tmp_path, TASK)


def test_speakers_of_spike_lists_are_groups(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["spikes/times"], file["spikes/units"] = np.zeros((2, 3)), np.zeros((2, 3), int)
        file["extra/speaker"] = np.array([4, 0], np.uint16)
    assert read_recordings(tmp_path / "a.h5", TASK).groups.tolist() == [4, 0]
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["extra/speaker"]
        file["extra/speaker"] = np.array([4], np.uint16)
    with pytest.raises(DataError, match=r"a\.h5: groups are of uint16 and shape \(1,\)"):
        read_recordings(tmp_path / "a.h5", TASK)
