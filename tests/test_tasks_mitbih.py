"""MIT-BIH: the causal integer path, windows, the patients' split, both formats, class tables."""

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import DataError, load_samples
from snn_ssm.tasks.mitbih import AFTER, CLASSES, MITBIH, PACKED, RECORDS, beats, levels, unpack
from snn_ssm.tasks.scores import ClassScore, class_table
from snn_ssm.tasks.wfdb import CODES, Recording, parse_annotations, read_recording, unpack_212

STEPS = 40
CONFIG = TaskConfig("mitbih", STEPS)
EVERY = sorted(RECORDS["train"] + RECORDS["test"])


def noise(count, seed=0):
    """A signal (T,) that wanders and jumps as an electrocardiogram does."""
    rng = np.random.default_rng(seed)
    slow = 1024 + np.cumsum(rng.normal(size=count))
    return (slow + 300 * (rng.random(count) < 0.02)).astype(np.int16)


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
    for row, time in zip(found, times, strict=True):
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
    first, last = beats(recording, 100)[0]
    assert (first == np.concatenate([np.full(51, 128), level[:49]])).all()
    assert (last == np.concatenate([level[149:], np.full(49, level[-1])])).all()


def test_symbols_are_the_classes_of_the_standard():
    symbols = b'NLRejAaJSVEFQ/f+~|!["x'
    times = 600 + np.arange(len(symbols))
    recording = Recording(noise(900), times, np.frombuffer(symbols, np.uint8))
    windows, labels = beats(recording, STEPS)
    assert "".join(CLASSES[label] for label in labels) == "NNNNN" "SSSS" "VV" "F"
    assert windows.shape == (12, STEPS) and windows.dtype == np.uint8


def test_a_recording_without_beats_has_no_windows():
    recording = Recording(noise(900), np.array([5]), np.frombuffer(b"+", np.uint8))
    windows, labels = beats(recording, STEPS)
    assert windows.shape == (0, STEPS) and len(labels) == 0


# The split


def test_patients_are_split_as_published():
    train, test = set(RECORDS["train"]), set(RECORDS["test"])
    assert len(RECORDS["train"]) == len(RECORDS["test"]) == 22
    assert not train & test and not (train | test) & {"102", "104", "107", "217"}


# Both formats


def recordings_of():
    """A short recording for every record: 4 beats, of classes by turns, and a change of rhythm."""
    found = {}
    for i, name in enumerate(EVERY):
        symbols = bytes([ord("+"), *(b"NAVF"[(i + j) % 4] for j in range(4))])
        times = np.array([0, 100, 250, 400, 599]) + i % 50
        found[name] = Recording(noise(700, i), times, np.frombuffer(symbols, np.uint8))
    return found


def packed_arrays(recordings):
    """The arrays of the packed file: first differences in byte planes, ragged annotations."""
    signals = np.stack([recording.signal for recording in recordings.values()])
    differences = np.diff(signals, axis=1, prepend=np.int16(0)).astype("<i2")  # (R, T)
    planes = differences.view(np.uint8).reshape(*differences.shape, 2)
    counts = [len(recording.times) for recording in recordings.values()]
    return {
        "lo": planes[..., 0], "hi": planes[..., 1], "records": np.array(list(recordings)),
        "ann_sample": np.concatenate([r.times for r in recordings.values()]).astype(np.int32),
        "ann_symbol": np.concatenate([r.symbols for r in recordings.values()]),
        "ann_offsets": np.concatenate([[0], np.cumsum(counts)]),
    }


def pack_212(first, second):
    """Two signals (T,) as format 212: 12 bits each, three bytes a pair."""
    content = bytearray()
    for a, b in zip(first, second, strict=True):
        a, b = int(a) & 0xFFF, int(b) & 0xFFF
        content += bytes([a & 0xFF, a >> 8 | b >> 8 << 4, b & 0xFF])
    return bytes(content)


def word(code, interval):
    return struct.pack("<H", code << 10 | interval)


def annotations_of(times, symbols):
    """An annotation file: a subtype and a text after each rhythm, long pauses by SKIP."""
    codes = {symbol: code for code, symbol in CODES.items()}
    content, now = b"", 0
    for time, symbol in zip(times, symbols, strict=True):
        pause = int(time) - now
        if not 0 <= pause < 1024:
            content += word(59, 0) + struct.pack("<HH", pause >> 16 & 0xFFFF, pause & 0xFFFF)
            pause = 0
        content += word(codes[chr(symbol)], pause)
        if chr(symbol) == "+":
            content += word(61, 1) + word(63, 3) + b"(N\0\0"
        now = int(time)
    return content + word(0, 0)


def write_official(folder, name, recording):
    """The three files of a record, its second signal another than its first."""
    count = len(recording.signal)
    (folder / f"{name}.hea").write_text(
        f"{name} 2 360 {count}\n{name}.dat 212 200 11 1024 995 -22131 0 MLII\n"
        f"{name}.dat 212 200 11 1024 1011 20052 0 V5\n# 69 M 1085 1629 x1\n"
    )
    (folder / f"{name}.dat").write_bytes(pack_212(recording.signal, -recording.signal))
    content = annotations_of(recording.times, recording.symbols)
    (folder / f"{name}.atr").write_bytes(content)


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


def test_no_recordings_at_all(tmp_path):
    with pytest.raises(DataError) as caught:
        MITBIH.load(tmp_path, "test", CONFIG)
    message = str(caught.value)
    assert f"neither 100.hea nor {PACKED} is in {tmp_path} or {tmp_path / 'mitbih'}" in message
    assert "physionet.org/content/mitdb" in message


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
    ("ann_symbol", lambda a: a[1:]), ("ann_offsets", lambda a: a[:-1]),
    ("ann_offsets", lambda a: a + 1), ("ann_offsets", lambda a: a[::-1]),
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


# PhysioNet's files


@given(st.lists(st.tuples(*[st.integers(-2048, 2047)] * 2), max_size=20))
def test_format_212_there_and_back(samples):
    content = pack_212([a for a, _ in samples], [b for _, b in samples])
    assert unpack_212(content).tolist() == [value for pair in samples for value in pair]


@given(st.lists(st.tuples(st.integers(0, 200_000), st.sampled_from(sorted(CODES.values())))))
def test_annotations_there_and_back(items):
    times = np.cumsum([pause for pause, _ in items], dtype=np.int64)
    symbols = np.array([ord(symbol) for _, symbol in items], np.uint8)
    found, kinds = parse_annotations(annotations_of(times, symbols))
    assert found.tolist() == times.tolist() and kinds.tolist() == symbols.tolist()


def test_annotations_by_hand():
    # A change of rhythm at 18, its text "(N", padded; a normal beat 59 later; the end.
    content = bytes.fromhex("1270 03fc 284e0000 3b04 0000")
    found, kinds = parse_annotations(content)
    assert found.tolist() == [18, 77] and kinds.tobytes() == b"+N"


def test_a_long_interval_may_lead_back():
    content = b"".join([
        word(59, 0), struct.pack("<HH", 1, 2000), word(1, 5),
        word(59, 0), struct.pack("<Hh", 0xFFFF, -500), word(5, 0), word(0, 0),
    ])
    found, kinds = parse_annotations(content)
    assert found.tolist() == [67541, 67041] and kinds.tobytes() == b"NV"


def test_an_unknown_code_takes_its_time_and_is_left_out():
    content = word(1, 10) + word(19, 5) + word(60, 3) + word(62, 1) + word(5, 7) + word(0, 0)
    found, kinds = parse_annotations(content)
    assert found.tolist() == [10, 22] and kinds.tobytes() == b"NV"


def test_annotations_that_do_not_end():
    whole = annotations_of([5, 5000, 5010], b"N+V")
    for count in range(len(whole)):
        with pytest.raises(ValueError, match=f"do not end within {count} bytes"):
            parse_annotations(whole[:count])


@pytest.fixture
def record(tmp_path, made):
    write_official(tmp_path, "100", made["100"])
    return tmp_path


def test_a_record_is_its_first_signal_and_its_annotations(record, made):
    found = read_recording(record, "100")
    assert (found.signal == made["100"].signal).all() and found.signal.dtype == np.int16
    assert (found.times == made["100"].times).all()
    assert (found.symbols == made["100"].symbols).all()


@pytest.mark.parametrize(("end", "content", "why"), [
    ("hea", b"", "list index out of range"), ("hea", b"100 2 360\n", "list index out of range"),
    ("hea", b"100 1 360 700\n", "its header is '100 1 360 700'"),
    ("hea", b"100 2 250 700\n", "its header is '100 2 250 700'"),
    ("hea", b"100 2 360 many\n", "invalid literal"), ("hea", b"\xff\n", "codec can't decode"),
    ("hea", b"100 2 360 701\n", "100.dat has 2100 bytes, not 2103"),
    ("dat", bytes(2097), "100.dat has 2097 bytes, not 2100"),
    ("atr", b"", "do not end within 0 bytes"),
    ("atr", word(1, 700) + word(0, 0), "100.atr has an annotation outside the 700 samples"),
    ("atr", word(59, 0) + b"\xff\xff\xff\xff" + word(1, 0) + word(0, 0), "an annotation outside"),
])
def test_a_record_that_cannot_be_read(record, end, content, why):
    (record / f"100.{end}").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_recording(record, "100")
    message = str(caught.value)
    assert message.startswith(f"record 100 in {record} cannot be read (") and why in message
    assert "expected 100.hea, 100.dat (format 212, 2 signals, 360 samples a second)" in message


@pytest.mark.parametrize("end", ["hea", "dat", "atr"])
def test_a_record_of_which_a_file_is_missing(record, end):
    (record / f"100.{end}").unlink()
    with pytest.raises(DataError, match=rf"record 100 in .*No such file.*100\.{end}.*Fetch the"):
        read_recording(record, "100")


def test_a_missing_record_is_named(record):
    with pytest.raises(DataError, match="record 103 in .* cannot be read"):
        MITBIH.load(record, "test", CONFIG)


# The table of classes


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
