"""Tables of CSV and Parquet, a row a step; and folders of one file a recording.

Columns of a known name say what a row is of: ``sample`` (which sample, any text; without it the
file is one recording), ``label`` (the class: the same in all rows of a sample, or one a step) or
``target``, ``target_NAME`` (values, likewise); ``group``: what samples are held out together by,
any text, the same in all rows of one. All other columns are channels, of numbers, in their order or
that of ``task.columns``. A folder holds a file a recording, or folders of such files, whose names
are the classes; folders within these are groups.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig
from snn_ssm.reading import read_number
from snn_ssm.tasks.base import DataError, read_file
from snn_ssm.tasks.own.aedat import read_aedat
from snn_ssm.tasks.own.events import Events, binned, read_address_events, read_spike_lists
from snn_ssm.tasks.own.pieces import GROUP, Piece, groups_of, joined, numbers_of
from snn_ssm.tasks.own.recordings import Recordings, check_recordings
from snn_ssm.tasks.own.sound import read_sound

SAMPLE, LABEL, TARGET = "sample", "label", "target"
_LEFT_BEHIND = ("thumbs.db", "desktop.ini", "__macosx")
_OTHER_SIGNS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # what some write for commas


def read_table(path: Path, task: TaskConfig) -> Recordings:
    """The samples of one table; raises :class:`DataError`."""
    return joined(path, _pieces(path))


def _pieces(path: Path) -> list[Piece]:
    columns = _COLUMNS[path.suffix.lower()](path)
    if not columns or not len(next(iter(columns.values()))):
        raise DataError(f"{path} has no rows; expected a row a step. Make the file again.")
    channels = [
        name for name in columns
        if name not in (SAMPLE, LABEL, TARGET, GROUP) and not name.startswith(f"{TARGET}_")
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
        answers = np.array([_text(value) for value in columns[LABEL]])
    names = tuple(name.removeprefix(f"{TARGET}_") for name in values if name != TARGET)
    rows = _rows(path, columns.get(SAMPLE), len(inputs))
    return [
        Piece(
            inputs[row], None if answers is None else answers[row], tuple(channels), names,
            group=_group(path, columns.get(GROUP), row), sample=name,
        )
        for name, row in rows.items()
    ]


def _group(path: Path, groups: Sequence[Any] | None, rows: NDArray[np.int64]) -> str | None:
    """The one group that the rows of a sample have; raises :class:`DataError`."""
    if groups is None:
        return None
    found = {_text(groups[row]) for row in rows}
    if len(found) > 1 or not all(found):
        listed = " and ".join(repr(name) for name in sorted(found)[:2])
        raise DataError(
            f"{path}: column {GROUP!r} is {listed} in the sample of row {rows[0] + 1}; expected "
            "one name, the same in all rows of a sample. Correct it, or leave the column out."
        )
    return found.pop()


def read_spikes(path: Path, task: TaskConfig) -> Recordings:
    """The samples of lists of spikes, as :mod:`snn_ssm.tasks.own.events` has them."""
    found = read_spike_lists(path)
    return check_recordings(replace(
        binned(found.samples, task, path), answers=found.labels, names=found.names,
        groups=found.speakers,
    ))


def _text(value: Any) -> str:
    """A label, sample or group as it would be written: "" where there is none, 3 for 3.0."""
    if value is None or value != value:  # Parquet has both nulls and NaN
        return ""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _rows(path: Path, sample: Sequence[Any] | None, count: int) -> dict[str, NDArray[np.int64]]:
    """The rows of each sample by its name, "" without, in the order in which samples first come.

    Raises :class:`DataError` for a row of none.
    """
    if sample is None:
        return {"": np.arange(count)}
    found: dict[str, list[int]] = {}
    for row, name in enumerate(map(_text, sample)):
        if not name:
            raise DataError(
                f"{path}: column {SAMPLE!r}, row {row + 1}, is empty; expected the sample that the "
                "row is of, any text. Fill it in, or leave the row out."
            )
        found.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in found.items()}


def _numbers(path: Path, name: str, values: Sequence[Any]) -> NDArray[Any]:
    """A column of numbers, integers where all are; raises :class:`DataError` naming the row."""
    found = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            found[row] = read_number(value)
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
    between = next((sign for sign in _OTHER_SIGNS if len(header) == 1 and sign in header[0]), None)
    if between:
        raise DataError(
            f"{path} begins with {header[0][:80]!r}: columns with {_OTHER_SIGNS[between]} between "
            "them; expected commas between columns, and a point in numbers. Save it again so."
        )
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
    entries = _entries(folder)
    classes = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if not entry.is_dir()]
    placed = [Placed(place.name, *each) for place in classes for each in _grouped(place)]
    if any(each.path.suffix.lower() in _EVENTS for each in placed):
        return _of_events(folder, placed, task)
    if classes and files:
        raise DataError(
            f"{folder} holds the file {files[0].name} beside the folder {classes[0].name}; "
            "expected a file a recording, or a folder a class. Move one of them."
        )
    if not classes:
        return joined(folder, [piece for path in files for piece in _recording(path, folder)])
    return joined(folder, [
        _placed(piece, each) for each in placed for piece in _recording(each.path, folder)
    ])


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, without hidden entries and those that file managers leave behind.

    Raises :class:`DataError` for a folder that cannot be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"the folder {folder} cannot be read ({error.strerror}). Allow it, or move it away."
        ) from error
    return [
        entry for entry in entries
        if not entry.name.startswith(".") and entry.name.lower() not in _LEFT_BEHIND
    ]


@dataclass(frozen=True)
class Placed:
    """A file in the folder of a class, and in that of a group within it, or None."""

    label: str
    group: str | None
    path: Path


def _grouped(place: Path) -> list[tuple[str | None, Path]]:
    """The files of a class's folder, each with the name of the folder within that it is in."""
    found: list[tuple[str | None, Path]] = []
    for entry in _entries(place):
        inside = _entries(entry) if entry.is_dir() else []
        found += [(entry.name, path) for path in inside] if entry.is_dir() else [(None, entry)]
    return found


def _placed(piece: Piece, at: Placed) -> Piece:
    """A piece with the label and the group of its folders; raises :class:`DataError`."""
    given = {f"column {LABEL} or {TARGET}": (piece.answers is not None, "a class"),
             f"column {GROUP}": (piece.group is not None and at.group is not None, "a group")}
    for column, (both, what) in given.items():
        if both:
            raise DataError(
                f"{at.path} has a {column}, and its folder names {what}; expected one of them. "
                "Leave the column out, or move the file."
            )
    return replace(
        piece, answers=np.array([at.label]), names=(),
        group=piece.group if at.group is None else at.group,
    )


def _of_events(folder: Path, placed: Sequence[Placed], task: TaskConfig) -> Recordings:
    """A folder a class of files of events."""
    others = [each.path for each in placed if each.path.suffix.lower() not in _EVENTS]
    if others:
        raise DataError(
            f"{others[0]} stands among files of events; expected names that end in "
            f"{', '.join(_EVENTS)} only. Move it away."
        )
    found = binned([_EVENTS[each.path.suffix.lower()](each.path) for each in placed], task, folder)
    answers = np.array([each.label for each in placed])
    groups = groups_of([each.group for each in placed], folder)
    labels = numbers_of(answers)
    return check_recordings(replace(
        found, answers=labels, groups=groups, written=True,
        samples=tuple(_called(each.path, folder) for each in placed),
    ))


def _recording(path: Path, folder: Path) -> list[Piece]:
    """What a file holds, each sample with the file's name within the folder before its own."""
    read = _RECORDINGS.get(path.suffix.lower())
    if read is None or not path.is_file():
        raise DataError(
            f"{path} is no recording that is known here; expected a file whose name ends in "
            f"{', '.join(_RECORDINGS)}. Convert it, or move it away."
        )
    place = _called(path, folder)
    return [
        replace(piece, sample=f"{place}:{piece.sample}" if piece.sample else place)
        for piece in read(path)
    ]


def _called(path: Path, folder: Path) -> str:
    """The name of a file within a folder, as text that can be written, whatever its bytes are."""
    return os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
