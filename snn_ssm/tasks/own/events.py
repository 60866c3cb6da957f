"""Events of a sensor -> spikes: which of its channels has one in each bin of time.

An event is (t in µs, x, y, p). With a bin of ``event_bin`` µs and pixels of which ``event_pool`` in
each direction are one, sample b has a spike at step ``(t - t_0) // bin``, t_0 its first event's
time, in the channel of polarity p, row ``y // pool``, column ``x // pool``, however many events
fall there.

Files, by the ends of their names:

- ``.npz`` with ``events``, an array with the fields t, x, y, p, and ``offsets`` (B + 1,);
- ``.bin``, ``.bs2``, a file a sample: 40 bits an event, of which 8 are x, 8 are y, one is p and 23
  are t in µs, the largest first; an event of y = 240 moves all that follow by 2^13 µs (N-MNIST);
- ``.aedat4``, a file a sample (:mod:`snn_ssm.tasks.own.aedat`);
- ``.h5``: ``spikes/times`` (s) and ``spikes/units``, lists of a sample each, and ``labels``; the
  names in ``extra/keys`` (SHD, SSC), the groups in ``extra/speaker`` (SHD). Its units are one row.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig
from snn_ssm.files import write_atomic
from snn_ssm.reading import open_regular
from snn_ssm.tasks.base import DataError, read_file, require_room
from snn_ssm.tasks.own.recordings import Recordings

_FIELDS = ("t", "x", "y", "p")
_BYTES = 5  # of an event
_OVERFLOW_ROW, _OVERFLOW = 240, 2**13


@dataclass(frozen=True)
class Events:
    """One sample: times (E,) in µs, not falling; columns, rows and polarities 0 and 1, (E,)."""

    t: NDArray[np.int64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    p: NDArray[np.int64]


def to_events(where: str, t: Any, x: Any, y: Any, p: Any) -> Events:
    """Events in the order of their times; raises :class:`DataError` for numbers that are none."""
    found = []
    for name, values in zip(_FIELDS, (t, x, y, p), strict=True):
        array = np.asarray(values)
        whole = array.dtype.kind in "biu" or (
            array.dtype.kind == "f" and bool(np.isfinite(array).all())
        )
        if not whole or array.ndim != 1 or (len(array) and array.min() < 0):
            raise DataError(
                f"{where}: {name} of the events is of {array.dtype} and shape {array.shape}; "
                "expected numbers from 0 on, (E,). Make the file again."
            )
        found.append(array.astype(np.int64))
    times, columns, rows, polarities = found
    if len(polarities) and polarities.max() > 1:
        raise DataError(
            f"{where}: p of the events goes up to {polarities.max()}; expected 0 and 1. Make the "
            "file again."
        )
    order = np.argsort(times, kind="stable")
    return Events(times[order], columns[order], rows[order], polarities[order])


def sensor_of(samples: Sequence[Events]) -> tuple[int, int]:
    """Width and height of the smallest sensor that has all events."""
    width = max((int(s.x.max()) for s in samples if len(s.x)), default=0) + 1
    return width, max((int(s.y.max()) for s in samples if len(s.y)), default=0) + 1


def binned(samples: Sequence[Events], task: TaskConfig, where: Path) -> Recordings:
    """The samples as spikes (B, C, L) uint8, without answers.

    C = polarities x rows x columns, in this order. Raises :class:`DataError` for events that are
    not on ``task.event_sensor``, and for more than memory holds.
    """
    width, height = task.event_sensor or sensor_of(samples)
    pool = task.event_pool
    columns, rows = -(-width // pool), -(-height // pool)
    polarities = 2 if task.event_polarity == "both" else 1
    kept = [_kept(s, task) for s in samples]
    longest = max((float(s.t[-1] - s.t[0]) / task.event_bin for s in kept if len(s.t)), default=0)
    channels = polarities * rows * columns
    require_room(
        (len(samples), channels, int(min(longest, 1e18)) + 1), 1,
        f"the events of {where}, a spike each of its pixels and bins",
        f"Set a larger task.event_bin (it is {task.event_bin:g} µs) or task.event_pool.",
    )
    steps = [((s.t - s.t[:1]) // task.event_bin).astype(np.int64) for s in kept]
    lengths = np.array([int(k[-1]) + 1 if len(k) else 1 for k in steps], np.int64)
    shape = (len(samples), channels, int(lengths.max(initial=1)))
    spikes = np.zeros(shape, np.uint8)
    for b, (sample, k) in enumerate(zip(kept, steps, strict=True)):
        if len(k) and (sample.x.max() >= width or sample.y.max() >= height):
            raise DataError(
                f"sample {b} of {where} has an event at x = {sample.x.max()}, y = "
                f"{sample.y.max()}; task.event_sensor is {width} x {height}. Correct it."
            )
        sign = sample.p if polarities == 2 else 0
        spikes[b, (sign * rows + sample.y // pool) * columns + sample.x // pool, k] = 1
    return Recordings(
        where, spikes, lengths, sample_rate=1e6 / task.event_bin, sensor=(width, height)
    )


def _kept(sample: Events, task: TaskConfig) -> Events:
    if task.event_polarity != "on":
        return sample
    on = sample.p == 1
    return Events(sample.t[on], sample.x[on], sample.y[on], sample.p[on])


def from_fields(path: Path, events: NDArray[Any], offsets: NDArray[Any]) -> list[Events]:
    """The samples of an array with the fields t, x, y, p; raises :class:`DataError`."""
    names = events.dtype.names or ()
    edges = offsets.astype(np.int64) if offsets.dtype.kind in "iu" else offsets
    rises = (
        edges.ndim == 1 and len(edges) > 1 and edges.dtype.kind == "i" and edges[0] == 0
        and edges[-1] == len(events) and bool((np.diff(edges) >= 0).all())
    )
    if set(names) != set(_FIELDS) or events.ndim != 1 or not rises:
        raise DataError(
            f"{path}: events have the fields {', '.join(names) or 'none'} and shape "
            f"{events.shape}, offsets shape {offsets.shape}; expected {', '.join(_FIELDS)}, (E,), "
            "and offsets (B + 1,) that rise from 0 to E. Make the file again."
        )
    parts = (events[a:b] for a, b in itertools.pairwise(edges))
    return [to_events(str(path), *(part[name] for name in _FIELDS)) for part in parts]


def save_events(
    path: Path, samples: Iterable[tuple[NDArray[Any], int]], names: Sequence[str] = ()
) -> None:
    """Write an ``.npz`` of events with labels, a sample each, such as a dataset of Tonic has them.

    ``samples``: events, an array with the fields t (µs), x, y, p, and the number of a class;
    ``names``: of the classes. An array without y has one row. Raises :class:`DataError`.
    """
    found: list[NDArray[Any]] = []
    labels: list[int] = []
    for events, label in samples:
        given = np.asarray(events)
        fields = given.dtype.names or ()
        if not set(fields) <= set(_FIELDS) or not {"t", "x", "p"} <= set(fields):
            raise DataError(
                f"sample {len(found)} has the fields {', '.join(fields) or 'none'}; expected "
                f"{', '.join(_FIELDS)}. Rename them."
            )
        y = given["y"] if "y" in fields else np.zeros(len(given), np.int64)
        checked = to_events(f"sample {len(found)}", given["t"], given["x"], y, given["p"])
        whole = np.empty(len(given), [(name, np.int64) for name in _FIELDS])
        for name in _FIELDS:
            whole[name] = getattr(checked, name)
        found.append(whole)
        labels.append(int(label))
    if not found:
        raise DataError(f"there are no samples to write to {path}. Give some.")
    arrays = {
        "events": np.concatenate(found), "offsets": np.cumsum([0, *map(len, found)]),
        "labels": np.array(labels), **({"names": np.array(names)} if names else {}),
    }  # fmt: skip
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write_atomic(Path(path), content.getvalue())


def read_address_events(path: Path) -> Events:
    """The events of a ``.bin`` or ``.bs2`` file; raises :class:`DataError`."""
    content = read_file(path)
    if len(content) % _BYTES:
        raise DataError(
            f"{path} has {len(content)} bytes; expected a multiple of {_BYTES}, the bytes of an "
            "event. Fetch the file again."
        )
    parts = np.frombuffer(content, np.uint8).reshape(-1, _BYTES).astype(np.int64)  # (E, 5)
    x, y, p = parts[:, 0], parts[:, 1], parts[:, 2] >> 7
    t = ((parts[:, 2] & 0x7F) << 16) | (parts[:, 3] << 8) | parts[:, 4]
    overflow = y == _OVERFLOW_ROW
    t = t + _OVERFLOW * overflow.cumsum()
    kept = ~overflow
    return to_events(str(path), t[kept], x[kept], y[kept], p[kept])


@dataclass(frozen=True)
class SpikeLists:
    """Samples, and their labels (B,), class names and speakers (B,), as far as a file has them."""

    samples: list[Events]
    labels: NDArray[Any] | None
    names: tuple[str, ...]
    speakers: NDArray[Any] | None


def read_spike_lists(path: Path) -> SpikeLists:
    """What a ``.h5`` file holds; raises :class:`DataError`."""
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"{path} needs the package h5py, which cannot be imported ({error}). Install it: pip "
            "install 'snn-ssm[events]'."
        ) from error
    try:
        with open_regular(path) as content, h5py.File(content, "r") as file:
            times = [np.asarray(row, np.float64) for row in file["spikes/times"][:]]
            units = [np.asarray(row) for row in file["spikes/units"][:]]
            labels = np.asarray(file["labels"][:]) if "labels" in file else None
            extra = file.get("extra", {})
            keys = extra["keys"][:] if "keys" in extra else []
            speakers = np.asarray(extra["speaker"][:]) if "speaker" in extra else None
            names = tuple(_text(key) for key in keys)
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} cannot be read as spikes of HDF5 ({error}); expected spikes/times (s), "
            "spikes/units and labels. Fetch the file again."
        ) from error
    if len(times) != len(units) or (labels is not None and labels.shape != (len(times),)):
        raise DataError(
            f"{path} has {len(times)} lists of times and {len(units)} of units, and labels "
            f"{None if labels is None else labels.shape}; expected as many of each. Fetch the file "
            "again."
        )
    found = []
    for seconds, unit in zip(times, units, strict=True):
        if seconds.shape != unit.shape:
            raise DataError(
                f"{path}: a sample has {len(seconds)} times and {len(unit)} units; expected as "
                "many of each. Fetch the file again."
            )
        zero = np.zeros(len(unit), np.int64)
        found.append(to_events(str(path), np.rint(seconds * 1e6), unit, zero, zero))
    return SpikeLists(found, labels, names, speakers)


def _text(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)
