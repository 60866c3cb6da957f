"""Events of a sensor: the public formats, and how they become spikes."""

from pathlib import Path

import numpy as np
import pytest

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import DataError
from snn_ssm.tasks.own import read_recordings, save_events
from snn_ssm.tasks.own.aedat import read_aedat
from snn_ssm.tasks.own.events import binned, to_events

# Two samples on a sensor of 4 x 3: t (µs), x, y, p.
ONE = [(100, 0, 0, 1), (150, 3, 2, 0), (1100, 3, 2, 0), (1200, 3, 2, 0), (3050, 1, 1, 1)]
TWO = [(7, 2, 1, 0)]
TASK = TaskConfig("own", 3, event_sensor=(4, 3))
TASK_OF_12 = TaskConfig("own", 30, event_sensor=(12, 9))
AEDAT = Path(__file__).parents[1] / "data" / "events.aedat4"


def fields(*samples):
    """The arrays of an .npz."""
    dtype = [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")]
    events = np.array([e for sample in samples for e in sample], dtype)
    return {"events": events, "offsets": np.cumsum([0, *map(len, samples)])}


def packed(events):
    """The bytes of a .bin file."""
    return b"".join(
        bytes([x, y, (p << 7) | (t >> 16), (t >> 8) & 255, t & 255]) for t, x, y, p in events
    )


def spikes_of(found, sample):
    """(channel, step) of each spike."""
    return {tuple(map(int, at)) for at in np.argwhere(found.inputs[sample])}


def on(p, y, x, width=4, height=3):
    return (p * height + y) * width + x


def assert_are_the_samples(found):
    assert found.inputs.shape == (2, 24, 3) and found.inputs.dtype == np.uint8
    assert found.lengths.tolist() == [3, 1] and found.sample_rate == 1000.0
    assert spikes_of(found, 0) == {
        (on(1, 0, 0), 0), (on(0, 2, 3), 0), (on(0, 2, 3), 1), (on(1, 1, 1), 2),
    }
    assert spikes_of(found, 1) == {(on(0, 1, 2), 0)}


def test_arrays_with_fields(tmp_path):
    np.savez(tmp_path / "s.npz", **fields(ONE, TWO), labels=[1, 0])
    found = read_recordings(tmp_path / "s.npz", TASK)
    assert_are_the_samples(found)
    assert found.answers.tolist() == [1, 0]


@pytest.mark.parametrize("end", ["bin", "bs2"])
def test_address_events_of_40_bits(tmp_path, end):
    for label, events in ((3, ONE), (7, TWO)):
        (tmp_path / str(label)).mkdir()
        (tmp_path / str(label) / f"00001.{end}").write_bytes(packed(events))
    found = read_recordings(tmp_path, TASK)
    assert_are_the_samples(found)
    assert found.answers.tolist() == [3, 7]


def test_an_overflow_of_the_clock_moves_what_follows(tmp_path):
    (tmp_path / "0").mkdir()
    events = [(10, 1, 1, 1), (0, 0, 240, 0), (11, 2, 2, 1)]  # 2^13 µs later
    (tmp_path / "0" / "a.bin").write_bytes(packed(events))
    found = read_recordings(tmp_path, TASK)
    assert spikes_of(found, 0) == {(on(1, 1, 1), 0), (on(1, 2, 2), 8)}


def test_lists_of_spikes_in_the_layout_of_shd(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(tmp_path / "test.h5", "w") as file:
        times = file.create_dataset("spikes/times", (2,), h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (2,), h5py.vlen_dtype(np.uint16))
        times[0], units[0] = np.array([0.0, 0.003, 0.0025], np.float16), [0, 699, 5]
        times[1], units[1] = np.array([0.25], np.float16), [6]
        file["labels"] = np.array([1, 0], np.uint16)
        file["extra/keys"] = np.array([b"null", b"eins"])
    task = TaskConfig("own", 4, event_sensor=(700, 1), event_pool=5, event_polarity="merged")
    found = read_recordings(tmp_path / "test.h5", task)
    assert found.inputs.shape[1] == 140 and found.names == ("null", "eins")
    assert spikes_of(found, 0) == {(0, 0), (139, 3), (1, 2)}
    assert spikes_of(found, 1) == {(1, 0)} and found.answers.tolist() == [1, 0]


def test_polarities_neighbours_and_bins():
    samples = [to_events("here", *zip(*ONE, strict=True))]
    merged = binned(samples, TaskConfig("own", 1, event_polarity="merged", event_bin=200.0), "here")
    assert merged.inputs.shape == (1, 12, 15)  # of the sensor that has all events
    assert spikes_of(merged, 0) == {(0, 0), (11, 0), (11, 5), (5, 14)}
    only = binned(samples, TaskConfig("own", 1, event_polarity="on"), "here")
    assert spikes_of(only, 0) == {(0, 0), (5, 2)}
    pooled = binned(samples, TaskConfig("own", 1, event_pool=2, event_polarity="merged"), "here")
    assert pooled.inputs.shape == (1, 4, 3) and spikes_of(pooled, 0) == {
        (0, 0), (3, 0), (3, 1), (0, 2),
    }


def test_a_sample_without_events_is_a_step_of_silence():
    nothing = to_events("here", [], [], [], [])
    found = binned([nothing, to_events("here", *zip(*ONE, strict=True))], TASK, "here")
    assert found.lengths.tolist() == [1, 3] and not found.inputs[0].any()


@pytest.mark.parametrize(("change", "said"), [
    ({"t": [1.5, np.nan]}, "t of the events is of float64"), ({"x": [-1, 0]}, "x of the events"),
    ({"p": [0, 2]}, "p of the events goes up to 2; expected 0 and 1"),
    ({"y": [["0"], ["1"]]}, "y of the events is of <U1"),
])
def test_numbers_that_are_no_events(change, said):
    given = {"t": [1, 2], "x": [0, 0], "y": [0, 0], "p": [0, 1]} | change
    with pytest.raises(DataError, match=said):
        to_events("here", **given)


@pytest.mark.parametrize("change", [
    {"offsets": [0, 9]}, {"offsets": [1, 6]}, {"offsets": [0.0, 6.0]},
    {"events": np.zeros(6, [("t", int), ("x", int)])}, {"events": np.zeros(6)},
])
def test_arrays_that_are_no_events(tmp_path, change):
    np.savez(tmp_path / "s.npz", **(fields(ONE, TWO) | {"labels": [1, 0]} | change))
    with pytest.raises(DataError, match=r"s\.npz: events have the fields .* expected t, x, y, p"):
        read_recordings(tmp_path / "s.npz", TASK)


def test_events_that_are_not_on_the_sensor(tmp_path):
    np.savez(tmp_path / "s.npz", **fields(TWO, ONE))
    with pytest.raises(DataError, match=r"sample 1 .* x = 3, y = 2; task\.event_sensor is 3 x 3"):
        read_recordings(tmp_path / "s.npz", TaskConfig("own", 3, event_sensor=(3, 3)))


def test_files_of_events_that_are_cut_short_or_stand_among_others(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "a.bin").write_bytes(packed(ONE)[:-1])
    with pytest.raises(DataError, match=r"a\.bin has 24 bytes; expected a multiple of 5"):
        read_recordings(tmp_path, TASK)
    (tmp_path / "0" / "b.csv").touch()
    with pytest.raises(DataError, match=r"b\.csv stands among files of events"):
        read_recordings(tmp_path, TASK)


def test_files_that_are_no_lists_of_spikes(tmp_path, monkeypatch):
    import sys

    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    path = tmp_path / "a.h5"
    path.write_bytes(b"junk")
    with pytest.raises(DataError, match=r"a\.h5 cannot be read as spikes of HDF5"):
        read_recordings(path, TASK)
    with h5py.File(path, "w") as file:
        file["spikes/times"], file["spikes/units"] = np.zeros((2, 3)), np.zeros((1, 3), int)
    with pytest.raises(DataError, match="2 lists of times and 1 of units"):
        read_recordings(path, TASK)
    with h5py.File(path, "w") as file:
        file["spikes/times"], file["spikes/units"] = np.zeros((2, 3)), np.zeros((2, 4), int)
    with pytest.raises(DataError, match="a sample has 3 times and 4 units"):
        read_recordings(path, TASK)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"pip install 'snn-ssm\[events\]'"):
        read_recordings(path, TASK)


def recorded():
    """What tests/data/events.aedat4 was written of, by iniVation's own library."""
    rng = np.random.default_rng(7)
    t = 1_600_000_000_000_000 + np.sort(rng.integers(0, 30_000, 300))
    return t, rng.integers(0, 12, 300), rng.integers(0, 9, 300), rng.integers(0, 2, 300)


def test_a_recording_of_a_camera(tmp_path):
    pytest.importorskip("aedat", reason="aedat is not installed")
    events = read_aedat(AEDAT)
    for found, expected in zip((events.t, events.x, events.y, events.p), recorded(), strict=True):
        assert found.tolist() == expected.tolist()
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.aedat4").write_bytes(AEDAT.read_bytes())
    found = read_recordings(tmp_path, TaskConfig("own", 30))
    assert found.answers.tolist() == ["left", "right"] and found.sensor == (12, 9)
    assert (found.inputs[0] == binned([to_events("", *recorded())], TASK_OF_12, AEDAT).inputs).all()


def test_a_damaged_recording_ends_another_process(tmp_path):
    pytest.importorskip("aedat", reason="aedat is not installed")
    content, rng = AEDAT.read_bytes(), np.random.default_rng(3)
    for name, damaged in {
        "short": content[:900], "empty": b"", "text": b"no events\n" * 90,
        "header": content[:40] + bytes(rng.integers(0, 256, 400, np.uint8)) + content[440:],
    }.items():
        path = tmp_path / f"{name}.aedat4"
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=f"{name}.aedat4 cannot be read as AEDAT 4"):
            read_aedat(path)
    with pytest.raises(DataError, match="none.aedat4 cannot be read"):
        read_aedat(tmp_path / "none.aedat4")


def test_without_the_reader_of_recordings_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"needs the package aedat.*'snn-ssm\[events\]'"):
        read_aedat(AEDAT)


def test_a_dataset_of_events_is_written_as_it_is_read(tmp_path):
    dtype = [("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")]  # Tonic's order
    dataset = [
        (np.array([(x, y, t, p) for t, x, y, p in events], dtype), label)
        for events, label in ((ONE, 1), (TWO, 0))
    ]
    save_events(tmp_path / "s.npz", dataset, ("no", "yes"))
    found = read_recordings(tmp_path / "s.npz", TASK)
    assert_are_the_samples(found)
    assert found.answers.tolist() == [1, 0] and found.names == ("no", "yes")
    heard = np.array([(5, 0, 1), (9, 2, 1)], [("t", "<i8"), ("x", "<i8"), ("p", "<i8")])  # no rows
    save_events(tmp_path / "h.npz", [(heard, 0)])
    assert read_recordings(tmp_path / "h.npz", TaskConfig("own", 1)).sensor == (3, 1)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ([], "there are no samples to write"),
        ([(np.zeros(3), 0)], "sample 0 has the fields none"),
        ([(np.zeros(3, [("t", int), ("x", int), ("on", int)]), 0)], "the fields t, x, on; exp"),
        ([(np.full(1, -1, [(n, int) for n in "txyp"]), 0)], "sample 0: t of the events"),
    ],
)
def test_a_dataset_of_no_events_is_refused(tmp_path, dataset, message):
    with pytest.raises(DataError, match=message):
        save_events(tmp_path / "s.npz", dataset)
    assert not (tmp_path / "s.npz").exists()
