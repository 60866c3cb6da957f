"""The monitor's part of the host's protocol (SCP): commands in, answers out.

Every command may come twice, since the host repeats what is not answered in time.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from pynn_models.spinnaker.board.board import Board
from pynn_models.spinnaker.board.chip import CORES, Chip
from pynn_models.spinnaker.board.layout import (
    CHIPS,
    ETHERNET,
    LINKS,
    SELF,
    Place,
    neighbour,
    parent,
)
from pynn_models.spinnaker.board.memory import SCRATCH, AddressError

OK, BAD_COMMAND, BAD_ARGUMENT = 0x80, 0x83, 0x84
_WAIT = 1 << 18
_STOP = 2
_P2P, _P2P_SIZE, _NO_ROUTE = 0xE1010000, 0x10000, 6
_FREE_ENTRIES, _FREE_SDRAM, _FREE_SYSRAM = 1023, 123_469_792, 20_000


@dataclass(frozen=True)
class Request:
    """A command for a chip; ``core``: for its own memory."""

    command: int
    chip: Chip
    core: int
    arguments: tuple[int, int, int]
    data: bytes


def _p2p(place: Place, address: int, length: int) -> bytes:
    """The table of routes between chips: 8 entries of 3 bits a word, (x << 8) + y in all."""
    words = b""
    for at in range(address - _P2P, address - _P2P + length, 4):
        entries = [(index >> 8, index & 0xFF) for index in range(2 * at, 2 * at + 8)]
        routes = [SELF if e == place else 0 if e in CHIPS else _NO_ROUTE for e in entries]
        words += struct.pack("<I", sum(r << 3 * i for i, r in enumerate(routes)))
    return words


class Monitor:
    """Answers commands for a board; :meth:`answer` gives a result code and data."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._commands: dict[int, Callable[[Request], bytes]] = {
            0: self._version,
            2: self._read,
            3: self._write,
            5: self._fill,
            15: self._count,
            19: self._run,
            20: self._signal,
            21: self._copy_and_run,
            22: self._signal,
            26: self._tags,
            28: self._allocate,
            29: self._routes,
            31: self._info,
            32: lambda request: b"",  # SYNC: nothing drifts here
        }

    def answer(self, request: Request) -> tuple[int, bytes]:
        handler = self._commands.get(request.command)
        if handler is None:
            return BAD_COMMAND, b""
        try:
            return OK, handler(request)
        except AddressError:
            return BAD_ARGUMENT, b""

    def _version(self, request: Request) -> bytes:
        x, y = request.chip.place
        numbers = struct.pack("<BBBBHHI", 0, 0, y, x, 256, 0xFFFF, 0)
        return numbers + b"SC&MP/SpiNNaker\x004.0.0\x00"

    def _read(self, request: Request) -> bytes:
        address, length, _ = request.arguments
        chip = request.chip
        if chip.memory.has(address):
            return chip.memory.read(address, length)
        core = chip.cores.get(request.core)
        if core is not None and core.memory.has(address):
            return core.memory.read(address, length)
        if _P2P <= address < _P2P + _P2P_SIZE:
            return _p2p(chip.place, address, length)
        return bytes(length)  # registers

    def _write(self, request: Request) -> bytes:
        address, length, _ = request.arguments
        if request.chip.memory.has(address):
            request.chip.memory.write(address, request.data[:length])
        return b""

    def _fill(self, request: Request) -> bytes:
        address, word, length = request.arguments
        request.chip.memory.write(address, struct.pack("<I", word) * (length // 4))
        return b""

    def _count(self, request: Request) -> bytes:
        app, state, _ = request.arguments
        cores = self._board.cores(app)
        return struct.pack("<I", sum(chip.state(number)[0] == state for chip, number in cores))

    def _start(self, chip: Chip, argument: int) -> bytes:
        """Bits 24 on: the application; bit 18: wait for a signal; bits 0 to 17: cores."""
        image = chip.memory.read(SCRATCH, 0x10000)
        for number in range(1, CORES):
            if argument >> number & 1:
                chip.start(number, image, argument >> 24, int(bool(argument & _WAIT)))
                self._board.wake(chip.place, number)
        return b""

    def _run(self, request: Request) -> bytes:
        return self._start(request.chip, request.arguments[0])

    def _copy_and_run(self, request: Request) -> bytes:
        link, length, argument = request.arguments
        there = neighbour(request.chip.place, link & 7)
        if there is None:
            raise AddressError(f"chip {request.chip.place} has no neighbour on link {link & 7}")
        image = self._board.chips[there].memory.read(SCRATCH, length)
        request.chip.memory.write(SCRATCH, image)
        return self._start(request.chip, argument)

    def _signal(self, request: Request) -> bytes:
        """Bits 16 to 23 of the second argument: the signal; 0 to 7: the application."""
        signal, app = request.arguments[1] >> 16 & 0xFF, request.arguments[1] & 0xFF
        for chip, number in self._board.cores(app):
            if signal == _STOP:
                chip.stop(number)
            else:
                chip.signal(number, signal)
                self._board.wake(chip.place, number)
        if signal == _STOP:
            for chip in self._board.chips.values():
                chip.release(app)
        return b""

    def _tags(self, request: Request) -> bytes:
        operation = request.arguments[0] >> 16 & 0xF
        return {4: bytes((9, 0, 4, 16)), 2: bytes(32)}.get(operation, b"")

    def _allocate(self, request: Request) -> bytes:
        first, size, tag = request.arguments
        operation, app = first & 0xFF, first >> 8 & 0xFF
        if operation == 0:
            return struct.pack("<I", request.chip.allocate(size, app, tag, bool(first >> 18 & 1)))
        if operation == 2:
            request.chip.release(app)
        return struct.pack("<I", 1)  # also a first router entry: one table at a time

    def _routes(self, request: Request) -> bytes:
        first, table, index = request.arguments
        place = request.chip.place
        if first & 0xFF == 0:
            self._board.router.clear(place)
        elif first & 0xFF == 2:
            data = request.chip.memory.read(table, 16 * (first >> 16))
            entries = [tuple(row) for row in struct.iter_unpack("<4xIII", data)]
            self._board.router.add(place, index, entries)
        return b""

    def _info(self, request: Request) -> bytes:
        chip = request.chip
        links = sum(1 << i for i in range(len(LINKS)) if neighbour(chip.place, i) is not None)
        flags = CORES | links << 8 | _FREE_ENTRIES << 14 | (chip.place == ETHERNET) << 25
        states = [7, *(chip.state(number)[0] for number in range(1, CORES))]
        return (
            struct.pack("<3I", flags, _FREE_SDRAM, _FREE_SYSRAM)
            + bytes(states)
            + bytes(ETHERNET[::-1])
            + chip.address
            + struct.pack("<H", parent(chip.place))
        )
