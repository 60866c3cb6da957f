"""The monitor's part of the host's protocol (SCP): commands in, answers out.

Every command may come twice, since the host repeats what is not answered in time. What cannot be
done is answered with the result code of SpiNNaker's monitor.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from pynn_models.spinnaker.board.aplx import ImageError
from pynn_models.spinnaker.board.board import Board
from pynn_models.spinnaker.board.chip import CORES, Chip
from pynn_models.spinnaker.board.layout import ETHERNET, LINKS, SELF, Place, parent
from pynn_models.spinnaker.board.lease import Lease, Wish
from pynn_models.spinnaker.board.memory import SCRATCH, SCRATCH_SIZE, AddressError
from pynn_models.spinnaker.board.registers import DEVICES, SIZE, SIZES
from pynn_models.spinnaker.board.tags import TAGS, ReverseTag, Sender, Tag

OK, BAD_LENGTH, BAD_COMMAND, BAD_ARGUMENT, BAD_PORT = 0x80, 0x81, 0x83, 0x84, 0x85
NO_ROUTE, BAD_CORE, DEAD, NO_BUFFER, BUSY = 0x87, 0x88, 0x89, 0x8A, 0x8D
_DATA = 256  # bytes of a command or an answer
_UNITS = 3  # bytes, halves, words
_WAIT = 1 << 18
_STOP, _STOP_APP = 2, 0x3F
_P2P, _P2P_SIZE, _NO_ENTRY = 0xE1010000, 0x10000, 6
_FREE_ENTRIES, _FREE_SDRAM, _FREE_SYSRAM = 1023, 123_469_792, 20_000
_IMAGE = 0x10000  # bytes; code and data of a core
_TAG = 26
_TOLD = 500  # lines on what was refused; a stranger's leave room for those on cores
_WISHES = {
    0: Wish.GREET, 3: Wish.CHANGE, 5: Wish.CHANGE, 18: Wish.CHANGE, 19: Wish.TAKE, 20: Wish.CHANGE,
    21: Wish.TAKE, 22: Wish.CHANGE, 28: Wish.TAKE, 29: Wish.CHANGE,
}  # fmt: skip
"""What a command would do to whose programs are on the board."""
NAMES = {
    1: "RUN", 4: "APLX", 16: "REMAP", 23: "FFD, flood fill", 24: "AS", 25: "LED", 27: "SROM",
    30: "DPRI, reinjection", 48: "BMP_INFO", 55: "RESET", 57: "BMP_POWER",
}  # fmt: skip
"""Commands that are known and not modelled."""


class RefusedError(Exception):
    """A command that is answered with a result code, and why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Request:
    """A command for a chip from ``sender``; ``core``: for its own memory."""

    command: int
    chip: Chip
    core: int
    arguments: tuple[int, int, int]
    data: bytes
    sender: Sender = ("", 0)


SetTag = Callable[[int, Tag | ReverseTag | None], None]


class Monitor:
    """Answers commands for a board; :meth:`answer` gives a result code and data.

    ``set_tag`` opens and closes IP tags; it may raise ``OSError``.
    """

    def __init__(self, board: Board, set_tag: SetTag) -> None:
        self._board, self._set_tag = board, set_tag
        self._tags: dict[int, Tag | ReverseTag] = {}
        self._told: set[str] = set()
        self.lease = Lease(board)
        self._commands: dict[int, Callable[[Request], bytes]] = {
            0: self._version,
            2: self._read,
            3: self._write,
            5: self._fill,
            15: self._count,
            17: self._read_over_link,
            18: self._write_over_link,
            19: self._run,
            20: self._neighbours,
            21: self._copy_and_run,
            22: self._signal,
            _TAG: self._tag,
            28: self._allocate,
            29: self._routes,
            31: self._info,
            32: lambda request: b"",  # SYNC: nothing drifts here
        }

    def answer(self, request: Request) -> tuple[int, bytes]:
        """Do a command. What is refused is said, too, once."""
        handler = self._commands.get(request.command)
        try:
            if not self.lease.admits(self._wish(request), request.sender):
                raise RefusedError(
                    BUSY, f"the board is in use by {self.lease}, and this is another"
                )
            if handler is None:
                name = NAMES.get(request.command)
                raise RefusedError(
                    BAD_COMMAND, f"it is {name}, not modelled" if name else "it is unknown"
                )
            return OK, handler(request)
        except RefusedError as error:
            code, reason = error.code, str(error)
        except (AddressError, ImageError) as error:
            code, reason = BAD_ARGUMENT, str(error)
        line = f"command {request.command} refused with {code:#x}: {reason}"
        if line not in self._told and len(self._told) < _TOLD:
            self._told.add(line)
            self._board.say(line)
        return code, b""

    def _wish(self, request: Request) -> Wish:
        if request.command != _TAG:
            return _WISHES.get(request.command, Wish.LOOK)
        known = self._tags.get(request.arguments[0] & 0xFF)
        looks = _operation(request) not in (1, 3)
        joins = isinstance(known, Tag) and _operation(request) == 1 and _own_address(request)
        return Wish.LOOK if looks or joins else Wish.CHANGE

    def _version(self, request: Request) -> bytes:
        x, y = request.chip.place
        numbers = struct.pack("<BBBBHHI", 0, 0, y, x, _DATA, 0xFFFF, 0)
        return numbers + b"SC&MP/SpiNNaker\x004.0.0\x00"

    # --- memory -----------------------------------------------------------------------------------

    def _read(self, request: Request) -> bytes:
        address, length, unit = request.arguments
        return self._read_from(request.chip, request.core, address, length, unit)

    def _write(self, request: Request) -> bytes:
        address, length, unit = request.arguments
        return self._write_to(request, request.chip, address, length, unit)

    def _read_over_link(self, request: Request) -> bytes:
        address, length, link = request.arguments
        return self._read_from(self._over(request.chip, link), 0, address, length, 0)

    def _write_over_link(self, request: Request) -> bytes:
        address, length, link = request.arguments
        return self._write_to(request, self._over(request.chip, link), address, length, 0)

    def _read_from(self, chip: Chip, core: int, address: int, length: int, unit: int) -> bytes:
        _check_length(length, unit)
        if chip.memory.has(address):
            return chip.memory.read(address, length)
        running = chip.cores.get(core)
        if running is not None and running.memory.has(address):
            return running.memory.read(address, length)
        if address >= _P2P and address + length <= _P2P + _P2P_SIZE:
            return self._p2p(chip.place, address, length)
        if _is_register(address):
            return bytes(length)
        raise AddressError(f"no memory of {length} bytes at {address:#010x}")

    def _write_to(
        self, request: Request, chip: Chip, address: int, length: int, unit: int
    ) -> bytes:
        _check_length(length, unit)
        if length > len(request.data):
            raise RefusedError(
                BAD_LENGTH, f"{length} bytes are announced, {len(request.data)} are there"
            )
        if not _is_register(address):
            chip.memory.write(address, request.data[:length])
        return b""

    def _fill(self, request: Request) -> bytes:
        address, word, length = request.arguments
        request.chip.memory.fill(address, word, length)
        return b""

    def _p2p(self, place: Place, address: int, length: int) -> bytes:
        """The table of routes between chips: 8 entries of 3 bits a word, (x << 8) + y in all."""
        words, chips = b"", self._board.layout.chips
        for at in range(address - _P2P & ~3, address - _P2P + length, 4):
            entries = [(index >> 8, index & 0xFF) for index in range(2 * at, 2 * at + 8)]
            routes = [SELF if e == place else 0 if e in chips else _NO_ENTRY for e in entries]
            words += struct.pack("<I", sum(r << 3 * i for i, r in enumerate(routes)))
        return words[address & 3 : (address & 3) + length]

    # --- programs ---------------------------------------------------------------------------------

    def _count(self, request: Request) -> bytes:
        app, state, _ = request.arguments
        cores = self._board.cores(app & 0xFF)
        return struct.pack("<I", sum(chip.state(number)[0] == state for chip, number in cores))

    def _start(self, chip: Chip, argument: int) -> bytes:
        """Bits 24 on: the application; bit 18: wait for a signal; bits 0 to 17: cores."""
        image = chip.memory.read(SCRATCH, _IMAGE)
        for number in range(1, CORES):
            if argument >> number & 1:
                chip.start(number, image, argument >> 24, int(bool(argument & _WAIT)))
                self._board.wake(chip.place, number)
        return b""

    def _run(self, request: Request) -> bytes:
        return self._start(request.chip, request.arguments[0])

    def _over(self, chip: Chip, link: int) -> Chip:
        there = self._board.layout.neighbour(chip.place, link) if link < len(LINKS) else None
        if there is None:
            raise RefusedError(BAD_ARGUMENT, f"chip {chip.place} has no neighbour on link {link}")
        return self._board.chips[there]

    def _copy_and_run(self, request: Request) -> bytes:
        link, length, argument = request.arguments
        if length > SCRATCH_SIZE:
            raise RefusedError(BAD_ARGUMENT, f"an image of {length} bytes; {SCRATCH_SIZE} fit")
        image = self._over(request.chip, link & 7).memory.read(SCRATCH, length)
        request.chip.memory.write(SCRATCH, image)
        return self._start(request.chip, argument)

    def _neighbours(self, request: Request) -> bytes:
        if request.arguments[0] >> 16 != _STOP_APP:
            raise RefusedError(
                BAD_COMMAND,
                f"it is NNP with {request.arguments[0]:#x}; of these, stopping an application is "
                "modelled",
            )
        return self._signal(request)

    def _signal(self, request: Request) -> bytes:
        """Bits 16 to 23 of the second argument: the signal; 0 to 7: the application."""
        signal, app = request.arguments[1] >> 16 & 0xFF, request.arguments[1] & 0xFF
        if signal == _STOP:
            self._board.stop(app)
            return b""
        for chip, number in self._board.cores(app):
            self._board.signal(chip.place, number, signal)
        return b""

    # --- tags, allocation, routes -----------------------------------------------------------------

    def _tag(self, request: Request) -> bytes:
        first, second, _ = request.arguments
        operation, tag = _operation(request), first & 0xFF
        if operation == 4:
            return bytes((9, 0, 4, 16))
        if operation not in (1, 2, 3):
            raise RefusedError(BAD_ARGUMENT, f"operation {operation} of IP tags is not modelled")
        if request.chip.place != ETHERNET:
            raise RefusedError(BAD_ARGUMENT, f"chip {request.chip.place} has no Ethernet")
        if tag >= TAGS:
            raise RefusedError(BAD_ARGUMENT, f"IP tag {tag}; there are {TAGS}")
        if operation == 2:
            found = self._tags.get(tag)
            return found.described() if found else bytes(32)
        made = self._made_tag(request) if operation == 1 else None
        try:
            self._set_tag(tag, made)
        except OSError as error:
            raise RefusedError(
                BAD_ARGUMENT, f"port {second & 0xFFFF} of IP tag {tag}: {error.strerror}"
            ) from error
        self._tags.pop(tag, None)
        if made is not None:
            self._tags[tag] = made
        return struct.pack("<I", tag)

    def _made_tag(self, request: Request) -> Tag | ReverseTag:
        first, second, third = request.arguments
        if first >> 29 & 1:
            chip, core = (second >> 24, second >> 16 & 0xFF), first >> 8 & 0x1F
            if chip not in self._board.chips or not 0 < core < CORES:
                raise RefusedError(BAD_ARGUMENT, f"an IP tag for core {core} of chip {chip}")
            return ReverseTag(second & 0xFFFF, chip, core, first >> 13 & 7)
        target = socket.inet_ntoa(struct.pack("<I", third)), second & 0xFFFF
        if _own_address(request):
            target = request.sender
        if not target[0].startswith("127."):
            raise RefusedError(
                BAD_ARGUMENT, f"an IP tag to {target[0]}; this board reaches its own computer only"
            )
        return Tag(target, bool(first >> 28 & 1))

    def _allocate(self, request: Request) -> bytes:
        first, size, tag = request.arguments
        operation, app, chip = first & 0xFF, first >> 8 & 0xFF, request.chip
        if operation == 0:
            if tag > 0xFF:
                raise RefusedError(BAD_ARGUMENT, f"tag {tag} of a block; they end at 255")
            return struct.pack("<I", chip.allocate(size, app, tag, bool(first >> 18 & 1)))
        if operation == 1:
            chip.user_heap.free_block(size)
        elif operation == 2:
            chip.release(app)
        elif operation not in (3, 4, 5):
            raise RefusedError(BAD_ARGUMENT, f"operation {operation} of ALLOC is not modelled")
        return struct.pack("<I", 1)  # also a first router entry: one table at a time

    def _routes(self, request: Request) -> bytes:
        first, table, index = request.arguments
        chip, router = request.chip, self._board.router
        operation, number = first & 0xFF, first >> 16
        if operation == 0:
            router.clear(chip.place)
        elif operation == 2:
            if index + number > _FREE_ENTRIES + 1:
                raise RefusedError(
                    BAD_ARGUMENT, f"router entries {index} to {index + number - 1}; there are 1024"
                )
            data = chip.memory.read(table, 16 * number)
            rows = struct.iter_unpack("<4xIII", data)
            router.add(chip.place, index, [(route, key, mask) for route, key, mask in rows])
        else:
            raise RefusedError(BAD_ARGUMENT, f"operation {operation} of RTR is not modelled")
        return b""

    def _info(self, request: Request) -> bytes:
        chip = request.chip
        links = sum(1 << link for link in self._board.layout.links(chip.place))
        flags = CORES | links << 8 | _FREE_ENTRIES << 14 | (chip.place == ETHERNET) << 25
        states = [7, *(chip.state(number)[0] for number in range(1, CORES))]
        return (
            struct.pack("<3I", flags, _FREE_SDRAM, _FREE_SYSRAM)
            + bytes(states)
            + bytes(ETHERNET[::-1])
            + chip.address
            + struct.pack("<H", parent(chip.place))
        )


def _operation(request: Request) -> int:
    """Of IP tags: 1 to set one, 2 to read it, 3 to clear it."""
    return request.arguments[0] >> 16 & 0xF


def _own_address(request: Request) -> bool:
    """Whether a tag shall lead to whoever sets it, as one who watches a run of another's asks."""
    return bool(request.arguments[0] >> 30 & 1) or not request.arguments[2]


def _check_length(length: int, unit: int) -> None:
    if length > _DATA or unit >= _UNITS:
        raise RefusedError(
            BAD_ARGUMENT, f"{length} bytes in unit {unit}; expected at most {_DATA}, in 0 to 2"
        )


def _is_register(address: int) -> bool:
    """Whether a device's register stands there: the host's reads give 0, its writes do nothing."""
    return any(
        base <= address < base + SIZES.get(device, SIZE)
        for device, bases in DEVICES.items()
        for base in bases
    )
