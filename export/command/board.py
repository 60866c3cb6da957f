"""The command ``board``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pynn_models.spinnaker.board import EmulatedBoard

_INTERVAL = 1.0  # s between lines on what it does
_GREETING = """\
emulated SpiNNaker board at {0.address}, version {0.version}
functional emulation with an estimate of time
A script of sPyNNaker runs on it with this spynnaker.cfg in its directory:

{1}
Ctrl-C stops it."""


def board(args: argparse.Namespace) -> int:
    """``snn-ssm board``: an emulated SpiNNaker board until it is interrupted or terminated."""
    from pynn_models.spinnaker.board import emulated_board

    with emulated_board(args.address, args.version) as started:
        shown = Shown(started, args.quiet)
        try:
            print(_GREETING.format(started, started.configuration), flush=True)
            while started.wait(_INTERVAL):
                shown.go_on()
        except KeyboardInterrupt:
            shown.end()
    return 0  # a board that ended by itself raises


class Shown:
    """Lines on cores, ticks and packets, when they change; and what went wrong, at once."""

    def __init__(self, board: EmulatedBoard, quiet: bool) -> None:
        self._board, self._quiet = board, quiet
        self._last: tuple[int, ...] = (0, 0, 0)
        self._told = 0
        self._late: set[str] = set()

    def go_on(self) -> None:
        """Print what is new."""
        for line in self._board.errors[self._told :]:
            print(line, file=sys.stderr, flush=True)
            self._told += 1
        now = self._board.cores, self._board.ticks, self._board.packets
        if now != self._last and not self._quiet:
            print(f"{now[0]} cores, {now[1]} ticks, {now[2]} packets", flush=True)
        if self._last[0] and not now[0]:
            self._print_late()
        if now[0] and not self._last[0]:
            self._late.clear()  # of another run
        self._last = now

    def end(self) -> None:
        """Print what is new, and the cores that a board may not run in time."""
        self.go_on()
        self._print_late()
        print(f"stopped after {self._board.ticks} ticks", flush=True)

    def _print_late(self) -> None:
        for line in self._board.late:
            if line not in self._late:
                print(line, flush=True)
                self._late.add(line)
