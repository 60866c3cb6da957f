"""A network that runs live on a board: spikes are sent into it while it runs, and come out of it.

The other end of :mod:`export.boards.live_worker`, which is a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from export.boards import emulated, live_worker
from export.boards.config import Board, BoardError
from export.boards.execution import check_fits
from export.boards.process import LOG, no_result, prepare, told_error
from export.boards.worker import RECORDING
from export.description.network import Network
from export.pynn.registry import board_backend
from export.samples.recording import Recording

Event = tuple[Any, ...]
_PATIENCE = 20.0  # seconds for a process to end that was asked to


class LiveRun:
    """One run of a network's steps on a board; a context manager, which ends it.

    ``send(neurons)``: input neurons that spike now. :meth:`events`: what came out meanwhile:
    ``("spikes", population, tick, neurons)``, ``("clock", tick)`` after all of the ticks before it.
    ``recording``: once the run has ended, what the board recorded of its layers, and how often its
    input sent in each tick. Raises :class:`BoardError` and what the network is refused for.
    """

    def __init__(self, network: Network, board: Board) -> None:
        if board.is_virtual:
            raise BoardError(
                "the virtual board only maps: nothing runs on it that spikes could be sent to. "
                "Give a board's address, or 'emulated'."
            )
        backend = board_backend(network, board.neurons_per_core)
        backend.check(network)
        check_fits(network, board, backend, 1)
        self._network, self._board = network, board
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._early: deque[Event] = deque()
        self._stack = contextlib.ExitStack()
        self.recording: Recording | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def _start(self, stack: contextlib.ExitStack) -> None:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="snn-ssm-"))
        self._directory = Path(directory)
        board, self._emulated = stack.enter_context(emulated.started(self._board))
        environment = prepare(self._network, board, self._directory)
        command = [sys.executable, "-m", live_worker.__name__, os.fspath(self._directory)]
        log = stack.enter_context((self._directory / LOG).open("wb"))
        self._process = subprocess.Popen(
            command, cwd=self._directory, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        stack.callback(self._stop)
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        early = []  # a board in real time may be ahead of the word that it has started
        while (event := self._next()) != ("start",):
            early.append(event)
        self._early.extend(early)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _stop(self) -> None:
        """End the process; Ctrl-C first, so that sPyNNaker can give the board back."""
        if self._process.poll() is None and self.recording is None:
            self._process.send_signal(2)
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        for line in self._process.stdout:  # type: ignore[union-attr]
            self._events.put(tuple(json.loads(line)))
        self._events.put(None)

    def _next(self) -> Event:
        """The next event; raises what the process was refused for."""
        event = self._early.popleft() if self._early else self._events.get()
        if event is None:
            self._events.put(None)
            status = self._process.wait()
            raise self._explained(no_result(status, self._directory / LOG, "Run it once more."))
        if event[0] == "error":
            raise self._explained(told_error(*event[1:]))
        if event[0] == "end":
            self.recording = Recording.load(self._directory / RECORDING)
        return event

    def _explained(self, error: Exception) -> Exception:
        """With what an emulated board has to say."""
        said = [] if self._emulated is None else self._emulated.errors
        if not said:
            return error
        return type(error)("\n".join([f"{error} The emulated board says:", *said]))

    def send(self, neurons: Collection[int]) -> None:
        """Let input neurons spike, as soon as the board hears of it; none after the run's end."""
        with contextlib.suppress(BrokenPipeError):  # then the next event says why
            self._process.stdin.write(" ".join(map(str, neurons)) + "\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def events(self) -> Iterator[Event]:
        """What has come out since the last call: at least one event, of a run that goes on."""
        if self.recording is not None:
            return
        yield self._next()
        while self.recording is None and (self._early or not self._events.empty()):
            yield self._next()
