"""An emulated board for one run: ``--board emulated`` starts it, and it ends with the run."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from export.boards.config import EMULATED, Board, BoardError

if TYPE_CHECKING:
    from pynn_models.spinnaker.board import EmulatedBoard

NOTE = "functional emulation with an estimate of time"


@contextlib.contextmanager
def started(board: Board) -> Iterator[tuple[Board, EmulatedBoard | None]]:
    """The board with an address: its own, or that of an emulated one which lasts as long.

    Raises :class:`BoardError` without Unicorn.
    """
    if board.address != EMULATED:
        yield board, None
        return
    try:
        from pynn_models.spinnaker.board import emulated_board
    except ImportError as error:
        raise BoardError(
            f"--board emulated needs Unicorn, which executes ARM code ({error}). Install it: pip "
            "install 'snn-ssm[spinnaker]'."
        ) from error
    with emulated_board(version=board.machine_version) as made:
        yield dataclasses.replace(board, address=made.address), made


def told(made: EmulatedBoard) -> dict[str, Any]:
    """What an emulated board tells of a run: ticks, packets, what went wrong, and who was late.

    ``late`` is an estimate from the instructions that each core executed in each tick.
    """
    return {
        "note": NOTE,
        "ticks": made.ticks,
        "packets": made.packets,
        "errors": list(made.errors),
        "late": made.late,
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The same as text."""
    in_time = "every core would keep up with its tick (an estimate)"
    return [
        f"emulated board: {found['note']}; {found['ticks']} ticks, {found['packets']} packets",
        *found["errors"],
        *(found["late"] or [in_time]),
    ]
