"""One application core: ARM code in Unicorn, run until it waits for an interrupt.

Interrupts are taken where execution (re)starts, and behind every instruction that writes the
processor's status: code that never changes it is not interrupted. A core that waits costs nothing.
"""

import struct
from collections.abc import Callable
from typing import Any

from unicorn import UC_ARCH_ARM, UC_HOOK_CODE, UC_MODE_ARM, UC_PROT_ALL, Uc, UcError
from unicorn.arm_const import (
    UC_ARM_REG_CPSR,
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_SPSR,
    UC_CPU_ARM_946,
)

from pynn_models.spinnaker.board import aplx
from pynn_models.spinnaker.board.memory import (
    DTCM,
    DTCM_SIZE,
    ITCM,
    ITCM_SIZE,
    AddressError,
    Memory,
    Ram,
)
from pynn_models.spinnaker.board.peripherals import (
    Comms,
    CoreError,
    Dma,
    Flags,
    Nothing,
    SystemController,
    Timer,
    Vic,
)

_NOWHERE = 0xFFFF0000  # no code is there: execution ends by a hook
_THUMB, _NO_IRQ, _NO_FIQ = 0x20, 0x80, 0x40
_START = 0xD3  # supervisor, no interrupts
_IRQ, _FIQ = (0x12 | _NO_IRQ, 0x18), (0x11 | _NO_IRQ | _NO_FIQ, 0x1C)


def _places(code: bytes) -> tuple[list[int], list[int]]:
    """Addresses of waits for an interrupt, and behind writes of the processor's status."""
    words = struct.unpack(f"<{len(code) // 4}I", code[: len(code) & ~3])
    waits = [4 * i for i, w in enumerate(words) if w & 0xFFFF0FFF == 0xEE070F90]
    writes = [
        4 * i + 4
        for i, w in enumerate(words)
        if w & 0x0FF0FFF0 == 0x0120F000 or w & 0x0FF0F000 == 0x0320F000
    ]
    return waits, writes


class Core:
    """A core with a program, which :meth:`run` starts or continues."""

    def __init__(
        self, number: int, image: bytes, start: int, shared: Memory, flags: Flags,
        send: Callable[[int, int | None], None], to_monitor: Callable[[], None],
    ) -> None:
        self.memory = Memory(Ram(ITCM_SIZE, ITCM), Ram(DTCM_SIZE, DTCM))
        self.timer, self.comms = Timer(), Comms(send)
        self.system = SystemController(number, flags, to_monitor)
        self._dma = Dma(number, shared, self.memory)
        self._vic = Vic(self._sources)
        self._waiting = False
        self._failure: Exception | None = None
        code = aplx.load(image, self.memory)
        self._uc = Uc(UC_ARCH_ARM, UC_MODE_ARM)
        self._uc.ctl_set_cpu_model(UC_CPU_ARM_946)
        for ram in (*self.memory.rams, *shared.rams):
            for base in ram.bases:
                self._uc.mem_map_ptr(base, ram.size, UC_PROT_ALL, ram.pointer)
        self._map(self.comms, 0x10000000, 0x20000000)
        self._map(self.timer, 0x11000000, 0x21000000)
        self._map(self._vic, 0x1F000000, 0x2F000000, 0xFFFFF000)
        self._map(self._dma, 0x30000000, 0x40000000)
        self._map(self.system, 0xE2000000, 0xF2000000)
        self._map(Nothing(), 0xE1000000, 0xF1000000, size=0x20000)
        waits, writes = _places(self.memory.read(ITCM, code))
        for address in waits:
            self._uc.hook_add(UC_HOOK_CODE, self._wait, begin=address, end=address)
        for address in writes:
            self._uc.hook_add(UC_HOOK_CODE, self._status, begin=address, end=address)
        self._uc.reg_write(UC_ARM_REG_CPSR, _START)
        self._uc.reg_write(UC_ARM_REG_R0, start)
        self._pc = 0

    def _map(self, device: Any, *bases: int, size: int = 0x1000) -> None:
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
            self._failure = error
            self._uc.emu_stop()
            return 0

    def _sources(self) -> int:
        return (
            self.timer.sources | self.comms.sources | self._dma.sources | self.system.sources
        )

    def _wait(self, uc: Uc, address: int, size: int, data: Any) -> None:
        self._waiting = True
        uc.emu_stop()

    def _status(self, uc: Uc, address: int, size: int, data: Any) -> None:
        if self._entry():
            uc.emu_stop()

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

    def run(self) -> None:
        """Until it waits for an interrupt that is not there; raises :class:`CoreError`."""
        while True:
            self._enter()
            self._waiting = False
            thumb = bool(self._uc.reg_read(UC_ARM_REG_CPSR) & _THUMB)
            try:
                self._uc.emu_start(self._pc | thumb, _NOWHERE)
            except UcError as error:
                self._failure = error
            if self._failure is not None:
                at = self._uc.reg_read(UC_ARM_REG_PC)
                link = self._uc.reg_read(UC_ARM_REG_LR)
                raise CoreError(f"{self._failure} at {at:#010x}, called from {link:#010x}")
            self._pc = self._uc.reg_read(UC_ARM_REG_PC)
            if self._waiting:
                self._pc += 4
                if not (self._vic.irq or self._vic.fiq):
                    return
