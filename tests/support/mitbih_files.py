"""Short recordings in the place of MIT-BIH's, and the files of both formats that hold them."""

import struct

import numpy as np

from snn_ssm.tasks.mitbih import RECORDS
from snn_ssm.tasks.wfdb import CODES, Recording

EVERY = sorted(RECORDS["train"] + RECORDS["test"])


def noise(count, seed=0):
    """A signal (T,) that wanders and jumps as an electrocardiogram does."""
    rng = np.random.default_rng(seed)
    slow = 1024 + np.cumsum(rng.normal(size=count))
    return (slow + 300 * (rng.random(count) < 0.02)).astype(np.int16)


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
    count, lines = len(recording.signal), []
    for signal, lead in ((recording.signal, "MLII"), (-recording.signal, "V5")):
        total = signal.astype(np.int64).sum().astype(np.int16)  # wraps
        lines.append(f"{name}.dat 212 200 11 1024 {signal[0]} {total} 0 {lead}\n")
    (folder / f"{name}.hea").write_text(
        f"{name} 2 360 {count}\n{''.join(lines)}# 69 M 1085 1629 x1\n"
    )
    (folder / f"{name}.dat").write_bytes(pack_212(recording.signal, -recording.signal))
    content = annotations_of(recording.times, recording.symbols)
    (folder / f"{name}.atr").write_bytes(content)
