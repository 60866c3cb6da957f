"""Samples read one by one, of a folder or a table, as one array of recordings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.tasks.base import DataError
from snn_ssm.tasks.own.recordings import Recordings, by_channel, check_recordings, filled_up

GROUP = "group"


@dataclass(frozen=True)
class Piece:
    """One sample: ``inputs`` (n, C), and its ``answers``, one (1, ...) or one a step (n, ...).

    ``channels``, ``names``: of the inputs and of values; ``rate``: in Hz, 0 where it is not known;
    ``group``: None where the data have none; ``sample``: its name, "" where it has none.
    """

    inputs: NDArray[Any]
    answers: NDArray[Any] | None = None
    channels: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    rate: float = 0.0
    group: str | None = None
    sample: str = ""


def joined(where: Path, pieces: Sequence[Piece]) -> Recordings:
    """All pieces as recordings, their channels in the order of the first's.

    Raises :class:`DataError` for those that do not go together.
    """
    pieces = [_in_order(piece, pieces[0].channels) for piece in pieces]
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
    answers, at_steps, names = None, None, pieces[0].names
    if all(known):
        answers, at_steps, names = _answers(pieces, where)
    called = tuple(piece.sample for piece in pieces)
    return check_recordings(Recordings(
        where, by_channel(inputs), lengths, answers, names, pieces[0].rate,
        groups=groups_of([piece.group for piece in pieces], where),
        channels=pieces[0].channels, written=True, at_steps=at_steps,
        samples=called if all(called) else (),
    ))


def _in_order(piece: Piece, channels: tuple[str, ...]) -> Piece:
    """The piece with its channels in that order, where it has them all."""
    if sorted(piece.channels) != sorted(channels):
        return piece
    order = [piece.channels.index(name) for name in channels]
    return replace(piece, inputs=piece.inputs[:, order], channels=channels) if order else piece


def groups_of(found: Sequence[str | None], where: Path) -> NDArray[np.str_] | None:
    """The groups of recordings; raises :class:`DataError` where only some have one."""
    missing = found.index(None) if None in found else -1
    if missing < 0:
        return np.array(found)
    if any(group is not None for group in found):
        raise DataError(
            f"recording {missing} of {where} has no group, and others have. Add a column {GROUP}, "
            "or move it into a folder of the group, or leave them all out."
        )
    return None


def _answers(
    pieces: Sequence[Piece], where: Path
) -> tuple[NDArray[Any], NDArray[Any] | None, tuple[str, ...]]:
    """One answer a sample where none changes within one, else one a step; and their names.

    Between them the answers at each step where these are the same as one a sample, else None.
    """
    answers: list[Any] = [piece.answers for piece in pieces]
    names, at_steps = pieces[0].names, None
    if all(len(piece.answers) == len(piece.inputs) for piece in pieces):  # type: ignore[arg-type]
        at_steps, _ = filled_up(answers, where)
        real = at_steps.dtype.kind == "f"
        at_steps = by_channel(at_steps) if real else numbers_of(at_steps)
    if at_steps is not None and not all((each == each[:1]).all() for each in answers):
        return at_steps, None, names
    found = np.stack([each[0] for each in answers])
    if found.dtype.kind == "f":
        return found.reshape(len(found), -1), at_steps, names
    return numbers_of(found), at_steps, names


def numbers_of(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels of text as integers where all are written as such; -1 where there is none.

    A number that begins with a 0, such as 01, is a name.
    """
    texts = [text for text in np.unique(labels).tolist() if text]
    if not all(re.fullmatch("0|[1-9][0-9]{0,7}", text) for text in texts):
        return labels
    return np.where(labels == "", "-1", labels).astype(np.int64)
