"""Tables of CSV and Parquet, a row a step; and folders of one file a recording.

Columns of a known name say what a row is of: ``sample`` (which sample, any text; without it the
file is one recording), ``label`` (the class: the same in all rows of a sample, or one a step) or
``target``, ``target_NAME`` (values, likewise). All other columns are channels, in their order, of
numbers. A folder holds a file a recording, or folders of such files, whose names are the classes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig
from snn_ssm.tasks.base import DataError, read_file
from snn_ssm.tasks.own.aedat import read_aedat
from snn_ssm.tasks.own.events import Events, binned, read_address_events, read_spike_lists
from snn_ssm.tasks.own.recordings import Recordings, by_channel, check_recordings, filled_up
from snn_ssm.tasks.own.sound import read_sound

SAMPLE, LABEL, TARGET = "sample", "label", "target"


@dataclass(frozen=True)
class Piece:
    """One sample: ``inputs`` (n, C), and its ``answers``, one (1, ...) or one a step (n, ...).

    ``channels``, ``names``: of the inputs and of values; ``rate``: in Hz, 0 where it is not known.
    """

    inputs: NDArray[Any]
    answers: NDArray[Any] | None = None
    channels: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    rate: float = 0.0


def read_table(path: Path, task: TaskConfig) -> Recordings:
    """The samples of one table; raises :class:`DataError`."""
    return _joined(path, _pieces(path))


def _pieces(path: Path) -> list[Piece]:
    columns = _COLUMNS[path.suffix](path)
    if not columns or not len(next(iter(columns.values()))):
        raise DataError(f"{path} has no rows; expected a row a step. Make the file again.")
    channels = [
        name for name in columns
        if name not in (SAMPLE, LABEL, TARGET) and not name.startswith(f"{TARGET}_")
    ]
    if not channels:
        raise DataError(
            f"{path} has the columns {', '.join(columns)}; expected one at least that is a "
            "channel, of another name. Add it."
        )
    inputs = np.stack([_numbers(path, name, columns[name]) for name in channels], axis=1)
    values = [name for name in columns if name == TARGET or name.startswith(f"{TARGET}_")]
    if values and LABEL in columns:
        raise DataError(
            f"{path} has columns {LABEL} and {values[0]}; expected one of them, what is to be "
            "answered. Leave out the other."
        )
    answers: NDArray[Any] | None = None
    if values:
        answers = np.stack([_numbers(path, name, columns[name]) for name in values], axis=1)
        answers = answers.astype(np.float64)
    elif LABEL in columns:
        answers = np.array([str(value) for value in columns[LABEL]])
    names = tuple(name.removeprefix(f"{TARGET}_") for name in values if name != TARGET)
    rows = _rows(columns.get(SAMPLE), len(inputs))
    return [
        Piece(inputs[row], None if answers is None else answers[row], tuple(channels), names)
        for row in rows
    ]


def read_spikes(path: Path, task: TaskConfig) -> Recordings:
    """The samples of lists of spikes, as :mod:`snn_ssm.tasks.own.events` has them."""
    samples, labels, names = read_spike_lists(path)
    return check_recordings(replace(binned(samples, task, path), answers=labels, names=names))


def _rows(sample: Sequence[Any] | None, count: int) -> list[NDArray[np.int64]]:
    """The rows of each sample, in the order in which samples first come."""
    if sample is None:
        return [np.arange(count)]
    found: dict[str, list[int]] = {}
    for row, name in enumerate(sample):
        found.setdefault(str(name), []).append(row)
    return [np.array(rows) for rows in found.values()]


def _numbers(path: Path, name: str, values: Sequence[Any]) -> NDArray[Any]:
    """A column of numbers, integers where all are; raises :class:`DataError` naming the row."""
    found = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            found[row] = float(value)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{path}: column {name!r}, row {row + 1}, is {str(value)[:40]!r}; expected a "
                f"number. Correct it, or leave the column out; labels stand in {LABEL!r}."
            ) from error
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found)))
        raise DataError(
            f"{path}: column {name!r}, row {row + 1}, is {found[row]}; expected a finite number. "
            "Correct it."
        )
    small = np.abs(found).max(initial=0) < 2**53
    return found.astype(np.int64) if small and (found == np.floor(found)).all() else found


def _read_csv(path: Path) -> Mapping[str, Sequence[Any]]:
    try:
        rows = list(csv.reader(io.StringIO(read_file(path).decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no CSV table ({error}). Save it again, in UTF-8.") from error
    rows = [row for row in rows if row]
    header = [name.strip() for name in rows[0]] if rows else []
    if not header or len(set(header)) < len(header) or not all(header):
        raise DataError(
            f"{path} begins with {', '.join(header) or 'nothing'}; expected the names of the "
            "columns, which differ. Add that row."
        )
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise DataError(
                f"{path}: row {number} has {len(row)} fields; expected {len(header)}, one a "
                "column. Correct it."
            )
    return {name: [row[i].strip() for row in rows[1:]] for i, name in enumerate(header)}


def _read_parquet(path: Path) -> Mapping[str, Sequence[Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise DataError(
            f"{path} needs the package pyarrow, which cannot be imported ({error}). Install it: "
            "pip install 'snn-ssm[parquet]', or save the table as CSV."
        ) from error
    try:
        table = parquet.read_table(io.BytesIO(read_file(path)))
        return {name: table.column(name).to_pylist() for name in table.column_names}
    except (ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} is no Parquet table ({error}). Save it again.") from error


_COLUMNS: Mapping[str, Callable[[Path], Mapping[str, Sequence[Any]]]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}


def _read_sound(path: Path) -> list[Piece]:
    values, rate = read_sound(path)
    return [Piece(values, rate=rate)]


_EVENTS: Mapping[str, Callable[[Path], Events]] = {
    ".bin": read_address_events,
    ".bs2": read_address_events,
    ".aedat4": read_aedat,
}
_RECORDINGS: Mapping[str, Callable[[Path], list[Piece]]] = {
    ".csv": _pieces,
    ".parquet": _pieces,
    ".wav": _read_sound,
}


def read_folder(folder: Path, task: TaskConfig) -> Recordings:
    """A file a recording, or a folder a class of such files; raises :class:`DataError`."""
    places = [(p.parent, p) for p in sorted(folder.glob("*/*")) if p.suffix in _EVENTS]
    if places:
        return _of_events(folder, places, task)
    entries = sorted(folder.iterdir())
    classes = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if not entry.is_dir()]
    if classes and files:
        raise DataError(
            f"{folder} holds the file {files[0].name} beside the folder {classes[0].name}; "
            "expected a file a recording, or a folder a class. Move one of them."
        )
    if not classes:
        return _joined(folder, [piece for path in files for piece in _recording(path)])
    pieces = []
    for place in classes:
        for path in sorted(place.iterdir()):
            for piece in _recording(path):
                if piece.answers is not None:
                    raise DataError(
                        f"{path} has a column {LABEL} or {TARGET}, and its folder names a class; "
                        "expected one of them. Leave the column out, or move the file."
                    )
                label = np.array([place.name])
                pieces.append(Piece(piece.inputs, label, piece.channels, (), piece.rate))
    return _joined(folder, pieces)


def _of_events(
    folder: Path, places: Sequence[tuple[Path, Path]], task: TaskConfig
) -> Recordings:
    """A folder a class of files of events."""
    others = [p for p in folder.glob("*/*") if p.suffix not in _EVENTS]
    if others:
        raise DataError(
            f"{others[0]} stands among files of events; expected names that end in "
            f"{', '.join(_EVENTS)} only. Move it away."
        )
    found = binned([_EVENTS[path.suffix](path) for _, path in places], task, folder)
    answers = np.array([place.name for place, _ in places])
    return check_recordings(replace(found, answers=_classes(answers, folder)))


def _recording(path: Path) -> list[Piece]:
    read = _RECORDINGS.get(path.suffix.lower())
    if read is None or not path.is_file():
        raise DataError(
            f"{path} is no recording that is known here; expected a file whose name ends in "
            f"{', '.join(_RECORDINGS)}. Convert it, or move it away."
        )
    return read(path)


def _joined(where: Path, pieces: Sequence[Piece]) -> Recordings:
    """All pieces as recordings; raises :class:`DataError` for those that do not go together."""
    for what in ("channels", "names", "rate"):
        found = {getattr(piece, what) for piece in pieces}
        if len(found) > 1:
            listed = " and ".join(sorted(str(value) for value in found)[:2])
            raise DataError(
                f"the recordings of {where} differ in {what}: {listed}. Make them alike."
            )
    known = [piece.answers is not None for piece in pieces]
    if any(known) and not all(known):
        raise DataError(
            f"recording {known.index(False)} of {where} has no label or target, and others have. "
            "Add it, or leave them all out."
        )
    inputs, lengths = filled_up([piece.inputs for piece in pieces], where)
    answers, names = None, pieces[0].names
    if all(known):
        answers, names = _answers([piece.answers for piece in pieces], where, names)
    rate = pieces[0].rate
    return check_recordings(Recordings(where, by_channel(inputs), lengths, answers, names, rate))


def _answers(
    answers: Sequence[Any], where: Path, names: tuple[str, ...]
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """One answer a sample where none changes within one, else one a step; and their names."""
    constant = all((each == each[:1]).all() for each in answers)
    if constant:
        found = np.stack([each[0] for each in answers])
        if found.dtype.kind == "f":
            return found.reshape(len(found), -1), names
    else:
        filled, _ = filled_up(answers, where)
        if filled.dtype.kind == "f":
            return by_channel(filled), names
        found = filled
    return _classes(found, where), names


def _classes(labels: NDArray[Any], where: Path) -> NDArray[Any]:
    """Labels of text as integers where all are written as such; -1 where a step has none."""
    texts = [text for text in np.unique(labels).tolist() if text]
    if not all(text.isascii() and text.isdigit() and len(text) < 9 for text in texts):
        return labels
    numbers = np.where(labels == "", "-1", labels).astype(np.int64)
    if numbers.ndim == 1 and (numbers < 0).any():
        raise DataError(
            f"recording {int(numbers.argmin())} of {where} has an empty label. Fill it in, or "
            "leave that recording out."
        )
    return numbers
