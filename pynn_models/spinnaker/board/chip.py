"""One chip: shared memory as the monitor leaves it, application cores, mailboxes."""

from __future__ import annotations

import struct
from collections.abc import Callable

from pynn_models.spinnaker.board.aplx import ImageError
from pynn_models.spinnaker.board.core import Core, Packet, Progress, Start, described
from pynn_models.spinnaker.board.errors import CoreError
from pynn_models.spinnaker.board.heap import Heap
from pynn_models.spinnaker.board.layout import ETHERNET, Layout, Place
from pynn_models.spinnaker.board.memory import (
    SCRATCH,
    SDRAM,
    SDRAM_SIZE,
    SV,
    SYSRAM,
    SYSRAM_HEAP,
    SYSRAM_SIZE,
    SYSTEM_BUFFERS,
    SYSTEM_HEAP,
    USER_HEAP,
    VCPU,
    VCPU_SIZE,
    AddressError,
    Memory,
    Ram,
)
from pynn_models.spinnaker.board.peripherals import Flags
from pynn_models.spinnaker.board.timing import Load

CORES = 18
ERROR, WATCHDOG, INITIALISING, IDLE = 2, 3, 4, 15
SYNC0, SYNC1 = 4, 5
_LONGEST = 4 * 10**9  # instructions without a wait, 20 s of the board's at least
_EMULATOR = 9  # the error code of a program that was stopped from outside
_MESSAGE, _SIGNAL = 1, 3  # what a mailbox holds
_MESSAGES, _MESSAGE_SIZE = 32, 292
_FREE_MESSAGES, _TAGS, _TO_MONITOR = SV + 0x68, SV + 0xDC, SV + 0xEC
# Of a core's block.
_CODE, _STATE, _APP, _TO_CORE, _FROM_CORE, _TO_CORE_KIND, _FROM_CORE_KIND, _NAME = (
    44, 46, 47, 48, 52, 56, 57, 72,
)  # fmt: skip

CoreMaker = Callable[[Start, Memory, Flags], Core]
Answer = Callable[[bytes], None]  # an SDP message, from its flags on
Say = Callable[[str], None]


class Chip:
    """``answer`` takes its cores' messages, ``say`` what went wrong.

    ``address``: of the board, 4 bytes; only the Ethernet chip has it.
    """

    def __init__(
        self, place: Place, layout: Layout, address: bytes, make: CoreMaker, answer: Answer,
        say: Say,
    ) -> None:
        self.place, self.address = place, address if place == ETHERNET else bytes(4)
        self._make, self._answer, self._say = make, answer, say
        self.memory = Memory(Ram(SDRAM_SIZE, *SDRAM), Ram(SYSRAM_SIZE, *SYSRAM))
        self.cores: dict[int, Core] = {}
        self.loads: dict[int, Load] = {}
        self.polling: set[int] = set()
        self._busy: dict[int, int] = {}  # instructions since a core last waited
        self._flags, self._layout = Flags(), layout
        self.clear()

    def clear(self) -> None:
        """As after power-up: no programs, nothing allocated, and the monitor's memory as it was."""
        _zero(self.memory, SYSRAM[0], SYSRAM_SIZE)
        self.user_heap = Heap(self.memory, *USER_HEAP)
        self._system_variables()
        for number in range(1, CORES):
            self.stop(number)
        self.loads.clear()
        self._busy.clear()

    def _system_variables(self) -> None:
        memory, layout = self.memory, self._layout
        system = Heap(memory, *SYSTEM_HEAP)
        self.program_heaps = system, Heap(memory, *SYSRAM_HEAP)
        sizes = _MESSAGES * _MESSAGE_SIZE, 4 * 65536, 0x4000, 8 * 256
        messages, tags, routes, applications = map(system.allocate, sizes)
        for block, size in zip((messages, tags, routes, applications), sizes, strict=True):
            _zero(memory, block, size)
        for i in range(_MESSAGES - 1):
            memory.put(messages + i * _MESSAGE_SIZE, messages + (i + 1) * _MESSAGE_SIZE)
        for offset, kind, value in (
            (0x00, "H", self.place[0] << 8 | self.place[1]),
            (0x02, "H", layout.width << 8 | layout.height),
            (0x06, "B", 1),
            (0x0A, "B", layout.version),
            (0x0B, "B", self.place == ETHERNET),
            (0x24, "H", 200),
            (0x26, "H", 130),
            (0x48, "I", SYSRAM_HEAP[0]),
            (0x4C, "I", USER_HEAP[0]),
            (0x50, "I", 16384),
            (0x54, "I", SYSTEM_BUFFERS),
            (0x58, "I", 2048),
            (0x68, "I", messages),
            (0xBC, "B", CORES),
            (0xC0, "I", USER_HEAP[0]),
            (0xC8, "I", SCRATCH),
            (0xCC, "I", VCPU + 0x10000000),
            (0xD0, "I", SYSTEM_HEAP[0]),
            (0xD4, "I", routes),
            (0xDC, "I", tags),
            (0xE4, "I", applications),
            (0xE8, "I", messages),
            (0xFC, "I", 0x00040000),
        ):
            memory.put(SV + offset, value, kind)
        identity = bytes(range(CORES)) + b"\xff\xff"
        memory.write(SV + 0x94, identity)
        memory.write(SV + 0xA8, identity)
        memory.write(SV + 0xF0, self.address)

    def _block(self, number: int) -> int:
        return VCPU + VCPU_SIZE * number

    def allocate(self, size: int, app: int, tag: int, again: bool) -> int:
        """A block for the host, which programs find by its tag; the same one when asked again."""
        entry = self.memory.get(_TAGS) + 4 * (app << 8 | tag)
        if tag and again and self.memory.get(entry):
            return self.memory.get(entry)
        found = self.user_heap.allocate(size, app << 8 | tag)
        if tag:
            self.memory.put(entry, found)
        return found

    def release(self, app: int) -> None:
        """Free what the host and programs allocated for an application in the user's heap."""
        self.user_heap.free(app)
        self.memory.write(self.memory.get(_TAGS) + 4 * (app << 8), bytes(4 * 256))

    def end(self, app: int) -> None:
        """Free an application's memory in all heaps: its cores' output lies in the system's.

        Application 0 is the monitor's own, whose tables stay.
        """
        self.release(app)
        for heap in self.program_heaps if app else ():
            heap.free(app)

    def state(self, number: int) -> tuple[int, int]:
        """State and application of a core."""
        block = self._block(number)
        return self.memory.get(block + _STATE, "B"), self.memory.get(block + _APP, "B")

    def name(self, number: int) -> str:
        """The name of a core's program."""
        raw = self.memory.read(self._block(number) + _NAME, 16)
        return raw.partition(b"\0")[0].decode("ascii", "replace")

    def of(self, app: int) -> list[int]:
        """The cores of an application."""
        return [number for number in range(1, CORES) if self.state(number)[1] == app]

    def start(self, number: int, image: bytes, app: int, flags: int) -> None:
        """A program on a core, ready to :meth:`run`. Raises :class:`ImageError`."""
        self.cores.pop(number, None)
        self._busy.pop(number, None)
        block = self._block(number)
        self.memory.write(block, bytes(112))
        self.memory.put(block + _APP, app, "B")
        try:
            start = Start(number, image, app | flags << 8, self._from_cores)
            core = self._make(start, self.memory, self._flags)
        except ImageError as error:
            self._fail(number, ERROR, str(error))
            raise
        self.memory.put(block + _STATE, INITIALISING, "B")
        self._flags.sync |= 1 << number
        self.cores[number] = core
        self.loads[number] = Load()

    def stop(self, number: int) -> None:
        """Drop a core's program."""
        self.cores.pop(number, None)
        self.polling.discard(number)
        self.memory.put(self._block(number) + _STATE, IDLE, "B")
        self.memory.put(self._block(number) + _APP, 0, "B")

    def run(self, number: int, instructions: int) -> tuple[bool, list[Packet]]:
        """Run a core for so many instructions, or until it waits: whether it does; what it sent.

        One that fails is in state 2, one that never waits in state 3.
        """
        core = self.cores.get(number)
        if core is None:
            return True, []
        try:
            return self.ran(number, instructions, core.run(instructions))
        except CoreError as error:
            return self.ran(number, instructions, error)

    def ran(
        self, number: int, instructions: int, outcome: Progress | CoreError
    ) -> tuple[bool, list[Packet]]:
        """What :meth:`run` gives, of a core that was run."""
        core = self.cores[number]
        self.polling.discard(number)
        sent = core.take()
        if isinstance(outcome, CoreError):
            self._fail(number, ERROR, str(outcome), core)
            return True, sent
        if self.state(number)[0] == ERROR:
            code = self.memory.get(self._block(number) + _CODE, "B")
            self._fail(number, ERROR, f"run-time error {code}", core)
            return True, sent
        if outcome is Progress.BUSY:
            self._busy[number] = self._busy.get(number, 0) + instructions
            if self._busy[number] > _LONGEST:
                self._fail(number, WATCHDOG, "it does not wait for an interrupt any more", core)
                return True, sent
            return False, sent
        self._busy.pop(number, None)
        if outcome is Progress.POLLING:
            self.polling.add(number)
        return True, sent

    def fail(self, number: int, error: CoreError) -> None:
        """A core that cannot go on, for a reason outside it."""
        self._fail(number, ERROR, str(error), self.cores.get(number))

    def _fail(self, number: int, state: int, reason: str, core: Core | None = None) -> None:
        """Leave a core as one that ended by itself: its state, its registers, and say so."""
        block, registers = self._block(number), ""
        if core is not None:
            values = core.registers()
            registers = f"; {described(values)}"
            if not self.memory.get(block + _CODE, "B"):
                words = (*values[:8], values[16], values[13], values[14])
                self.memory.write(block, struct.pack("<11I", *words))
                self.memory.put(block + _CODE, _EMULATOR, "B")
        self.memory.put(block + _STATE, state, "B")
        name = f" ({self.name(number)})" if self.name(number) else ""
        x, y = self.place
        self._say(f"core {x}, {y}, {number}{name}: {reason}{registers}")
        self.cores.pop(number, None)
        self.polling.discard(number)

    def signal(self, number: int, signal: int) -> None:
        """Give a core, whose mailbox is empty, a signal; the caller runs it."""
        if signal == SYNC0:
            self._flags.sync &= ~(1 << number)
            self.cores[number].interrupt()
        elif signal == SYNC1:
            self._flags.sync |= 1 << number
            self.cores[number].interrupt()
        else:
            self._post(number, signal, _SIGNAL)

    def message(self, number: int, sdp: bytes) -> None:
        """Give a core, whose mailbox is empty, an SDP message; the caller runs it.

        From its flags on. Where the chip has no room for it, it is lost.
        """
        buffer = self.memory.get(_FREE_MESSAGES)
        if not buffer:
            x, y = self.place
            self._say(f"core {x}, {y}, {number}: a message is lost: no free buffer")
            return
        self.memory.put(_FREE_MESSAGES, self.memory.get(buffer))
        self.memory.write(buffer, struct.pack("<IHH", 0, len(sdp), 0) + sdp)
        self._post(number, buffer, _MESSAGE)

    def has_mail(self, number: int) -> bool:
        """Whether the core has not looked at its last message or signal."""
        return bool(self.memory.get(self._block(number) + _TO_CORE_KIND, "B"))

    def _post(self, number: int, content: int, kind: int) -> None:
        block = self._block(number)
        self.memory.put(block + _TO_CORE, content)
        self.memory.put(block + _TO_CORE_KIND, kind, "B")
        self.cores[number].interrupt()

    def _from_cores(self) -> None:
        """Take the messages that cores have for the host."""
        for number in self.cores:
            block = self._block(number)
            if self.memory.get(block + _FROM_CORE_KIND, "B") != _MESSAGE:
                continue
            self.memory.put(block + _FROM_CORE_KIND, 0, "B")
            self.memory.put(_TO_MONITOR, self.memory.get(_TO_MONITOR) & ~(1 << number))
            try:
                buffer = self.memory.get(block + _FROM_CORE)
                length = min(self.memory.get(buffer + 4, "H"), _MESSAGE_SIZE - 8)
                sdp = self.memory.read(buffer + 8, length)
                self.memory.put(buffer, self.memory.get(_FREE_MESSAGES))
                self.memory.put(_FREE_MESSAGES, buffer)
            except AddressError as error:
                self._say(f"core {self.place[0]}, {self.place[1]}, {number}: its message: {error}")
                continue
            self._answer(sdp)


def _zero(memory: Memory, address: int, size: int) -> None:
    if any(memory.read(address, size)):  # pages that nobody wrote to take no room
        memory.write(address, bytes(size))
