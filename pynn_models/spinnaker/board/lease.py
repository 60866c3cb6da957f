"""Who has the board: one script at a time loads and runs, until it stops, ends or is killed.

A script sends from several sockets, so it is known by its process, which Linux tells.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pynn_models.spinnaker.board.board import Board
from pynn_models.spinnaker.board.tags import Sender

# ALLOC, AR, APP_COPY_RUN take the board; these, FILL, WRITE, NNP, SIG and RTR change what is on it.
_TAKE = frozenset((28, 19, 21))
_CHANGE = _TAKE | {3, 5, 18, 20, 22, 29}
_VERSION = 0  # what a host asks first

FindProcess = Callable[[Sender], int | None]


def process_of(sender: Sender) -> int | None:
    """The process that has a sender's socket; None where that cannot be told."""
    try:
        lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    except OSError:
        return None
    sockets = {
        f"socket:[{line[9]}]" for line in lines
        if int(line[1].rpartition(":")[2], 16) == sender[1]
    }  # fmt: skip
    numbers = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    return next((n for n in numbers if sockets & set(_files(n))), None)


def _files(process: int) -> list[str]:
    """What a process has open; nothing of one that has ended, or is another user's."""
    found = []
    try:
        for name in os.listdir(f"/proc/{process}/fd"):
            found.append(os.readlink(f"/proc/{process}/fd/{name}"))
    except OSError:
        pass
    return found


class Lease:
    """The script whose programs are on the board; ``find`` tells whose a sender is."""

    def __init__(self, board: Board, find: FindProcess = process_of) -> None:
        self._board, self._find = board, find
        self._known: dict[Sender, int | None] = {}
        self._owner: int | None = None

    def admits(self, command: int, sender: Sender) -> bool:
        """Whether a host may do a command. What one that is gone left is cleared.

        Hosts whose process is not known are admitted.
        """
        if command not in _CHANGE | {_VERSION}:
            return True
        if command == _VERSION or sender not in self._known:
            self._known[sender] = self._find(sender)
        process = self._known[sender]
        if process is None or process == self._owner:
            return True
        if self._owner is not None and not self._board.idle:
            if _files(self._owner):
                return command == _VERSION
            self._board.say("the script that ran here is gone; its programs are stopped")
            self._board.clear()
        self._owner = process if command in _TAKE else None
        return True

    def __str__(self) -> str:
        return "nobody" if self._owner is None else f"process {self._owner}"
