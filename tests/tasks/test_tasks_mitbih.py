"""MIT-BIH: the causal integer path, windows, the patients' split, samples of both formats."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mitbih_files import EVERY, noise, packed_arrays, recordings_of, write_official

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import DataError, load_samples
from snn_ssm.tasks.mitbih import (
    AFTER,
    CLASSES,
    INTERVALS,
    MITBIH,
    MITBIH_INTERVALS,
    PACKED,
    RECORDS,
    beats,
    levels,
    ratios,
    unpack,
)
from snn_ssm.tasks.wfdb import Recording

STEPS = 40
CONFIG = TaskConfig("mitbih", STEPS)


# The signal path


def level_of(signal, k):
    """Level k of a signal by the equations, in whole numbers of Python."""
    x = [sum(int(v) for v in signal[3 * j : 3 * j + 3]) for j in range(k + 1)]
    last = x[-128:]
    last = [x[0]] * (128 - len(last)) + last
    baseline = Fraction(sum(last), 128).__floor__()
    return min(max(128 + (x[-1] - baseline) // 16, 0), 255)


@given(st.integers(0, 2**32), st.integers(1, 500), st.integers(0, 499))
def test_levels_are_those_of_the_equations(seed, steps, k):
    signal = np.random.default_rng(seed).integers(-2048, 2048, 3 * steps + seed % 3)
    found = levels(signal.astype(np.int16))
    assert found.shape == (steps,) and found.dtype == np.uint8
    assert found[k % steps] == level_of(signal, k % steps)


@given(st.integers(0, 400), st.integers(0, 2**32))
def test_a_level_does_not_change_with_what_comes_after_it(k, seed):
    signal = noise(1300)
    altered = signal.copy()
    rest = len(signal) - 3 * (k + 1)
    altered[3 * (k + 1) :] = np.random.default_rng(seed).integers(-2048, 2048, rest)
    assert (levels(altered)[: k + 1] == levels(signal)[: k + 1]).all()


@pytest.mark.parametrize("value", [-2048, 0, 1024, 2047])
def test_a_signal_that_stands_still_is_in_the_middle(value):
    assert (levels(np.full(1000, value, np.int16)) == 128).all()


def test_levels_saturate_and_do_not_wrap():
    signal = np.repeat([-2048, 2047, -2048], [600, 603, 3])
    found = levels(signal.astype(np.int16))
    assert found[199] == 128 and found[200] == 255 and found[-1] == 0


# Windows


def test_a_window_ends_so_long_after_its_beat():
    signal = noise(1500)
    times = np.array([300, 301, 302, 900])
    found, labels = beats(Recording(signal, times, np.frombuffer(b"NVNF", np.uint8)), STEPS)
    level = levels(signal)
    for (row,), time in zip(found, times, strict=True):
        end = time // 3 + AFTER
        assert (row == level[end + 1 - STEPS : end + 1]).all()
    assert AFTER == 0.4 * 120 and labels.tolist() == [0, 2, 0, 3]


def test_a_window_needs_nothing_later_than_its_end():
    signal = noise(1500)
    recording = Recording(signal, np.array([600]), np.frombuffer(b"N", np.uint8))
    altered = signal.copy()
    altered[3 * (600 // 3 + AFTER + 1) :] = -2000
    later = Recording(altered, recording.times, recording.symbols)
    assert (beats(recording, STEPS)[0] == beats(later, STEPS)[0]).all()


def test_windows_reach_over_the_ends_of_a_recording():
    signal = noise(601)
    recording = Recording(signal, np.array([0, 600]), np.frombuffer(b"NN", np.uint8))
    level = levels(signal)  # 200 levels
    (first,), (last,) = beats(recording, 100)[0]
    assert (first == np.concatenate([np.full(51, 128), level[:49]])).all()
    assert (last == np.concatenate([level[149:], np.full(49, level[-1])])).all()


def test_symbols_are_the_classes_of_the_standard():
    symbols = b'NLRejAaJSVEFQ/f+~|!["x'
    times = 600 + np.arange(len(symbols))
    recording = Recording(noise(900), times, np.frombuffer(symbols, np.uint8))
    windows, labels = beats(recording, STEPS)
    assert "".join(CLASSES[label] for label in labels) == "NNNNN" "SSSS" "VV" "F"
    assert windows.shape == (12, 1, STEPS) and windows.dtype == np.uint8


def test_a_recording_without_beats_has_no_windows():
    recording = Recording(noise(900), np.array([5]), np.frombuffer(b"+", np.uint8))
    windows, labels = beats(recording, STEPS)
    assert windows.shape == (0, 1, STEPS) and len(labels) == 0


# The channels of ratios


def ratio_of(times, k, intervals):
    """A ratio at step k by its equation, in whole numbers of Python."""
    before = [int(time) for time in times if time // 3 <= k]
    distances = [b - a for a, b in itertools.pairwise(before)]
    usual = distances[:-1][-intervals:]
    if not usual or sum(usual) == 0:
        return 128
    ratio = Fraction(256 * distances[-1] * len(usual), sum(usual)).__floor__()
    return min(max(ratio - 128, 0), 255)


@given(st.lists(st.integers(0, 500), max_size=15), st.integers(0, 399), st.integers(1, 12))
def test_ratios_are_those_of_the_equation_and_need_nothing_later(distances, k, intervals):
    times = 3 + np.cumsum([0, *distances])
    symbols = np.resize(np.frombuffer(b"NAQV/", np.uint8), len(times))
    found = ratios(Recording(noise(1200), times, symbols), 400, intervals)
    assert found.shape == (400,) and found.dtype == np.uint8
    assert found[k] == ratio_of(times, k, intervals)


def test_what_is_no_beat_makes_no_interval():
    times = np.array([30, 330, 400, 630])
    signs = Recording(noise(1200), times, np.frombuffer(b"NN+N", np.uint8))
    assert (ratios(signs, 400, 8) == 128).all()
    early = Recording(noise(1200), times, np.frombuffer(b"NNAN", np.uint8))
    found = ratios(early, 400, 8)
    # 256 * 70 / 300 - 128 is below 0; then 256 * 230 * 2 / (300 + 70) - 128.
    assert found[[132, 133, 209, 210, 399]].tolist() == [128, 0, 0, 190, 190]
    assert ratios(early, 400, 1)[399] == 255  # 230 after 70


def test_windows_with_intervals_are_those_without_and_their_ratios():
    recording = Recording(noise(1500), np.array([300, 600, 750]), np.frombuffer(b"NNA", np.uint8))
    windows, labels = beats(recording, STEPS, intervals=True)
    assert windows.shape == (3, 3, STEPS) and labels.tolist() == [0, 0, 1]
    assert (windows[:, :1] == beats(recording, STEPS)[0]).all()
    start = 750 // 3 + AFTER + 1 - STEPS
    for channel, count in enumerate(INTERVALS, 1):
        expected = ratios(recording, 500, count)[start:][:STEPS]
        assert (windows[2, channel] == expected).all()
    assert windows[2, 1, -1] == 0 and windows[1, 1, -1] == 128


def test_a_run_of_early_beats_is_early_by_the_longer_mean_alone():
    times = np.cumsum([300] * 20 + [200] * 10)
    symbols = np.frombuffer(b"N" * 20 + b"A" * 10, np.uint8)
    windows, _ = beats(Recording(noise(9000), times, symbols), STEPS, intervals=True)
    assert windows[-1, 1, -1] == 128 and windows[-1, 2, -1] < 80


# The split


def test_patients_are_split_as_published():
    train, test = set(RECORDS["train"]), set(RECORDS["test"])
    assert len(RECORDS["train"]) == len(RECORDS["test"]) == 22
    assert not train & test and not (train | test) & {"102", "104", "107", "217"}


@pytest.fixture(scope="module")
def made():
    return recordings_of()


@pytest.fixture
def packed(tmp_path, made):
    (tmp_path / "mitbih").mkdir()
    np.savez(tmp_path / "mitbih" / PACKED, **packed_arrays(made))
    return tmp_path


@pytest.fixture(scope="module")
def official(tmp_path_factory, made):
    data = tmp_path_factory.mktemp("official")
    for name, recording in made.items():
        write_official(data, name, recording)
    return data


def pairs(samples):
    rows = zip(samples.inputs[:, 0], samples.labels, strict=True)
    return sorted((row.tobytes(), int(label)) for row, label in rows)


def expected_pairs(made, split):
    found = [beats(made[name], STEPS) for name in RECORDS[split]]
    return sorted(
        (row.tobytes(), int(label)) for windows, labels in found
        for row, label in zip(windows, labels, strict=True)
    )


@pytest.mark.parametrize("form", ["packed", "official"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_samples_are_the_beats_of_the_splits_patients(request, made, form, split):
    data = request.getfixturevalue(form)
    MITBIH.download(data)
    samples = load_samples(data, split, CONFIG)
    assert samples.inputs.shape == (88, 1, STEPS) and samples.inputs.dtype == np.uint8
    assert samples.labels.dtype == np.int64 and pairs(samples) == expected_pairs(made, split)
    other = pairs(MITBIH.load(data, "test" if split == "train" else "train", CONFIG))
    assert not set(pairs(samples)) & set(other)


def test_the_official_files_come_first(official, packed, made):
    for path in official.iterdir():
        (packed / path.name).write_bytes(path.read_bytes())
    (packed / "mitbih" / PACKED).write_bytes(b"junk")
    assert pairs(MITBIH.load(packed, "test", CONFIG)) == expected_pairs(made, "test")


def test_patients_are_mixed_always_in_the_same_order(packed, official, made):
    whole = MITBIH.load(packed, "train", CONFIG)
    again = MITBIH.load(official, "train", CONFIG)
    part = MITBIH.load(packed, "train", TaskConfig("mitbih", STEPS, train_samples=30))
    assert (whole.inputs == again.inputs).all() and (whole.labels == again.labels).all()
    assert (part.inputs == whole.inputs[:30]).all() and (part.labels == whole.labels[:30]).all()
    patient = {row.tobytes() for row in beats(made[RECORDS["train"][0]], STEPS)[0]}
    assert {row.tobytes() for row in whole.inputs[:4]} != patient
    with pytest.raises(DataError, match="is 89, but 'mitbih' has 88 training samples"):
        MITBIH.load(packed, "train", TaskConfig("mitbih", STEPS, train_samples=89))


@pytest.mark.parametrize("task", ["mitbih", "mitbih-intervals"])
def test_patients_are_held_out_whole(packed, made, task):
    def held(split, fold):
        found = load_samples(packed, split, TaskConfig(task, STEPS, valid_fold=fold))
        of = {row.tobytes(): name for name in RECORDS["train"]
              for row in beats(made[name], STEPS)[0][:, 0]}
        assert [of[row.tobytes()] for row in found.inputs[:, 0]] == found.groups.tolist()
        return found

    folds = [f"{i}/4" for i in range(1, 5)]
    names = [set(held("valid", fold).groups) for fold in folds]
    assert sorted(name for each in names for name in each) == sorted(RECORDS["train"])
    rest = held("train", "1/4")
    assert set(rest.groups) == set(RECORDS["train"]) - names[0]
    assert set(load_samples(packed, "test", CONFIG).groups) == set(RECORDS["test"])


def test_no_recordings_at_all(tmp_path):
    with pytest.raises(DataError) as caught:
        MITBIH.load(tmp_path, "test", CONFIG)
    message = str(caught.value)
    assert f"neither 100.hea nor {PACKED} is in {tmp_path} or {tmp_path / 'mitbih'}" in message
    assert "physionet.org/content/mitdb" in message


def test_a_missing_record_is_named(tmp_path, made):
    write_official(tmp_path, "100", made["100"])
    with pytest.raises(DataError, match="record 103 in .* cannot be read"):
        MITBIH.load(tmp_path, "test", CONFIG)


# The packed file


def test_packed_recordings_are_whole(packed, made):
    names = ("230", "100", "114")
    for name, found in zip(names, unpack(packed / "mitbih" / PACKED, names), strict=True):
        assert (found.signal == made[name].signal).all() and found.signal.dtype == np.int16
        assert (found.times == made[name].times).all() and found.times.dtype == np.int64
        assert (found.symbols == made[name].symbols).all()


def test_a_packed_file_that_lacks_a_record(packed, made):
    path = packed / "mitbih" / PACKED
    np.savez(path, **packed_arrays({name: made[name] for name in EVERY if name != "207"}))
    with pytest.raises(DataError, match=rf"{PACKED} lacks record 207; expected 101, 106, "):
        MITBIH.load(packed, "train", CONFIG)


@pytest.mark.parametrize(("name", "change"), [
    ("lo", lambda a: a[:, :-1]), ("hi", lambda a: a.astype(np.int16)), ("lo", lambda a: a[0]),
    ("records", lambda a: a[:-1]), ("ann_sample", lambda a: a[:-1]),
    ("ann_sample", lambda a: a + 600), ("ann_sample", lambda a: a - 40),
    ("ann_sample", lambda a: np.where(a == a.min(), -1, a)),
    ("ann_sample", lambda a: np.where(a == a.max(), 700, a)),
    ("ann_symbol", lambda a: a[1:]), ("ann_offsets", lambda a: a[:-1]),
    ("ann_offsets", lambda a: a + 1), ("ann_offsets", lambda a: a[::-1]),
    ("ann_offsets", lambda a: np.where(a == 0, 1, a)),
    ("ann_offsets", lambda a: np.where(a == 5, 11, a)),
])
def test_packed_arrays_that_do_not_fit(tmp_path, made, name, change):
    arrays = packed_arrays(made)
    arrays[name] = change(arrays[name])
    np.savez(tmp_path / PACKED, **arrays)
    with pytest.raises(DataError) as caught:
        MITBIH.load(tmp_path, "test", CONFIG)
    message = str(caught.value)
    assert f"{tmp_path / PACKED} has lo " in message and f"{name} {arrays[name].shape}" in message
    assert "expected lo (R, T), hi (R, T)" in message and "offsets that rise from 0" in message


def test_a_packed_file_that_is_none(tmp_path):
    (tmp_path / PACKED).write_bytes(b"junk")
    with pytest.raises(DataError, match=rf"{PACKED} cannot be read as MIT-BIH recordings .*lo \(R"):
        MITBIH.load(tmp_path, "test", CONFIG)


def test_intervals_are_a_task_of_their_own(packed):
    part = load_samples(packed, "train", TaskConfig("mitbih-intervals", STEPS))
    other = load_samples(packed, "train", CONFIG)
    assert part.inputs.shape == (88, 3, STEPS) and MITBIH_INTERVALS.config().model.inputs == 3
    assert (part.inputs[:, :1] == other.inputs).all() and (part.labels == other.labels).all()
    assert len(np.unique(part.inputs[:, 1])) > 1
