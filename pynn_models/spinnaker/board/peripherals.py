"""A core's peripherals, as registers: interrupts, timer, packets, DMA, system controller.

Each has ``read(offset)`` and ``write(offset, value)``; ``sources`` is a mask of the interrupt
sources that it raises now.
"""

from collections import deque
from collections.abc import Callable

from pynn_models.spinnaker.board.memory import Memory

SOFTWARE, TIMER, PACKET, EMPTY, DMA_DONE, CPU, MULTICAST = 1, 4, 6, 11, 12, 18, 24
_SLOTS = 16


class CoreError(Exception):
    """A program that did what there is no memory, instruction or clock for."""


class Vic:
    """The interrupt controller: 16 slots by priority, nested; ``sources``: what is raised."""

    def __init__(self, sources: Callable[[], int]) -> None:
        self._sources = sources
        self._enabled = self._fast = self._soft = self._default = 0
        self._handlers, self._controls = [0] * _SLOTS, [0] * _SLOTS
        self._serving: list[int] = []

    def _raw(self) -> int:
        return self._sources() | self._soft

    @property
    def fiq(self) -> int:
        return self._raw() & self._enabled & self._fast

    @property
    def irq(self) -> int:
        return self._raw() & self._enabled & ~self._fast

    def slot(self) -> int | None:
        """The slot to serve now: the first that is raised, above the one in service."""
        raised = self.irq
        if not raised:
            return None
        limit = self._serving[-1] if self._serving else _SLOTS + 1
        for slot, control in enumerate(self._controls[:limit]):
            if control & 0x20 and raised >> (control & 0x1F) & 1:
                return slot
        vectored = sum({1 << (c & 0x1F) for c in self._controls if c & 0x20})
        return _SLOTS if limit > _SLOTS and raised & ~vectored else None

    def read(self, offset: int) -> int:
        if offset == 0x30:
            slot = self.slot()
            if slot is None:
                return self._default
            self._serving.append(slot)
            return self._default if slot == _SLOTS else self._handlers[slot]
        if 0x100 <= offset < 0x140:
            return self._handlers[offset - 0x100 >> 2]
        if 0x200 <= offset < 0x240:
            return self._controls[offset - 0x200 >> 2]
        known = {0x00: self.irq, 0x04: self.fiq, 0x08: self._raw(), 0x0C: self._fast}
        known |= {0x10: self._enabled, 0x18: self._soft, 0x34: self._default}
        return known.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == 0x30:
            del self._serving[-1:]
        elif offset == 0x0C:
            self._fast = value
        elif offset == 0x10:
            self._enabled |= value
        elif offset == 0x14:
            self._enabled &= ~value
        elif offset == 0x18:
            self._soft |= value
        elif offset == 0x1C:
            self._soft &= ~value
        elif offset == 0x34:
            self._default = value
        elif 0x100 <= offset < 0x140:
            self._handlers[offset - 0x100 >> 2] = value
        elif 0x200 <= offset < 0x240:
            self._controls[offset - 0x200 >> 2] = value


class Timer:
    """Timer 1 interrupts once a tick of the board; its counts stand still.

    So a program that waits for the end of a tick cannot run: sPyNNaker's for synapses alone, which
    it uses for timesteps below 1 ms, look at offset 0x14.
    """

    def __init__(self) -> None:
        self.running = False
        self._control = 0
        self.sources = 0

    def tick(self) -> None:
        self.sources = 1 << TIMER

    def read(self, offset: int) -> int:
        if offset == 0x14:
            raise CoreError("it waits for the end of a tick, and ticks here last as long as needed")
        return {0x08: self._control, 0x24: 0xFFFFFFFF}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == 0x08:
            self._control, self.running = value, bool(value & 0x80)
        elif offset == 0x0C:
            self.sources = 0


class Comms:
    """Multicast packets, (key, payload or None): sent at once, received from a queue."""

    def __init__(self, send: Callable[[int, int | None], None]) -> None:
        self._send = send
        self._payload: int | None = None
        self.queue: deque[tuple[int, int | None]] = deque()

    @property
    def sources(self) -> int:
        arrived = 1 << PACKET | 1 << MULTICAST if self.queue else 0
        return arrived | 1 << EMPTY

    def read(self, offset: int) -> int:
        if offset == 0x00:
            return 0xB0000000  # empty, not full
        if not self.queue:
            return 0
        key, payload = self.queue[0]
        if offset == 0x0C:
            return 0x80000000 | (payload is not None) << 17
        if offset == 0x10:
            return payload or 0
        if offset == 0x14:
            self.queue.popleft()
            return key
        return 0

    def write(self, offset: int, value: int) -> None:
        if offset == 0x04:
            self._payload = value
        elif offset == 0x08:
            self._send(value, self._payload)
            self._payload = None


class Dma:
    """Copies between SDRAM and a core's own memory, done at once."""

    def __init__(self, number: int, shared: Memory, own: Memory) -> None:
        self._number, self._shared, self._own = number, shared, own
        self._sdram = self._tcm = 0
        self._done = False

    @property
    def sources(self) -> int:
        return self._done << DMA_DONE

    def read(self, offset: int) -> int:
        return self._number << 24 | self._done << 10 if offset == 0x14 else 0

    def write(self, offset: int, value: int) -> None:
        if offset == 0x04:
            self._sdram = value
        elif offset == 0x08:
            self._tcm = value
        elif offset == 0x0C:
            length = value & 0x1FFFF
            if value >> 19 & 1:
                self._shared.write(self._sdram, self._own.read(self._tcm, length))
            else:
                self._own.write(self._tcm, self._shared.read(self._sdram, length))
            self._done = True
        elif offset == 0x10 and value & 8:
            self._done = False


class Flags:
    """What the cores of a chip share in the system controller: a bit a core to start a run."""

    def __init__(self) -> None:
        self.sync = 0


class SystemController:
    """Interrupts between cores, the flags, and locks that are always free.

    Locks never contend: cores run one after the other.
    """

    def __init__(self, number: int, flags: Flags, to_monitor: Callable[[], None]) -> None:
        self._number, self._flags, self._to_monitor = number, flags, to_monitor
        self.sources = 0

    def interrupt(self) -> None:
        self.sources = 1 << CPU

    def read(self, offset: int) -> int:
        return {0x00: 0x59111012, 0x58: self._flags.sync, 0x5C: self._flags.sync}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == 0x08 and value & 1:
            self._to_monitor()
        elif offset == 0x0C and value >> self._number & 1:
            self.sources = 0
        elif offset == 0x58:
            self._flags.sync |= value
        elif offset == 0x5C:
            self._flags.sync &= ~value


class Nothing:
    """Registers that read 0 and take no notice: the router's."""

    def read(self, offset: int) -> int:
        return 0

    def write(self, offset: int, value: int) -> None:
        pass
