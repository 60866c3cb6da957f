"""One application core: a program, run until it waits for an interrupt.

Interrupts are taken where execution (re)starts behind a wait, and behind every instruction that
writes the processor's status: code that never changes it is not interrupted. A core that waits
costs nothing. Two classes do this, with the same result to the bit: ``native_core`` in C, and
``python_core``, which is the check, and works without a compiler.
"""

from __future__ import annotations

import abc
import enum
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pynn_models.spinnaker.board import aplx
from pynn_models.spinnaker.board.errors import CoreError
from pynn_models.spinnaker.board.memory import DTCM, DTCM_SIZE, ITCM, ITCM_SIZE, Memory, Ram
from pynn_models.spinnaker.board.peripherals import Flags

Packet = tuple[int, int | None]  # key, payload


class Progress(enum.IntEnum):
    """Why a core stopped; the numbers are those of ``c/core.c``."""

    WAITING = 0  # for an interrupt that is not there
    BUSY = 1  # it has executed what it may at a time
    POLLING = 2  # until the tick is over


Outcome = Progress | CoreError | None  # what a run of it gives or raises; None: not run


@dataclass(frozen=True)
class Start:
    """What a core starts with: its number, program, and register 0 (application, flags).

    ``to_monitor``: what its interrupts of the monitor call, which must not raise.
    """

    number: int
    image: bytes
    word: int
    to_monitor: Callable[[], None] = lambda: None


class Core(abc.ABC):
    """A core with a program. ``shared``: SDRAM and SysRAM of its chip; ``flags``: likewise."""

    def __init__(self, start: Start, shared: Memory, flags: Flags) -> None:
        self.memory = Memory(Ram(ITCM_SIZE, ITCM), Ram(DTCM_SIZE, DTCM))
        code = aplx.load(start.image, self.memory)
        self.waits, self.writes = places(self.memory.read(ITCM, code))

    # Runs the cores of several chips side by side, where a class of cores can.
    run_chips: Callable[..., tuple[list[Outcome], float]] | None = None

    @abc.abstractmethod
    def run(self, instructions: int) -> Progress:
        """Start or go on, for about so many instructions; raises :class:`CoreError`."""

    @abc.abstractmethod
    def tick(self) -> None:
        """A tick begins: the timer interrupts."""

    @abc.abstractmethod
    def end_tick(self) -> None:
        """For one that polls: the tick is over."""

    @abc.abstractmethod
    def interrupt(self) -> None:
        """The monitor interrupts: the mailbox, or a flag, has changed."""

    @abc.abstractmethod
    def deliver(self, packets: Sequence[Packet]) -> None:
        """Packets arrive."""

    @abc.abstractmethod
    def take(self) -> list[Packet]:
        """The packets sent since the last call."""

    @abc.abstractmethod
    def registers(self) -> tuple[int, ...]:
        """r0 to r15, then the status."""

    @property
    @abc.abstractmethod
    def timer_runs(self) -> bool: ...

    @property
    @abc.abstractmethod
    def tick_cycles(self) -> int:
        """How long its tick is, in cycles of its clock."""

    @property
    @abc.abstractmethod
    def instructions(self) -> int:
        """How many it has executed; 0 where they are not counted."""


def places(code: bytes) -> tuple[list[int], list[int]]:
    """Addresses of waits for an interrupt, and behind writes of the processor's status."""
    words = struct.unpack(f"<{len(code) // 4}I", code[: len(code) & ~3])
    waits = [4 * i for i, w in enumerate(words) if w & 0xFFFF0FFF == 0xEE070F90]
    writes = [
        4 * i + 4
        for i, w in enumerate(words)
        if w & 0x0FF0FFF0 == 0x0120F000 or w & 0x0FF0F000 == 0x0320F000
    ]
    return waits, writes


def described(registers: Sequence[int]) -> str:
    """Registers as text: ``pc 0x..., lr 0x..., sp 0x..., cpsr 0x..., r0 0x..., ...``."""
    names = [f"r{i}" for i in range(13)]
    pairs = zip(names, registers, strict=False)
    ordered = [("pc", registers[15]), ("lr", registers[14]), ("sp", registers[13])]
    ordered += [("cpsr", registers[16]), *pairs]
    return ", ".join(f"{name} {value:#010x}" for name, value in ordered)
