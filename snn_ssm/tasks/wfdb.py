"""Recordings in PhysioNet's WFDB format, as far as the MIT-BIH arrhythmia database uses it.

A record ``100`` is three files: ``100.hea``, whose first line is ``100 2 360 650000`` (signals,
samples a second, samples); ``100.dat``, two signals in format 212; ``100.atr``, the annotations.
Source: WFDB Applications Guide, signal(5), header(5), annot(5).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_ssm.reading import read_regular
from snn_ssm.tasks.base import DataError

RATE = 360
_SIGNALS = 2
_LARGEST_HEADER = 2**16
# The codes of annot(5) that MIT-BIH uses, by their symbols.
CODES = {
    1: "N", 2: "L", 3: "R", 4: "a", 5: "V", 6: "F", 7: "J", 8: "A", 9: "S", 10: "E", 11: "j",
    12: "/", 13: "Q", 14: "~", 16: "|", 22: '"', 28: "+", 31: "!", 32: "[", 33: "]", 34: "e",
    37: "x", 38: "f",
}
_SKIP, _FIELDS, _AUX = 59, (60, 61, 62), 63  # _FIELDS: a number, a subtype, a signal


@dataclass(frozen=True)
class Recording:
    """``signal`` (T,) int16, ADC units; beats at ``times`` (A,) with ``symbols`` (A,) as ASCII."""

    signal: NDArray[np.int16]
    times: NDArray[np.int64]
    symbols: NDArray[np.uint8]


def unpack_212(content: bytes) -> NDArray[np.int16]:
    """Two's complement samples of 12 bits, two in three bytes: (2 * bytes / 3,).

    The first is byte 0 with the low half of byte 1 above it, the second byte 2 with the high half.
    """
    groups = np.frombuffer(content, np.uint8).reshape(-1, 3).astype(np.int16)
    low, middle, high = groups.T
    pairs = np.stack([low | (middle & 0x0F) << 8, high | (middle & 0xF0) << 4], axis=-1)
    return ((pairs ^ 0x800) - 0x800).reshape(-1)


def parse_annotations(content: bytes) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Times and symbols of a ``.atr`` file; raises ``ValueError`` where it ends too early.

    A 16-bit word holds a code (6 bits) and the time since the last annotation (10 bits); code 59
    is followed by a longer time, 63 by a text, and 0 with time 0 ends the file. An annotation of a
    code that MIT-BIH does not use is left out.
    """
    times: list[int] = []
    symbols: list[int] = []
    at = now = 0
    while True:
        word = int.from_bytes(content[at : at + 2], "little")
        if at + 2 > len(content):
            raise ValueError(f"its annotations do not end within {len(content)} bytes")
        at += 2
        code, interval = word >> 10, word & 0x3FF
        if code == 0 and interval == 0:
            return np.array(times, np.int64), np.array(symbols, np.uint8)
        if code == _SKIP:
            high, low = content[at : at + 2], content[at + 2 : at + 4]
            now += int.from_bytes(low + high, "little", signed=True)
            at += 4
        elif code == _AUX:
            at += interval + interval % 2
        elif code not in _FIELDS:
            now += interval
            if code in CODES:
                times.append(now)
                symbols.append(ord(CODES[code]))


def check_signal(signal: NDArray[np.int16], fields: list[str]) -> None:
    """Compare a signal (T,) with its line of the header; raises ``ValueError``.

    The line ``100.dat 212 200 11 1024 995 -22131 0 MLII`` has as its second field the format, as
    its sixth the first sample, as its seventh the sum of all samples, both in 16 bits.
    """
    if len(fields) < 7 or fields[1].partition(":")[0] != "212":
        raise ValueError(f"the header describes a signal as {' '.join(fields)!r}")
    total = int(signal.sum(dtype=np.int64))
    found = (int(signal[0]), (total + 0x8000) % 0x10000 - 0x8000)
    expected = (int(fields[5]), int(fields[6]))
    if found != expected:
        raise ValueError(
            f"a signal's first sample and checksum are {found}, and {expected} in the header"
        )


def read_recording(folder: Path, record: str) -> Recording:
    """The first signal of a record and its annotations; raises :class:`DataError`."""
    header, signals, annotations = (folder / f"{record}.{end}" for end in ("hea", "dat", "atr"))
    try:
        lines = read_regular(header, _LARGEST_HEADER).decode("ascii").splitlines()
        fields = lines[0].split()
        count = int(fields[3])
        if (int(fields[1]), float(fields[2])) != (_SIGNALS, RATE):
            raise ValueError(f"its header is {' '.join(fields)!r}")
        content = read_regular(signals)
        if len(content) != 3 * count:
            raise ValueError(f"{signals.name} has {len(content)} bytes, not {3 * count}")
        samples = unpack_212(content).reshape(-1, _SIGNALS)  # (T, 2)
        for number in range(_SIGNALS):
            check_signal(samples[:, number], lines[1 + number].split())
        times, symbols = parse_annotations(read_regular(annotations))
        if len(times) and not 0 <= times.min() <= times.max() < count:
            raise ValueError(f"{annotations.name} has an annotation outside the {count} samples")
    except (OSError, ValueError, IndexError) as error:
        raise DataError(
            f"record {record} in {folder} cannot be read ({error}); expected {header.name}, "
            f"{signals.name} (format 212, {_SIGNALS} signals, {RATE} samples a second) and "
            f"{annotations.name}. Fetch the three files again."
        ) from error
    return Recording(samples[:, 0], times, symbols)
