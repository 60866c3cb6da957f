"""PhysioNet's files: format 212 and annotations there and back; records that cannot be read."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mitbih_files import annotations_of, pack_212, recordings_of, word, write_official

from snn_ssm.tasks import DataError
from snn_ssm.tasks.wfdb import CODES, Recording, parse_annotations, read_recording, unpack_212

RECORDING = recordings_of()["100"]
# The symbols of annot(5) in the order of their codes, a blank where there is none.
STANDARD = " NLRaVFJASEj/Q~ | sT*D\"=pB^t+u?![]en@xf()r"


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


def test_codes_are_those_of_the_standard():
    assert all(STANDARD[code] == symbol for code, symbol in CODES.items())


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
    found, kinds = parse_annotations(word(0, 4) + content)
    assert found.tolist() == [14, 26] and kinds.tobytes() == b"NV"


def test_annotations_that_do_not_end():
    whole = annotations_of([5, 5000, 5010], b"N+V")
    for count in range(len(whole)):
        with pytest.raises(ValueError, match=f"do not end within {count} bytes"):
            parse_annotations(whole[:count])


@pytest.fixture
def record(tmp_path):
    write_official(tmp_path, "100", RECORDING)
    return tmp_path


def test_a_record_is_its_first_signal_and_its_annotations(record):
    found = read_recording(record, "100")
    assert (found.signal == RECORDING.signal).all() and found.signal.dtype == np.int16
    assert (found.times == RECORDING.times).all()
    assert (found.symbols == RECORDING.symbols).all()


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


@pytest.mark.parametrize(("line", "field"), [(1, 5), (1, 6), (2, 5), (2, 6)])
def test_a_signal_that_is_not_the_headers(record, line, field):
    path = record / "100.hea"
    lines = [text.split() for text in path.read_text().splitlines()]
    lines[line][field] = str(int(lines[line][field]) + 1)
    path.write_text("\n".join(" ".join(words) for words in lines))
    with pytest.raises(DataError, match="a signal's first sample and checksum are") as caught:
        read_recording(record, "100")
    assert "Fetch the three files again" in str(caught.value)


def test_one_flipped_bit_of_a_signal(record):
    path = record / "100.dat"
    whole = bytearray(path.read_bytes())
    for at in (0, 1, 2, 300, 700, 2099):
        damaged = bytearray(whole)
        damaged[at] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="checksum"):
            read_recording(record, "100")


@pytest.mark.parametrize("line", ["100.dat 212", "100.dat 16 200 11 1024 995 5 0 MLII"])
def test_a_signal_that_the_header_does_not_describe(record, line):
    (record / "100.hea").write_text(f"100 2 360 700\n{line}\n{line}\n")
    with pytest.raises(DataError, match="the header describes a signal as"):
        read_recording(record, "100")


def test_the_checksum_wraps_in_16_bits(tmp_path):
    """As in the header of record 100: its samples add up to -22131 in 16 bits."""
    loud = Recording(np.full(700, 2047, np.int16), RECORDING.times, RECORDING.symbols)
    write_official(tmp_path, "100", loud)
    assert f" {np.int64(700 * 2047).astype(np.int16)} 0 MLII" in (tmp_path / "100.hea").read_text()
    assert (read_recording(tmp_path, "100").signal == 2047).all()
