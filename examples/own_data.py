"""Own data from public recordings, as ``snn-ssm train own`` reads them: folders of arrays.

    python examples/own_data.py activity wisdm_watch_accel_20hz.npz activity
    python examples/own_data.py next     DATA_WITH_MITBIH           ecg-next
    python examples/own_data.py phase    DATA_WITH_MITBIH           ecg-phase
    python examples/own_data.py real     DATA_WITH_MITBIH           ecg-real

``activity``: what somebody with a watch does, from 3 to 5 s of acceleration (ragged samples, labels
of text, nobody in two splits). ``next``: the next sample of an electrocardiogram, at each step (a
target a step, in units of about its spread). ``phase``: in which part of a heart-beat each step is
(a label a step). ``real``: the same of millivolts, which are no integers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.tasks.mitbih import DECIMATION, PACKED, RECORDS, levels, unpack

ACTIVITIES = {"A": "walking", "B": "jogging", "C": "stairs", "D": "sitting", "E": "standing",
              "M": "kicking"}
USERS = {"test": 10, "valid": 5}  # drawn at random; the others train
COUNTS = {"train": 4000, "valid": 500, "test": 500}
PHASES = ("rest", "contraction", "recovery")
STEPS = 240  # 2 s
RATE = 120.0
_BEFORE, _AFTER, _END = -6, 8, 42  # steps of 1/120 s around a beat
_UNITS_A_MV = 200
_BASELINE = 128  # steps


def activity(source: Path, out: Path) -> None:
    """Pieces of 60 to 100 steps of 1/20 s, of one user and activity each."""
    with np.load(source) as stored:
        users, codes, xyz = stored["user"], stored["activity"], stored["xyz"]
    rng = np.random.default_rng(0)
    everybody = rng.permutation(np.unique(users))
    test, valid = everybody[-USERS["test"] :], everybody[-sum(USERS.values()) : -USERS["test"]]
    edges = np.flatnonzero((np.diff(users) != 0) | (np.diff(codes) != 0)) + 1
    found: dict[str, list[tuple[NDArray[Any], str]]] = {split: [] for split in COUNTS}
    for rows in np.split(np.arange(len(users)), edges):
        user = users[rows[0]]
        split = "test" if user in test else "valid" if user in valid else "train"
        for start in range(0, len(rows) - 100, 100):
            piece = xyz[rows[start : start + rng.integers(60, 101)]]
            found[split].append((piece, ACTIVITIES[chr(codes[rows[0]])]))
    for split, items in found.items():
        chosen = [items[i] for i in rng.permutation(len(items))[: COUNTS[split]]]
        offsets = np.cumsum([0, *(len(piece) for piece, _ in chosen)])
        np.savez(
            out / f"{split}.npz", inputs=np.concatenate([piece for piece, _ in chosen]),
            offsets=offsets, labels=np.array([name for _, name in chosen]), sample_rate=20.0,
        )


def millivolts(signal: NDArray[np.int16]) -> NDArray[np.float32]:
    """The mean of 3 samples less that of the 128 steps before, mV, (T // 3,)."""
    steps = len(signal) // DECIMATION
    mean = signal[: steps * DECIMATION].reshape(steps, DECIMATION).mean(axis=1) / _UNITS_A_MV
    total = np.cumsum(np.concatenate([np.repeat(mean[:1], _BASELINE), mean]))
    baseline = (total[_BASELINE:] - total[:-_BASELINE]) / _BASELINE
    return np.asarray(mean - baseline, np.float32)


def heart(source: Path, out: Path, wanted: str) -> None:
    """Windows of 2 s of all patients: those of the data set's training part train."""
    path = source / PACKED if (source / PACKED).exists() else source / "mitbih" / PACKED
    rng = np.random.default_rng(0)
    for split, count in (("train", COUNTS["train"]), ("test", COUNTS["test"])):
        signals = [
            (millivolts(r.signal) if wanted == "real" else levels(r.signal), r.times // DECIMATION)
            for r in unpack(path, RECORDS[split])
        ]
        inputs = np.empty((count, 1, STEPS), np.float32 if wanted == "real" else np.uint8)
        phases = np.zeros((count, STEPS), np.int64)
        following = np.empty((count, 1, STEPS))
        for b in range(count):
            level, beats = signals[int(rng.integers(len(signals)))]
            start = int(rng.integers(len(level) - STEPS - 1))
            inputs[b, 0] = level[start : start + STEPS]
            following[b, 0] = (level[start + 1 : start + STEPS + 1] - 128.0) / 16
            near = beats[(beats > start - _END) & (beats < start + STEPS - _BEFORE)]
            for beat in near - start:
                for first, last, phase in ((_BEFORE, _AFTER, 1), (_AFTER, _END, 2)):
                    phases[b, max(beat + first, 0) : max(beat + last, 0)] = phase
        answers = {"targets": following} if wanted == "next" else {"labels": phases}
        names = ["level"] if wanted == "next" else PHASES
        np.savez(
            out / f"{split}.npz", inputs=inputs, names=np.array(names), sample_rate=RATE,
            **answers,  # type: ignore[arg-type]
        )


def main(wanted: str, source: Path, out: Path) -> None:
    """Write ``train.npz`` and ``test.npz``, and of ``activity`` ``valid.npz``, into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    if wanted == "activity":
        activity(source, out)
    elif wanted in ("next", "phase", "real"):
        heart(source, out, wanted)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
