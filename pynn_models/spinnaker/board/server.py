"""The board on the network: SCP and SDP datagrams on a loopback address."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

from pynn_models.spinnaker.board.addresses import bound, checked
from pynn_models.spinnaker.board.board import Board
from pynn_models.spinnaker.board.chip import CORES, CoreMaker
from pynn_models.spinnaker.board.errors import BoardStoppedError, EmulatedBoardError
from pynn_models.spinnaker.board.layout import ETHERNET, LAYOUTS
from pynn_models.spinnaker.board.lease import Wish
from pynn_models.spinnaker.board.makers import native_or_python
from pynn_models.spinnaker.board.monitor import (
    BAD_CORE,
    BAD_LENGTH,
    BAD_PORT,
    BUSY,
    DEAD,
    NO_BUFFER,
    NO_ROUTE,
    Monitor,
    Request,
)
from pynn_models.spinnaker.board.tags import ReverseTag, Sender, Tag
from pynn_models.spinnaker.board.timing import Load, late

SCP_PORT, BOOT_PORT = 17893, 54321
_REPLY = 0x07  # flags of a message that wants no answer
_LARGEST = 2048  # bytes of a datagram; a message has at most 282
_MESSAGE = 282
_IDLE = 0.02  # s
_AT_A_TIME = 0.005  # s of work between looks at the network
_CATCH_UP = 0.1  # s that ticks may be late and still come faster
_FIRST_TAG = 200
_KEPT = 1000  # lines of what went wrong


class EmulatedBoard:
    """A board of a thread's own, from ``with`` to its end.

    ``address``: of this computer's own network, 127.*; ``version``: 3 (4 chips) or 5 (48 chips).
    ``make``: makes its cores; by default in C, or in Python where that cannot be compiled. Raises
    :class:`EmulatedBoardError` and its subclasses.
    """

    def __init__(self, address: str, version: int = 5, make: CoreMaker | None = None) -> None:
        if version not in LAYOUTS:
            raise EmulatedBoardError(
                f"board version {version} is not emulated; use 3 (4 chips) or 5 (48 chips)."
            )
        self.address, self.version = checked(address), version
        self.errors: list[str] = []
        make = make or native_or_python(self._say)
        self._sockets = [bound(address, port) for port in (SCP_PORT, BOOT_PORT)]
        self._senders: dict[int, Sender] = {}
        self._next_tag = _FIRST_TAG
        self._tags: dict[int, Tag] = {}
        self._reverse: dict[int, tuple[socket.socket, ReverseTag]] = {}
        self._board = Board(
            LAYOUTS[version], socket.inet_aton(address), make, self._to_host, self._say
        )
        self._monitor = Monitor(self._board, self._set_tag)
        self._due = 0.0  # the next tick, of time.perf_counter
        self._stopping, self._ended = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name=f"board {address}", daemon=True)

    # --- what the user sees -----------------------------------------------------------------------

    @property
    def configuration(self) -> str:
        """The ``spynnaker.cfg`` with which a script of sPyNNaker finds this board."""
        return (
            f"[Machine]\nmachine_name = {self.address}\nversion = {self.version}\n{SETTINGS}"
        )

    @property
    def cores(self) -> int:
        """Cores with a program."""
        return sum(len(chip.cores) for chip in self._board.chips.values())

    @property
    def threads(self) -> int:
        """In how many threads cores of different chips run at most: as many as processors."""
        return self._board.threads

    @threads.setter
    def threads(self, threads: int) -> None:
        self._board.threads = threads

    @property
    def ticks(self) -> int:
        return self._board.counts.ticks

    @property
    def packets(self) -> int:
        """Packets that cores sent."""
        return self._board.counts.packets

    @property
    def seconds(self) -> float:
        """Processor time of the ticks."""
        return self._board.counts.seconds

    @property
    def elapsed(self) -> float:
        """Time by the clock that the ticks took, waits for their due time not counted."""
        return self._board.counts.elapsed

    @property
    def loads(self) -> dict[str, Load]:
        """What each core executed in its ticks, by ``core x, y, number (program)``."""
        return {
            f"core {x}, {y}, {number} ({chip.name(number) or 'no program'})": load
            for (x, y), chip in self._board.chips.items()
            for number, load in sorted(chip.loads.items())
            if load.total
        }

    @property
    def late(self) -> list[str]:
        """The cores that a board may not run in time, with the time scale factor that each needs.

        An estimate from the instructions executed in each tick (``timing``).
        """
        return list(filter(None, (late(core, load) for core, load in self.loads.items())))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._ended.wait()
        self._thread.join()
        self._close()
        if kind is None or issubclass(kind, Exception):  # which the board's end is the cause of
            self.check()

    def check(self) -> None:
        """Raise :class:`BoardStoppedError` if the board ended by itself."""
        if self._failure is not None:
            raise BoardStoppedError(
                f"the emulated board at {self.address} ended: {type(self._failure).__name__}: "
                f"{self._failure}. This is a bug in it; please report it."
            ) from self._failure

    def wait(self, seconds: float) -> bool:
        """Wait; whether the board still runs."""
        # Not by a join: one that Ctrl-C interrupts takes the thread for ended (Python 3.11).
        return not self._ended.wait(seconds)

    # --- the network ------------------------------------------------------------------------------

    def _close(self) -> None:
        for each in (*self._sockets, *[made for made, _ in self._reverse.values()]):
            each.close()

    def _say(self, line: str) -> None:
        if len(self.errors) < _KEPT:
            self.errors.append(line)

    def _serve(self) -> None:
        try:
            busy = False
            while not self._stopping.is_set():
                reverse = dict(self._reverse.values())
                patience = 0.0 if busy else self._until_tick()
                ready, _, _ = select.select([*self._sockets, *reverse], [], [], patience)
                for each in ready:
                    self._datagram(each, reverse.get(each))
                busy = self._work() or bool(ready)
        except BaseException as error:
            self._failure = error
        finally:
            self._ended.set()

    def _work(self) -> bool:
        """Some milliseconds of the board's work; whether there is more."""
        began, before = time.perf_counter(), time.thread_time()
        more = True
        while more and (now := time.perf_counter()) < began + _AT_A_TIME:
            ticks, ran = self._board.counts.ticks, self._board.running
            more = self._board.step(now >= self._due)
            if self._board.counts.ticks > ticks:
                due = max(self._due, now - _CATCH_UP) if ran else now
                self._due = due + self._board.tick_seconds
        if self._board.running:
            self._board.counts.seconds += time.thread_time() - before
            self._board.counts.elapsed += time.perf_counter() - began
        return more

    def _until_tick(self) -> float:
        """How long to wait for the network: until the next tick is due, which lasts as on a board.

        The host waits as long in any case, and what is sent live to a run arrives in time.
        """
        left = self._due - time.perf_counter() if self._board.running else _IDLE
        return min(max(left, 0.0), _IDLE)

    def _datagram(self, made: socket.socket, reverse: ReverseTag | None) -> None:
        try:
            data, sender = made.recvfrom(_LARGEST)
        except OSError:  # of an answer that nobody took
            return
        if reverse is not None:
            self._board.message(reverse.chip, reverse.core, reverse.message(data)[:_MESSAGE])
        elif made is self._sockets[0]:
            self._receive(data, sender)

    def _send(self, data: bytes, target: Sender) -> None:
        with contextlib.suppress(OSError):  # it went away, as a host may
            self._sockets[0].sendto(data, target)

    def _receive(self, data: bytes, sender: Sender) -> None:
        """Offsets: 2 flags, 3 tag, 4 and 5 ports and cores, 6 to 9 chips, then the content."""
        if len(data) < 10:
            return  # not even the address of an answer
        refused = None
        y, x = data[6], data[7]
        place = ETHERNET if (x, y) == (255, 255) else (x, y)
        port, core = data[4] >> 5, data[4] & 31
        if place not in self._board.chips:
            refused, place = NO_ROUTE, ETHERNET
        elif core >= CORES:
            refused = BAD_CORE
        elif port:
            refused = self._to_core(data, sender)
            if refused is None:
                return
        elif not 26 <= len(data) <= _MESSAGE:
            refused = BAD_LENGTH
        code, answer = refused, b""
        if code is None:
            command, _, *arguments = struct.unpack_from("<HH3I", data, 10)
            first, second, third = arguments
            chip = self._board.chips[place]
            request = Request(command, chip, core, (first, second, third), data[26:], sender)
            code, answer = self._monitor.answer(request)
        if data[2] & 0x80:
            header = bytes((0, 0, _REPLY, data[3], data[5], data[4], *data[8:10], *place[::-1]))
            sequence = data[12:14].ljust(2, b"\0")
            self._send(header + struct.pack("<H", code) + sequence + answer, sender)

    def _to_core(self, data: bytes, sender: Sender) -> int | None:
        """Pass a message on, under a tag that tells where the answer goes; a code if refused."""
        place, number = (data[7], data[6]), data[4] & 31
        place = ETHERNET if place == (255, 255) else place
        if number == 0:
            return BAD_PORT  # the monitor has port 0 alone
        if number not in self._board.chips[place].cores:
            return DEAD
        if len(data) > _MESSAGE:
            return BAD_LENGTH
        if not self._monitor.lease.admits(Wish.CHANGE, sender):
            return BUSY
        self._senders[self._next_tag] = sender
        message = data[2:3] + bytes((self._next_tag,)) + data[4:]
        self._next_tag = _FIRST_TAG + (self._next_tag + 1 - _FIRST_TAG) % (256 - _FIRST_TAG)
        return None if self._board.message(place, number, message) else NO_BUFFER

    def _set_tag(self, number: int, tag: Tag | ReverseTag | None) -> None:
        """Open or close an IP tag; a reverse one's port is opened on the board's own address."""
        made = None
        known = self._reverse.get(number)
        if isinstance(tag, ReverseTag):
            if known is not None and known[1].port == tag.port:
                made = known[0]
            else:
                made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                try:
                    made.bind((self.address, tag.port))
                except OSError:
                    made.close()
                    raise
        self._tags.pop(number, None)
        self._reverse.pop(number, None)
        if known is not None and made is not known[0]:
            known[0].close()
        if isinstance(tag, Tag):
            self._tags[number] = tag
        elif tag is not None and made is not None:
            self._reverse[number] = made, tag

    def _to_host(self, sdp: bytes) -> None:
        """A message from a core: to the target of its tag, or back to whom it answers."""
        if len(sdp) < 8:
            return
        tag = self._tags.get(sdp[1])
        if tag is not None:
            self._send(sdp[8:] if tag.strip else b"\0\0" + bytes((_REPLY,)) + sdp[1:], tag.target)
        elif sdp[1] in self._senders:
            self._send(b"\0\0" + bytes((_REPLY,)) + sdp[1:], self._senders[sdp[1]])


SETTINGS = (
    "enable_advanced_monitor_support = False\n"
    "enable_reinjection = False\n"
    "post_simulation_overrun_before_error = 600\n"
)
"""What sPyNNaker must know of a board that is slower than real time and has no fast loading."""
