"""An emulated board for one run: ``--board emulated`` starts it, and it ends with the run."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from export.boards.config import EMULATED, Board

if TYPE_CHECKING:
    from pynn_models.spinnaker.board import EmulatedBoard

NOTE = "functional emulation with an estimate of time"


@contextlib.contextmanager
def started(board: Board) -> Iterator[tuple[Board, EmulatedBoard | None]]:
    """The board with an address: its own, or that of an emulated one which lasts as long.

    Raises ``EmulatedBoardError``, as without Unicorn.
    """
    if board.address != EMULATED:
        yield board, None
        return
    from pynn_models.spinnaker.board import emulated_board

    with emulated_board(version=board.machine_version) as made:
        yield dataclasses.replace(board, address=made.address), made


def told(made: EmulatedBoard) -> dict[str, Any]:
    """What an emulated board tells of a run: ticks, packets, what went wrong, and who was late.

    ``cores``: instructions a tick, in the mean and at most, and the factor by which to multiply
    the time scale factor so that the longest tick surely fits. That, and ``late``, are an estimate
    from these counts.
    """
    return {
        "note": NOTE,
        "ticks": made.ticks,
        "packets": made.packets,
        "errors": list(made.errors),
        "cores": [
            {
                "core": core, "instructions": round(load.mean), "most": load.most,
                "tick_cycles": load.tick_cycles, "factor": load.factor,
            }
            for core, load in made.loads.items()
        ],
        "late": made.late,
    }  # fmt: skip


def lines(found: dict[str, Any]) -> list[str]:
    """The same as text."""
    in_time = "every core would keep up with its tick (an estimate)"
    return [
        f"emulated board: {found['note']}; {found['ticks']} ticks, {found['packets']} packets",
        *found["errors"],
        *(found["late"] or [in_time]),
    ]
