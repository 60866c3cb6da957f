"""A core whose peripherals, interrupts and hooks are Python: the check of those in C, and the
fallback where there is no compiler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from unicorn import UC_ARCH_ARM, UC_HOOK_BLOCK, UC_HOOK_CODE, UC_MODE_ARM, UC_PROT_ALL, Uc, UcError
from unicorn.arm_const import (
    UC_ARM_REG_CPSR,
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_SP,
    UC_ARM_REG_SPSR,
    UC_CPU_ARM_946,
)

from pynn_models.spinnaker.board.core import Core, Packet, Progress, Start
from pynn_models.spinnaker.board.errors import CoreError
from pynn_models.spinnaker.board.memory import AddressError, Memory
from pynn_models.spinnaker.board.peripherals import (
    Comms,
    Dma,
    Flags,
    RouterRegisters,
    SystemController,
    Timer,
    Vic,
)
from pynn_models.spinnaker.board.registers import DEVICES, SIZE, SIZES

_NOWHERE = 0xFFFF0000  # no code is there: execution ends by a hook
_THUMB, _NO_IRQ, _NO_FIQ = 0x20, 0x80, 0x40
_START = 0xD3  # supervisor, no interrupts
_IRQ, _FIQ = (0x12 | _NO_IRQ, 0x18), (0x11 | _NO_IRQ | _NO_FIQ, 0x1C)
_LONGEST = 10**6  # us that a core may run at a time


class PythonCore(Core):
    """``counts``: instructions are counted, and :meth:`run` stops by them; slow.

    Without, a core that runs for a second is stopped.
    """

    def __init__(
        self, start: Start, shared: Memory, flags: Flags, *, counts: bool = False
    ) -> None:
        super().__init__(start, shared, flags)
        self._sent: list[Packet] = []
        self._timer = Timer(self._stop)
        self._comms = Comms(lambda key, payload: self._sent.append((key, payload)))
        self._system = SystemController(start.number, flags, start.to_monitor)
        everything = Memory(*self.memory.rams, *shared.rams)
        self._dma = Dma(start.number, everything, self._looked_elsewhere)
        self._vic = Vic(self._sources)
        self._uc = Uc(UC_ARCH_ARM, UC_MODE_ARM)
        self._uc.ctl_set_cpu_model(UC_CPU_ARM_946)
        for ram in everything.rams:
            for base in ram.bases:
                self._uc.mem_map_ptr(base, ram.size, UC_PROT_ALL, ram.pointer)
        for name, device in {
            "packets": self._comms, "timers": self._timer, "interrupts": self._vic,
            "DMA": self._dma, "system": self._system, "router": RouterRegisters(),
        }.items():  # fmt: skip
            self._map(device, DEVICES[name], SIZES.get(name, SIZE))
        for address in self.waits:
            self._uc.hook_add(UC_HOOK_CODE, self._on_wait, begin=address, end=address)
        for address in self.writes:
            self._uc.hook_add(UC_HOOK_CODE, self._on_status, begin=address, end=address)
        if counts:
            self._uc.hook_add(UC_HOOK_BLOCK, self._on_block)
        self._uc.reg_write(UC_ARM_REG_CPSR, _START)
        self._uc.reg_write(UC_ARM_REG_R0, start.word)
        self._counts, self._block = counts, (0, 0)
        self._failure: Exception | None = None
        self._asleep = self._waiting = self._out_of_time = False
        self._resumed = True
        self._pc = self._executed = self._limit = 0

    def _map(self, device: Any, bases: Sequence[int], size: int) -> None:
        for base in bases:
            self._uc.mmio_map(
                base, size,
                lambda uc, offset, size, data: self._register(device.read, offset), None,
                lambda uc, offset, size, value, data: self._register(device.write, offset, value),
                None,
            )  # fmt: skip

    def _register(self, access: Callable[..., int | None], *arguments: int) -> int:
        """Read or write a register; what it refuses ends the run, since Unicorn cannot raise."""
        try:
            return access(*arguments) or 0
        except (AddressError, CoreError) as error:
            self._failure = self._failure or error
            self._stop()
            return 0

    def _stop(self) -> None:
        self._uc.emu_stop()

    def _looked_elsewhere(self) -> None:
        self._timer.polls = 0

    def _sources(self) -> int:
        return (
            self._timer.sources | self._comms.sources | self._dma.sources | self._system.sources
        )

    def _on_wait(self, uc: Uc, address: int, size: int, data: Any) -> None:
        self._waiting = True
        uc.emu_stop()

    def _on_status(self, uc: Uc, address: int, size: int, data: Any) -> None:
        if self._entry():
            uc.emu_stop()

    def _on_block(self, uc: Uc, address: int, size: int, data: Any) -> None:
        self._executed += size >> self._shift()
        self._block = address, size
        if self._executed >= self._limit:
            self._out_of_time = True
            uc.emu_stop()

    def _shift(self) -> int:
        """An instruction is two bytes long in Thumb code, or else four."""
        return 1 if self._uc.reg_read(UC_ARM_REG_CPSR) & _THUMB else 2

    def _correct(self) -> None:
        """A block is counted when it begins: take off what was not executed of the last one."""
        start, size = self._block
        done = self._pc - start
        if 0 <= done < size:
            self._executed -= size - done >> self._shift()
        self._executed += self._waiting and self._counts
        self._block = 0, 0

    def _entry(self) -> tuple[int, int] | None:
        """Mode and vector of the interrupt to take now."""
        status = self._uc.reg_read(UC_ARM_REG_CPSR)
        if not status & _NO_FIQ and self._vic.fiq:
            return _FIQ
        if not status & _NO_IRQ and self._vic.slot() is not None:
            return _IRQ
        return None

    def _enter(self) -> None:
        """Enter an interrupt's handler if there is one to take."""
        found = self._entry()
        if found is None:
            return
        mode, vector = found
        status = self._uc.reg_read(UC_ARM_REG_CPSR)
        self._uc.reg_write(UC_ARM_REG_CPSR, status & ~0x3F | mode)  # first: the next are banked
        self._uc.reg_write(UC_ARM_REG_SPSR, status)
        self._uc.reg_write(UC_ARM_REG_LR, (self._pc & ~1) + 4)
        self._pc = vector

    def run(self, instructions: int) -> Progress:
        if self._asleep and self._idle():
            return Progress.WAITING
        self._limit = self._executed + instructions
        while True:
            if not self._resumed:
                self._enter()
            self._resumed = self._asleep = self._waiting = self._out_of_time = False
            self._timer.polling = False
            self._execute()
            if self._waiting:
                self._pc += 4
            if self._timer.polling or self._waiting:
                if self._idle():
                    self._asleep = self._waiting and not self._timer.polling
                    return Progress.POLLING if self._timer.polling else Progress.WAITING
            elif self._out_of_time:
                self._resumed = True
                return Progress.BUSY

    def _idle(self) -> bool:
        """Whether no interrupt is there, even when more packets have arrived."""
        if not (self._vic.irq or self._vic.fiq):
            self._comms.arrive()
        return not (self._vic.irq or self._vic.fiq)

    def _execute(self) -> None:
        thumb = bool(self._uc.reg_read(UC_ARM_REG_CPSR) & _THUMB)
        began = self._pc | thumb
        try:
            self._uc.emu_start(began, _NOWHERE, timeout=0 if self._counts else _LONGEST)
        except UcError as error:
            self._failure = self._failure or CoreError(f"it ended in Unicorn: {error}")
        if self._failure is not None:
            raise CoreError(str(self._failure)) from self._failure
        self._pc = self._uc.reg_read(UC_ARM_REG_PC)
        self._correct()
        stopped = self._waiting or self._timer.polling or self._entry()
        self._out_of_time = self._out_of_time or not stopped

    def tick(self) -> None:
        self._timer.tick()

    def end_tick(self) -> None:
        self._timer.end()

    def interrupt(self) -> None:
        self._system.interrupt()

    def deliver(self, packets: Sequence[Packet]) -> None:
        self._comms.backlog.extend(packets)

    def take(self) -> list[Packet]:
        taken, self._sent[:] = list(self._sent), []
        return taken

    def registers(self) -> tuple[int, ...]:
        numbers = [UC_ARM_REG_R0 + i for i in range(13)]
        numbers += [UC_ARM_REG_SP, UC_ARM_REG_LR, UC_ARM_REG_PC, UC_ARM_REG_CPSR]
        return tuple(self._uc.reg_read(number) for number in numbers)

    @property
    def timer_runs(self) -> bool:
        return self._timer.running

    @property
    def tick_cycles(self) -> int:
        return self._timer.load

    @property
    def instructions(self) -> int:
        return self._executed
