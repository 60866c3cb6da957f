"""A core's peripherals, as registers: interrupts, timer, packets, DMA, system controller.

Each has ``read(offset)`` and ``write(offset, value)``; ``sources`` is a mask of the interrupt
sources that it raises now. What is not modelled is refused by name. ``c/core.c`` is the same in C.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from pynn_models.spinnaker.board.errors import CoreError
from pynn_models.spinnaker.board.memory import Memory
from pynn_models.spinnaker.board.registers import DEVICES, named

SOFTWARE, TIMER, PACKET, EMPTY, DMA_DONE, CPU, MULTICAST = 1, 4, 6, 11, 12, 18, 24
_SLOTS = 16



def refuse(device: str, offset: int, verb: str) -> NoReturn:
    """Raise :class:`CoreError` for a register that is not modelled."""
    raise CoreError(
        f"it {verb} {named(DEVICES[device][0] + offset)}, which the emulated board does not model"
    )


def other_packets(value: int) -> str:
    """What is said of a program that would send packets to a chip, or to its neighbours."""
    return (
        f"it writes {value:#010x} to {named(0x10000000)}: packets other than multicast, which the "
        "emulated board does not model"
    )


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
        if offset not in known:
            refuse("interrupts", offset, "reads")
        return known[offset]

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
        else:
            refuse("interrupts", offset, "writes")


class Timer:
    """Two timers: the first interrupts once a tick of the board, the second measures a tick.

    Counts stand still. Programs for synapses alone look at the second one until the tick is over:
    when one has looked ``IDLE_POLLS`` times with nothing else to do, ``polling`` says so, and the
    board says when the tick has ended (:meth:`end`).
    """

    IDLE_POLLS = 12
    _MEASURED = 100  # cycles that a measured transfer took
    _ONE_SHOT = 0xE3  # enabled, interrupting, 32 bits, once

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._control = self.load = self.sources = 0
        self._second_control = self._second_load = self.polls = 0
        self._second_used = self._over = False
        self.polling = False

    @property
    def running(self) -> bool:
        return bool(self._control & 0x80)

    def tick(self) -> None:
        self.sources = 1 << TIMER

    def end(self) -> None:
        self._over = True

    def _second_count(self) -> int:
        if not self._second_control & 0x80:
            return 0xFFFFFFFF
        if self._over:
            return 0
        if self._second_control == self._ONE_SHOT:
            self.polls += 1
            if self.polls >= self.IDLE_POLLS:
                self.polls, self.polling = 0, True
                self._stop()
        long = self._second_load > 256
        return self._second_load - self._MEASURED if long else self._second_load

    def read(self, offset: int) -> int:
        if offset == 0x24:
            return self._second_count()
        known = {0x00: self.load, 0x04: self.load if self._second_used else 0, 0x08: self._control}
        known |= dict.fromkeys((0x10, 0x14), int(bool(self.sources)))
        known |= {0x28: self._second_control}
        if offset not in known:
            refuse("timers", offset, "reads")
        return known[offset]

    def write(self, offset: int, value: int) -> None:
        if offset in (0x00, 0x18):
            self.load = value
        elif offset == 0x08:
            self._control = value
        elif offset == 0x0C:
            self.sources = 0
        elif offset == 0x20:
            self._second_load, self._second_used = value, True
        elif offset == 0x28:
            self._second_control, self._over, self.polls = value, False, 0
        elif offset == 0x2C:
            self._second_control, self._over = 0, False
        else:
            refuse("timers", offset, "writes")


class Comms:
    """Multicast packets, (key, payload or None): sent at once, received from a queue.

    Of the ``backlog``, ``AT_ONCE`` at a time arrive when the core has nothing else to do.
    """

    AT_ONCE = 16

    def __init__(self, send: Callable[[int, int | None], None]) -> None:
        self._send = send
        self._payload: int | None = None
        self.queue: deque[tuple[int, int | None]] = deque()
        self.backlog: deque[tuple[int, int | None]] = deque()

    def arrive(self) -> None:
        for _ in range(min(self.AT_ONCE, len(self.backlog))):
            self.queue.append(self.backlog.popleft())

    @property
    def sources(self) -> int:
        arrived = 1 << PACKET | 1 << MULTICAST if self.queue else 0
        return arrived | 1 << EMPTY

    def read(self, offset: int) -> int:
        if offset == 0x00:
            return 0xB0000000  # empty, not full
        if offset not in (0x0C, 0x10, 0x14):
            refuse("packets", offset, "reads")
        if not self.queue:
            return 0
        key, payload = self.queue[0]
        if offset == 0x0C:
            return 0x80000000 | (payload is not None) << 17
        if offset == 0x10:
            return payload or 0
        self.queue.popleft()
        return key

    def write(self, offset: int, value: int) -> None:
        if offset == 0x04:
            self._payload = value
        elif offset == 0x08:
            self._send(value, self._payload)
            self._payload = None
        elif offset == 0x00:
            if value >> 22 & 3:
                raise CoreError(other_packets(value))
        elif offset != 0x0C:  # flags of errors that there are none of
            refuse("packets", offset, "writes")


class Dma:
    """Copies between SDRAM and a core's own memory, done at once."""

    def __init__(self, number: int, memory: Memory, used: Callable[[], None]) -> None:
        self._number, self._memory, self._used = number, memory, used
        self._sdram = self._tcm = 0
        self._done = False

    @property
    def sources(self) -> int:
        return self._done << DMA_DONE

    def read(self, offset: int) -> int:
        known = {0x04: self._sdram, 0x08: self._tcm, 0x10: 0}  # what is asked for has been done
        known[0x14] = self._number << 24 | self._done << 10
        known |= dict.fromkeys(range(0x40, 0x60, 4), 0)  # read by a program that exits
        if offset not in known:
            refuse("DMA", offset, "reads")
        return known[offset]

    def write(self, offset: int, value: int) -> None:
        self._used()
        if offset == 0x04:
            self._sdram = value
        elif offset == 0x08:
            self._tcm = value
        elif offset == 0x0C:
            length, outwards = value & 0x1FFFF, value >> 19 & 1
            source, target = self._sdram, self._tcm
            if outwards:
                source, target = target, source
            self._memory.write(target, self._memory.read(source, length))
            self._done = True
        elif offset == 0x10:
            self._done = self._done and not value & 8
        elif offset not in (0x18, 0x28):  # which events interrupt: a done copy does; statistics
            refuse("DMA", offset, "writes")


class Flags:
    """What the cores of a chip share in the system controller: a bit a core to start a run."""

    def __init__(self) -> None:
        self.cell = ctypes.c_uint32(0)

    @property
    def sync(self) -> int:
        return self.cell.value

    @sync.setter
    def sync(self, value: int) -> None:
        self.cell.value = value


class SystemController:
    """Interrupts between cores, the flags, and locks that are always free.

    Locks never contend: the cores of a chip run one after the other.
    """

    def __init__(self, number: int, flags: Flags, to_monitor: Callable[[], None]) -> None:
        self._number, self._flags, self._to_monitor = number, flags, to_monitor
        self.sources = 0

    def interrupt(self) -> None:
        self.sources = 1 << CPU

    def read(self, offset: int) -> int:
        if 0x100 <= offset < 0x200:
            return 0
        known = {0x00: 0x59111012, 0x34: 0, 0x58: self._flags.sync, 0x5C: self._flags.sync}
        if offset not in known:
            refuse("system", offset, "reads")
        return known[offset]

    def write(self, offset: int, value: int) -> None:
        if offset == 0x08:
            if value & 1:
                self._to_monitor()
        elif offset == 0x0C:
            if value >> self._number & 1:
                self.sources = 0
        elif offset == 0x58:
            self._flags.sync |= value
        elif offset == 0x5C:
            self._flags.sync &= ~value
        elif not 0x100 <= offset < 0x200:
            refuse("system", offset, "writes")


class RouterRegisters:
    """Registers that read 0 and take no notice: the board routes."""

    def read(self, offset: int) -> int:
        return 0

    def write(self, offset: int, value: int) -> None:
        pass
