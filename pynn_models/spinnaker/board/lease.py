"""Who has the board: one script at a time loads and runs, until it stops, ends or is killed.

A script sends from several sockets, so it is known by its process, which Linux tells.
"""

from __future__ import annotations

import enum
import os
import socket
from collections.abc import Callable
from pathlib import Path

from pynn_models.spinnaker.board.board import Board
from pynn_models.spinnaker.board.tags import Sender

GONE = 0  # a process that has ended, or closed its socket at once
_KEPT = 4096  # senders whose processes are remembered

FindProcess = Callable[[Sender, int | None], int | None]


class Wish(enum.Enum):
    """What a host would do."""

    LOOK = enum.auto()  # at what nobody is disturbed by
    GREET = enum.auto()  # ask for the version, which a host does first
    CHANGE = enum.auto()  # what is on the board
    TAKE = enum.auto()  # memory or cores, for programs of its own


def process_of(sender: Sender, guess: int | None = None) -> int | None:
    """The process that has a sender's socket; None where that cannot be told.

    ``guess``: whose it was when last asked, which is looked at first, and is the answer where the
    socket has gone; :data:`GONE` if there is none.
    """
    try:
        lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    except OSError:
        return None
    here = {"00000000", socket.inet_aton(sender[0])[::-1].hex().upper()}
    sockets = set()
    for line in lines:
        address, _, port = line[1].partition(":")
        if address in here and int(port, 16) == sender[1]:
            sockets.add(f"socket:[{line[9]}]")
    if not sockets:
        return GONE if guess is None else guess
    numbers = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    first = [] if guess is None else [guess]
    return next((n for n in (*first, *numbers) if sockets & set(_files(n))), None)


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
        self._changed_by: set[int | None] = set()  # since all was as after power-up

    def admits(self, wish: Wish, sender: Sender) -> bool:
        """Whether a host may do what it wishes.

        A script finds the board as after power-up: what others left is cleared when it greets or
        takes the board, and none of them may change it as long as the script has programs there.
        Hosts whose process is not known may when nobody has the board.
        """
        if wish is Wish.LOOK:
            return True
        process = self._process(wish, sender)
        if process is None or process != self._owner:
            if not self._board.idle and self._owner is not None:
                if _files(self._owner):
                    return wish is Wish.GREET
                self._board.say("the script that ran here is gone; its programs are stopped")
                self._clear()
            elif wish is not Wish.CHANGE and self._left_by_others(process):
                self._clear()
            self._owner = process if wish is Wish.TAKE else None
        if wish is Wish.TAKE and self._board.idle:
            self._board.forget()
        if wish is not Wish.GREET:
            self._changed_by.add(process)
        return True

    def _left_by_others(self, process: int | None) -> bool:
        """Whether something is left that nobody can be at work with any more."""
        others = self._changed_by - {process}
        return bool(others) and (self._board.idle or None not in others)

    def _clear(self) -> None:
        self._board.clear()
        self._changed_by.clear()

    def _process(self, wish: Wish, sender: Sender) -> int | None:
        if wish is Wish.GREET or sender not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[sender] = self._find(sender, self._known.get(sender))
        return self._known[sender]

    def __str__(self) -> str:
        return "nobody" if self._owner is None else f"process {self._owner}"
