"""The configuration that follows from a user's data, and stays where the user said otherwise."""

from dataclasses import replace

import numpy as np
import pytest
from support.files import save_splits

from snn_ssm.config import Config, ConfigError, TaskConfig, from_dict
from snn_ssm.settings import tables_of
from snn_ssm.tasks import DataError, load_samples
from snn_ssm.tasks.own import OWN, derived, read_inputs

REAL = np.random.default_rng(0).normal(size=(6, 2, 9)) * [[[1], [5]]]
WHOLE = np.random.default_rng(0).integers(0, 7, (6, 2, 9)).astype(np.uint8)


def config_of(path, given=()):
    tables = tables_of(OWN.config())
    for key, value in dict(given).items():
        table, name = key.split(".")
        tables[table][name] = value
    return from_dict(Config, derived(path, tables, set(dict(given))))


def test_integers_and_classes(tmp_path):
    save_splits(tmp_path, inputs=WHOLE, labels=[0, 1, 2, 0, 1, 2])
    found = config_of(tmp_path)
    model, task = found.model, found.task
    assert (model.inputs, model.classes, model.output) == (2, 3, "classes")
    assert (model.input_bits, model.input_scale) == (3, 1 / 7)
    assert (task.steps, task.classes, task.encode) == (9, (), "none")
    assert model.dt_max == min(100 * model.dt_min, 1.0) == 1.0


def test_real_values_become_levels_that_a_board_can_be_given(tmp_path):
    save_splits(tmp_path, inputs=REAL, labels=[0, 1] * 3, sample_rate=50.0)
    found = config_of(tmp_path)
    assert (found.task.encode, found.task.sample_rate, found.model.input_bits) == ("levels", 50, 8)
    low, high = np.array(found.task.encode_low), np.array(found.task.encode_high)
    assert (low < -1).all() and high[1] > 3 * high[0] > 0
    samples = load_samples(tmp_path, "train", found.task)
    assert samples.inputs.dtype == np.uint8 and samples.inputs.max() > 250
    back = low[:, None] + (samples.inputs + 0.5) * (high - low)[:, None] / 256
    inside = (low[:, None] <= REAL) & (high[:, None] >= REAL)
    error = np.where(inside, np.abs(back - REAL), 0)
    assert (error <= (high - low)[:, None] / 512 * (1 + 1e-9)).all()


@pytest.mark.parametrize("given", [{"task.encode": "none"}, {"model.input_bits": 0}])
def test_real_values_as_they_are(tmp_path, given):
    save_splits(tmp_path, inputs=REAL, labels=[0, 1] * 3)
    found = config_of(tmp_path, given)
    assert (found.task.encode, found.model.input_bits) == ("none", 0)
    assert found.model.input_scale == pytest.approx(1 / np.sqrt((REAL**2).mean()))


def test_names_of_text(tmp_path):
    labels = np.array(["run", "walk", "run", "sit", "sit", "walk"])
    save_splits(tmp_path, inputs=WHOLE, labels=labels)
    found = config_of(tmp_path)
    assert found.task.classes == ("run", "sit", "walk") and found.model.classes == 3
    named = config_of(tmp_path, {"task.classes": ["sit", "walk", "run", "swim"]})
    assert named.task.classes[-1] == "swim" and named.model.classes == 4
    save_splits(tmp_path, inputs=WHOLE, labels=[0] * 6, names=np.array(["a", "b"]))
    assert config_of(tmp_path).task.classes == ("a", "b")


@pytest.mark.parametrize(("answers", "output", "per_step", "classes", "pooling"), [
    ({"labels": np.zeros((6, 9), int) + np.arange(9) % 3}, "labels", False, 3, "last"),
    ({"labels": np.zeros((6, 4), int)}, "multi-label", False, 4, "mean"),
    ({"targets": np.zeros(6)}, "values", False, 1, "mean"),
    ({"targets": np.zeros((6, 3))}, "values", False, 3, "mean"),
    ({"targets": np.zeros((6, 3, 9))}, "values", True, 3, "last"),
])
def test_outputs(tmp_path, answers, output, per_step, classes, pooling):
    save_splits(tmp_path, inputs=WHOLE, **answers)
    model = config_of(tmp_path).model
    assert (model.output, model.per_step, model.classes) == (output, per_step, classes)
    assert model.pooling == pooling
    assert config_of(tmp_path, {"model.pooling": "filter"}).model.pooling == "filter"


def test_steps_are_those_of_the_longest_sample_of_any_split(tmp_path):
    save_splits(tmp_path, inputs=WHOLE, labels=[0] * 6, lengths=[3, 4, 5, 3, 3, 3])
    assert config_of(tmp_path).task.steps == 5
    np.savez(tmp_path / "test.npz", inputs=WHOLE, labels=[0] * 6)
    assert config_of(tmp_path).task.steps == 9
    assert config_of(tmp_path, {"task.steps": 12}).task.steps == 12


@pytest.mark.parametrize("encode", ["none", "levels", "crossings"])
def test_a_stride_reads_every_so_many_steps_of_recordings(tmp_path, encode):
    lengths = np.array([9, 4, 5, 1, 2, 8])
    labels = np.arange(54).reshape(6, 9) % 2
    save_splits(tmp_path, inputs=REAL, labels=labels, lengths=lengths, sample_rate=90.0)
    given = {"task.encode": encode, "task.stride": 3}
    strided = load_samples(tmp_path, "test", config_of(tmp_path, given).task)
    save_splits(tmp_path / "read", inputs=REAL[..., ::3], labels=labels[:, ::3],
                lengths=[3, 2, 2, 1, 1, 3], sample_rate=30.0)
    task = config_of(tmp_path, given).task
    assert (task.steps, task.stride, task.sample_rate) == (3, 3, 90.0)
    expected = load_samples(tmp_path / "read", "test", replace(task, stride=1, sample_rate=30.0))
    assert (strided.inputs == expected.inputs).all() and strided.inputs.any()
    assert (strided.labels == expected.labels).all() and (strided.labels == -1).sum() == 0
    assert (strided.lengths, strided.sample_rate) == (pytest.approx(expected.lengths), 30.0)


def test_a_stride_of_values_and_of_answers_to_samples(tmp_path):
    values = np.random.default_rng(1).normal(size=(6, 2, 9))
    save_splits(tmp_path, inputs=WHOLE, targets=values)
    found = load_samples(tmp_path, "train", config_of(tmp_path, {"task.stride": 2}).task)
    order = load_samples(tmp_path, "train", config_of(tmp_path).task)
    assert found.labels.shape == (6, 5, 2) and (found.labels == order.labels[:, ::2]).all()
    save_splits(tmp_path, inputs=WHOLE, labels=np.eye(6, 4, dtype=int))
    found = load_samples(tmp_path, "train", config_of(tmp_path, {"task.stride": 2}).task)
    assert found.inputs.shape == (6, 2, 5) and found.labels.shape == (6, 4)


def test_a_stride_would_lose_events(tmp_path):
    events = np.array([(0, 1, 2, 1), (2500, 0, 0, 0)], [(name, "<i4") for name in "txyp"])
    for split in ("train", "test"):
        np.savez(tmp_path / f"{split}.npz", events=events, offsets=[0, 2], labels=[0])
    with pytest.raises(DataError, match=r"together by task\.event_bin\. Set task\.stride = 1"):
        config_of(tmp_path, {"task.stride": 2})


def write_table(path, header, rows):
    lines = (",".join(map(str, row)) + "\n" for row in (header, *rows))
    path.write_text("".join(lines))


def test_columns_are_found_by_their_names(tmp_path):
    rows = [(f"s{n // 3}", n / 2, -n, n // 3) for n in range(12)]
    write_table(tmp_path / "train.csv", ["sample", "left", "right", "label"], rows)
    turned = [row[::-1] for row in rows]
    write_table(tmp_path / "test.csv", ["label", "right", "left", "sample"], turned)
    task = config_of(tmp_path).task
    assert task.columns == ("left", "right") and task.encode == "levels"
    one, two = (read_inputs(tmp_path / f"{split}.csv", task) for split in ("train", "test"))
    assert (one.inputs == two.inputs).all() and one.inputs.shape == (4, 2, 3)
    other = config_of(tmp_path, {"task.columns": ["right", "left"]}).task
    assert (other.encode_low, other.columns) == (task.encode_low[::-1], ("right", "left"))
    assert (read_inputs(tmp_path / "test.csv", other).inputs == two.inputs[:, ::-1]).all()


def test_columns_of_other_names_are_no_channels_of_the_model(tmp_path):
    rows = [(n, -n, 0) for n in range(3)]
    write_table(tmp_path / "train.csv", ["x", "y", "label"], rows)
    write_table(tmp_path / "test.csv", ["x", "z", "label"], rows)
    with pytest.raises(DataError, match=r"test\.csv has the channels x, z; .* order: x, y\."):
        config_of(tmp_path)
    with pytest.raises(DataError, match=r"the channels x, z; expected those of task\.columns"):
        load_samples(tmp_path / "test.csv", "test", TaskConfig("own", 3, columns=("x", "y")))
    with pytest.raises(ConfigError, match=r"columns\[1\]\] is 'x'; expected a name of its own"):
        TaskConfig("own", 3, columns=("x", "x"))
    with pytest.raises(ConfigError, match="expected none for a task other than 'own'"):
        TaskConfig("smnist", 3, columns=("x",))


def test_events_have_the_sensor_of_all_splits(tmp_path):
    dtype = [(name, "<i4") for name in "txyp"]
    for split, x in (("train", 1), ("test", 4)):
        events = np.array([(0, x, 2, 1), (2500, 0, 0, 0)], dtype)
        np.savez(tmp_path / f"{split}.npz", events=events, offsets=[0, 2], labels=[0])
    found = config_of(tmp_path)
    assert found.task.event_sensor == (5, 3) and found.model.inputs == 2 * 5 * 3
    assert (found.model.input_bits, found.task.steps, found.task.encode) == (1, 3, "none")
    assert load_samples(tmp_path, "train", found.task).inputs.shape == (1, 30, 3)


def test_sound_through_the_cochlea(tmp_path):
    save_splits(tmp_path, inputs=REAL[:, :1], labels=[0, 1] * 3, sample_rate=8000.0)
    found = config_of(
        tmp_path, {"task.encode": "cochlea", "task.encode_size": 5, "task.encode_hop": 4}
    )
    assert (found.task.encode_low, found.task.encode_high) == ((50.0,), (3200.0,))
    assert (found.model.inputs, found.model.input_bits, found.task.steps) == (5, 1, 3)
    assert load_samples(tmp_path, "train", found.task).inputs.shape == (6, 5, 3)


@pytest.mark.parametrize(("arrays", "given", "said"), [
    ({}, {}, "neither labels nor targets"),
    ({"labels": [0] * 6}, {"task.encode": "cochlea"}, "needs the sample rate"),
    ({"labels": [0] * 6, "sample_rate": 100.0},
     {"task.encode": "cochlea", "task.encode_low": [5.0], "task.encode_high": [60.0]},
     "expected less than half the sample rate, 50 Hz"),
    ({"labels": [0] * 6}, {"task.encode": "levels", "task.encode_hop": 2}, "a step at a time"),
    ({"labels": [0] * 6},
     {"task.encode": "levels", "task.encode_low": [0.0], "task.encode_high": [1.0]},
     "has 2 channels, for which 'levels' needs 2 low and high ends; .* have 1, which follow"),
    ({"targets": np.zeros((6, 1, 9)), "sample_rate": 8000.0},
     {"task.encode": "cochlea", "task.encode_hop": 2}, "has an answer a step"),
    ({"labels": [0] * 6, "sample_rate": 8000.0}, {"task.encode": "cochlea", "task.stride": 2},
     r"stride is 2, .* together by task\.encode_hop\. Set task\.stride = 1, and a larger"),
])
def test_data_of_which_nothing_follows(tmp_path, arrays, given, said):
    save_splits(tmp_path, inputs=REAL, **arrays)
    with pytest.raises(DataError, match=said):
        config_of(tmp_path, given)


def test_splits_that_differ(tmp_path):
    with pytest.raises(DataError, match=r"has no train\.npz"):
        config_of(tmp_path)
    save_splits(tmp_path, inputs=WHOLE, labels=[0] * 6, sample_rate=20.0)
    np.savez(tmp_path / "test.npz", inputs=WHOLE, labels=[0] * 6, sample_rate=50.0)
    with pytest.raises(DataError, match="the sample rates differ: 20 Hz of train, 50 Hz of test"):
        config_of(tmp_path)
    for split, names in (("train", ["a", "b"]), ("test", ["b", "a"])):
        np.savez(tmp_path / f"{split}.npz", inputs=WHOLE, labels=[0] * 6, names=np.array(names))
    with pytest.raises(DataError, match="the names differ: train: a, b; test: b, a"):
        config_of(tmp_path)


def test_own_data_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="holds no samples of your own; expected train.npz"):
        load_samples(tmp_path, "train", OWN.config().task)
