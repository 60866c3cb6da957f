"""One chip: shared memory as the monitor leaves it, application cores, mailboxes."""

import struct
from collections.abc import Callable

from pynn_models.spinnaker.board.core import Core
from pynn_models.spinnaker.board.heap import Heap
from pynn_models.spinnaker.board.layout import ETHERNET, Place
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
    Memory,
    Ram,
)
from pynn_models.spinnaker.board.peripherals import CoreError, Flags

CORES = 18
ERROR, INITIALISING, IDLE = 2, 4, 15
SYNC0, SYNC1 = 4, 5
_MESSAGE, _SIGNAL = 1, 3  # what a mailbox holds
_MESSAGES, _MESSAGE_SIZE = 32, 292
_FREE_MESSAGES, _TAGS, _TO_MONITOR = SV + 0x68, SV + 0xDC, SV + 0xEC
# Of a core's block.
_CODE, _STATE, _APP, _TO_CORE, _FROM_CORE, _TO_CORE_KIND, _FROM_CORE_KIND = (
    44, 46, 47, 48, 52, 56, 57,
)  # fmt: skip

Send = Callable[[Place, int, int | None], None]  # place, key, payload
Answer = Callable[[bytes], None]  # an SDP message, from its flags on


class Chip:
    """``send`` takes the cores' packets, ``answer`` their messages to the host.

    ``address``: of the board, 4 bytes; only the Ethernet chip has it.
    """

    def __init__(self, place: Place, address: bytes, send: Send, answer: Answer) -> None:
        self.place, self.address = place, address if place == ETHERNET else bytes(4)
        self._send, self._answer = send, answer
        self.memory = Memory(Ram(SDRAM_SIZE, *SDRAM), Ram(SYSRAM_SIZE, *SYSRAM))
        self.cores: dict[int, Core] = {}
        self.errors: list[str] = []
        self._flags = Flags()
        self.user_heap = Heap(self.memory, *USER_HEAP)
        self._system_variables()
        for number in range(1, CORES):
            self.memory.put(self._block(number) + _STATE, IDLE, "B")

    def _system_variables(self) -> None:
        memory = self.memory
        system = Heap(memory, *SYSTEM_HEAP)
        Heap(memory, *SYSRAM_HEAP)
        messages = system.allocate(_MESSAGES * _MESSAGE_SIZE)
        for i in range(_MESSAGES - 1):
            memory.put(messages + i * _MESSAGE_SIZE, messages + (i + 1) * _MESSAGE_SIZE)
        for offset, kind, value in (
            (0x00, "H", self.place[0] << 8 | self.place[1]),
            (0x02, "H", 0x0808),
            (0x06, "B", 1),
            (0x0A, "B", 5),
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
            (0xD4, "I", system.allocate(0x4000)),
            (0xDC, "I", system.allocate(4 * 65536)),
            (0xE4, "I", system.allocate(8 * 256)),
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
        """Free an application's memory."""
        self.user_heap.free(app)
        self.memory.write(self.memory.get(_TAGS) + 4 * (app << 8), bytes(4 * 256))

    def state(self, number: int) -> tuple[int, int]:
        """State and application of a core."""
        block = self._block(number)
        return self.memory.get(block + _STATE, "B"), self.memory.get(block + _APP, "B")

    def of(self, app: int) -> list[int]:
        """The cores of an application."""
        return [number for number in range(1, CORES) if self.state(number)[1] == app]

    def start(self, number: int, image: bytes, app: int, flags: int) -> None:
        """A program on a core, ready to :meth:`run`."""
        block = self._block(number)
        self.memory.write(block, bytes(112))
        self.memory.put(block + _STATE, INITIALISING, "B")
        self.memory.put(block + _APP, app, "B")
        self._flags.sync |= 1 << number
        self.cores[number] = Core(
            number, image, app | flags << 8, self.memory, self._flags,
            lambda key, payload: self._send(self.place, key, payload),
            lambda: self._from_cores(),
        )  # fmt: skip

    def stop(self, number: int) -> None:
        """Drop a core's program."""
        self.cores.pop(number, None)
        self.memory.put(self._block(number) + _STATE, IDLE, "B")
        self.memory.put(self._block(number) + _APP, 0, "B")

    def run(self, number: int) -> None:
        """Run a core until it waits; one that fails is in state 2, and told in ``errors``."""
        if number not in self.cores:
            return
        block = self._block(number)
        try:
            self.cores[number].run()
        except CoreError as error:
            self.memory.put(block + _STATE, ERROR, "B")
            self._fail(number, str(error))
            return
        if self.state(number)[0] == ERROR:
            self._fail(number, f"run-time error {self.memory.get(block + _CODE, 'B')}")

    def _fail(self, number: int, reason: str) -> None:
        self.errors.append(f"core {self.place[0]}, {self.place[1]}, {number}: {reason}")
        self.cores.pop(number, None)

    def signal(self, number: int, signal: int) -> None:
        """Give a core a signal, unless it failed; the caller runs it."""
        if number not in self.cores:
            return
        if signal == SYNC0:
            self._flags.sync &= ~(1 << number)
            self.cores[number].system.interrupt()
        elif signal == SYNC1:
            self._flags.sync |= 1 << number
            self.cores[number].system.interrupt()
        else:
            self._post(number, signal, _SIGNAL)

    def message(self, number: int, sdp: bytes) -> None:
        """Give a core an SDP message, from its flags on; the caller runs it."""
        buffer = self.memory.get(_FREE_MESSAGES)
        self.memory.put(_FREE_MESSAGES, self.memory.get(buffer))
        self.memory.write(buffer, struct.pack("<IHH", 0, len(sdp), 0) + sdp)
        self._post(number, buffer, _MESSAGE)

    def _post(self, number: int, content: int, kind: int) -> None:
        block = self._block(number)
        if self.memory.get(block + _TO_CORE_KIND, "B"):
            self.run(number)  # it has not looked yet
        self.memory.put(block + _TO_CORE, content)
        self.memory.put(block + _TO_CORE_KIND, kind, "B")
        if number in self.cores:
            self.cores[number].system.interrupt()

    def _from_cores(self) -> None:
        """Take the messages that cores have for the host."""
        for number in self.cores:
            block = self._block(number)
            if self.memory.get(block + _FROM_CORE_KIND, "B") != _MESSAGE:
                continue
            buffer = self.memory.get(block + _FROM_CORE)
            length = self.memory.get(buffer + 4, "H")
            sdp = self.memory.read(buffer + 8, length)
            self.memory.put(buffer, self.memory.get(_FREE_MESSAGES))
            self.memory.put(_FREE_MESSAGES, buffer)
            self.memory.put(block + _FROM_CORE_KIND, 0, "B")
            self.memory.put(_TO_MONITOR, self.memory.get(_TO_MONITOR) & ~(1 << number))
            self._answer(sdp)
