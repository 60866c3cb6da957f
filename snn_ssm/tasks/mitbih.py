"""MIT-BIH arrhythmia: the class of a heartbeat from the signal up to 0.4 s after it, as it streams.

Patients are split as de Chazal et al. (IEEE Trans. Biomed. Eng. 51:1196, 2004) split them: records
of DS1 train, those of DS2 test; the four with paced beats are left out. (201 and 202, one of each,
are of one man; the published split is kept.) Classes are those of AAMI EC57: N (normal, bundle
branch block, escape), S (supraventricular), V (ventricular), F (fusion of V and N). Its fifth, Q
(unclassifiable), is left out: without the paced records it has 8 beats to train and 7 to test.

One channel, MLII in all but record 114. All that precedes the network is causal and of integers:

    x[k] = sum of three samples at 360 Hz                           (120 Hz, 600 units a mV)
    m[k] = floor(mean of x[k - 127] ... x[k])                       (1.07 s: the baseline)
    level[k] = clip(128 + floor((x[k] - m[k]) / 16), 0, 255)        (37.5 levels a mV)

A sample is the ``task.steps`` levels that end 0.4 s after the annotated beat; 360 steps (3 s) hold
two or more earlier beats, whose distances tell a premature one. The signal is taken to have stood
still before its start (level 128), the level after its end.

``mitbih-intervals`` has two more channels, for it is hard to learn from a few dozen patients that a
beat comes early. They need to be told where beats are, as a detector does that runs before; here
the annotations tell. From beat i's step to the next one's they are, d_i the distance of beat i from
the one before in samples, and n the distances that there are before it, up to 8 and up to 128:

    ratio = clip(floor(256 d_i / (mean of d_{i-n} ... d_{i-1})) - 128, 0, 255)

that is 0 for half the mean and less, 128 for the mean, 255 for one and a half; 128 up to the second
beat of a recording. Beats of all classes count. A run of premature beats is soon the mean of its
own 8, but not of 128: of the beats N and S of DS1 the ratio to 1, 8, 32, 64, 128 or 256 before puts
77, 83, 90, 94, 97 and 98 % of pairs in order (area under the curve).

Two sources are read, the first that is there, from the data directory or its folder ``mitbih``:

- PhysioNet's files, ``100.hea``, ``100.dat``, ``100.atr`` ... (:mod:`snn_ssm.tasks.wfdb`);
- ``mitbih_ch0_delta.npz``: the first channels as differences, int16 in byte planes ``lo`` and
  ``hi`` (R, T), and ``records`` (R,), ``ann_sample``, ``ann_symbol`` (ASCII) and ``ann_offsets``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import Config, ModelConfig, TaskConfig, TrainingConfig
from snn_ssm.tasks.base import (
    DataError,
    Samples,
    arranged,
    gated_spiking_units,
    locate,
    order,
    read_npz,
    require_room,
)
from snn_ssm.tasks.wfdb import Recording, read_recording

CLASSES = ("N", "S", "V", "F")
SYMBOLS = ("NLRej", "AaJS", "VE", "F")
BEATS = "".join(SYMBOLS) + "Q/f"  # those of Q, too, are beats
RECORDS = {
    "train": (
        "101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122", "124",
        "201", "203", "205", "207", "208", "209", "215", "220", "223", "230",
    ),
    "test": (
        "100", "103", "105", "111", "113", "117", "121", "123", "200", "202", "210", "212",
        "213", "214", "219", "221", "222", "228", "231", "232", "233", "234",
    ),
}
OFFICIAL = "100.hea"
PACKED = "mitbih_ch0_delta.npz"
_ARRAYS = {
    "lo": "(R, T)", "hi": "(R, T)", "records": "(R,)", "ann_sample": "(A,)",
    "ann_symbol": "(A,)", "ann_offsets": "(R + 1,)",
}
DECIMATION = 3
AFTER = 48  # steps of 1/120 s
_WINDOW = 128  # steps of the baseline
_UNITS_A_LEVEL = 16
_CENTRE = 128
_GAIN, _OFFSET = 256, 128  # of ratios: a beat that comes as those before it is 128
INTERVALS = (8, 128)  # distances in the mean, a channel each


def levels(signal: NDArray[np.int16]) -> NDArray[np.uint8]:
    """The 8-bit levels (T // 3,) of a signal (T,), by the equations above."""
    steps = len(signal) // DECIMATION
    parts = signal[: steps * DECIMATION].reshape(steps, DECIMATION)
    x = parts.sum(axis=1, dtype=np.int64)  # (T // 3,)
    total = np.cumsum(np.concatenate([np.repeat(x[:1], _WINDOW), x]))
    baseline = (total[_WINDOW:] - total[:-_WINDOW]) // _WINDOW
    return np.clip(_CENTRE + (x - baseline) // _UNITS_A_LEVEL, 0, 255).astype(np.uint8)


def ratios(recording: Recording, steps: int, intervals: int) -> NDArray[np.uint8]:
    """How early beats come, held to the next one: (steps,), by the equation above.

    ``intervals``: the most distances in the mean.
    """
    is_beat = np.isin(recording.symbols, [ord(symbol) for symbol in BEATS])
    times = np.sort(recording.times[is_beat])
    distances = np.diff(times)  # d of beat 1, 2, ...
    found = np.full(len(times) + 1, _CENTRE)  # place 0: the time before the first beat
    for i in range(1, len(distances)):
        before = distances[max(i - intervals, 0) : i]
        if before.sum() > 0:
            ratio = _GAIN * distances[i] * len(before) // before.sum()
            found[i + 2] = min(max(ratio - _OFFSET, 0), 255)
    held = np.searchsorted(times // DECIMATION, np.arange(steps), side="right")
    return found[held].astype(np.uint8)


def beats(
    recording: Recording, steps: int, intervals: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The windows of a recording's beats, (B, channels, steps), and their classes (B,).

    ``intervals``: with the channels of ratios.
    """
    labels = np.full(len(recording.symbols), -1)
    for label, symbols in enumerate(SYMBOLS):
        labels[np.isin(recording.symbols, [ord(symbol) for symbol in symbols])] = label
    level = levels(recording.signal)[None]  # (channels, T // 3)
    if intervals:
        early = [ratios(recording, level.shape[1], count) for count in INTERVALS]
        level = np.stack([level[0], *early])
    ends = recording.times[labels >= 0] // DECIMATION + AFTER
    require_room((len(ends), steps), 8, "windows of that length")
    index = ends[:, None] + np.arange(1 - steps, 1)  # (B, L)
    # The first level is always the centre, and so is what stands before it.
    windows = level[:, np.clip(index, 0, level.shape[1] - 1)]  # (channels, B, L)
    return windows.swapaxes(0, 1), labels[labels >= 0]


def _fit(stored: dict[str, NDArray[Any]]) -> bool:
    """Whether the arrays of the packed file belong together, every beat within its recording."""
    lo, hi, times, offsets = (stored[name] for name in ("lo", "hi", "ann_sample", "ann_offsets"))
    shapes = (
        lo.ndim == 2 and lo.shape == hi.shape and lo.dtype == hi.dtype == np.uint8
        and stored["records"].shape == lo.shape[:1] and offsets.shape == (len(lo) + 1,)
        and times.ndim == 1 and stored["ann_symbol"].shape == times.shape
        and {times.dtype.kind, offsets.dtype.kind} <= {"i", "u"}
        and stored["records"].dtype.kind == "U"
        and stored["ann_symbol"].dtype == np.uint8 and lo.shape[1] >= DECIMATION
    )
    offsets = offsets.astype(np.int64) if shapes else offsets  # of unsigned ones none falls
    return shapes and bool(
        offsets[0] == 0 and offsets[-1] == len(times) and (np.diff(offsets) >= 0).all()
        and ((times >= 0) & (times < lo.shape[1])).all()
    )


def unpack(path: Path, names: tuple[str, ...]) -> list[Recording]:
    """The named records of the packed file; raises :class:`DataError`."""
    stored = read_npz(path, "MIT-BIH recordings", _ARRAYS)
    if not _fit(stored):
        shapes = ", ".join(f"{name} {stored[name].shape}" for name in _ARRAYS)
        expected = ", ".join(f"{name} {shape}" for name, shape in _ARRAYS.items())
        raise DataError(
            f"{path} has {shapes}; expected {expected}, offsets that rise from 0 to A, and "
            "annotations within T samples. Fetch or make the file again."
        )
    rows = {str(name): row for row, name in enumerate(stored["records"])}
    missing = [name for name in names if name not in rows]
    if missing:
        raise DataError(f"{path} lacks record {missing[0]}; expected {', '.join(names)}.")
    found = []
    for row in (rows[name] for name in names):
        planes = np.stack([stored["lo"][row], stored["hi"][row]], axis=-1)  # (T, 2)
        differences = planes.view("<i2")[:, 0]
        start, end = stored["ann_offsets"][row : row + 2]
        found.append(Recording(
            differences.cumsum(dtype=np.int16),
            stored["ann_sample"][start:end].astype(np.int64),
            stored["ann_symbol"][start:end],
        ))
    return found


@dataclass(frozen=True)
class MitBih:
    """Heartbeats of patients that training has not seen."""

    name: str = "mitbih"
    classes: tuple[str, ...] = CLASSES
    intervals: bool = False

    def config(self) -> Config:
        """A causal GSU for two cores; with intervals a small Binary S4D.

        The latter's settings were chosen on folds of DS1 (docs/accuracy.md): pooled over all steps
        alike, the ratio of the beat itself is lost among those of the beats before it.
        """
        if self.intervals:
            return Config(
                task=TaskConfig(self.name, 180),
                model=ModelConfig(
                    inputs=1 + len(INTERVALS), classes=len(CLASSES), input_scale=1 / 256,
                    channels=32, depth=2, dt_min=0.004, dt_max=0.4, dropout=0.2,
                    surrogate="arctan", surrogate_slope=2.0,
                    pooling="filter", pooling_tau=float(AFTER),
                ),
                training=TrainingConfig(
                    epochs=2, rate=5e-3, weight_decay=0.05, class_weights=(0.25, 4.0, 1.5, 2.0)
                ),
            )
        return Config(
            task=TaskConfig(self.name, 360),
            # The recipe of the other tasks fits the patients trained on sooner, and no others.
            model=gated_spiking_units(
                classes=len(CLASSES), input_scale=1 / 16, surrogate="arctan", surrogate_slope=2.0,
                membrane_norm=False,
            ),
            training=TrainingConfig(epochs=4, rate=5e-3),
        )

    def load(self, data: Path, split: str, task: TaskConfig) -> Samples:
        """Levels (B, channels, steps) uint8 and classes (B,), the patients mixed.

        A record is a group.
        """
        path = _source(data)
        names = RECORDS[split]
        if path.name == OFFICIAL:
            recordings = [read_recording(path.parent, name) for name in names]
        else:
            recordings = unpack(path, names)
        windows, labels = zip(
            *(beats(r, task.steps, self.intervals) for r in recordings), strict=True
        )
        index = order(sum(map(len, labels)), split, task, mixed=True)
        inputs = np.concatenate(windows)[index]  # (B, channels, L)
        groups = np.repeat(names, list(map(len, labels)))[index]
        return arranged(
            inputs, np.concatenate(labels)[index], task, len(CLASSES), groups=groups
        )

    def download(self, data: Path) -> None:
        """Nothing where the files are there; this version fetches none."""
        _source(data)


def _source(data: Path) -> Path:
    found = locate(data, "mitbih", OFFICIAL) or locate(data, "mitbih", PACKED)
    if found is None:
        raise DataError(
            f"neither {OFFICIAL} nor {PACKED} is in {data} or {data / 'mitbih'}. Put the files of "
            "https://physionet.org/content/mitdb/1.0.0/ there; they are not downloaded."
        )
    return found


MITBIH = MitBih()
MITBIH_INTERVALS = MitBih("mitbih-intervals", intervals=True)
