"""A core whose peripherals, interrupts and hooks are C (``c/core.c``)."""

from __future__ import annotations

import ctypes
import functools
import itertools
import weakref
from collections.abc import Sequence
from typing import Any

from pynn_models.spinnaker.board.compiled import build_library, unicorn_library
from pynn_models.spinnaker.board.core import Core, Outcome, Packet, Progress, Start
from pynn_models.spinnaker.board.errors import CoreError
from pynn_models.spinnaker.board.memory import Memory
from pynn_models.spinnaker.board.peripherals import Flags, Timer, other_packets
from pynn_models.spinnaker.board.registers import named

_NOT_RUN = -1
_READ_REFUSED, _WRITE_REFUSED, _NO_MEMORY, _OTHER_PACKETS = 3, 4, 5, 7


_Callback = ctypes.CFUNCTYPE(None)


class _Packet(ctypes.Structure):
    _fields_ = [
        ("key", ctypes.c_uint32), ("payload", ctypes.c_uint32), ("with_payload", ctypes.c_uint32)
    ]  # fmt: skip


@functools.cache
def library() -> Any:
    """The compiled functions; raises what :func:`build_library` does."""
    unicorn = unicorn_library()
    unicorn.uc_strerror.restype = ctypes.c_char_p
    found = ctypes.CDLL(str(build_library()))
    found.core_new.restype = ctypes.c_void_p
    found.core_instructions.restype = ctypes.c_uint64
    found.chips_run.restype = ctypes.c_double
    for name in ("core_tick_cycles", "core_fault_address", "core_sent"):
        getattr(found, name).restype = ctypes.c_uint32
    return found


class NativeCore(Core):
    """As :class:`~pynn_models.spinnaker.board.python_core.PythonCore`, and always counting."""

    def __init__(self, start: Start, shared: Memory, flags: Flags) -> None:
        super().__init__(start, shared, flags)
        self._shared, self._flags = shared, flags  # whose memory the core uses
        self._library = library()
        self._to_monitor = _Callback(start.to_monitor)
        word, pointer = ctypes.c_uint32, ctypes.c_void_p
        waits = (word * len(self.waits))(*self.waits)
        writes = (word * len(self.writes))(*self.writes)
        rams = [pointer(ram.pointer) for ram in (*self.memory.rams, *shared.rams)]
        found = self._library.core_new(
            word(start.number), word(start.word), ctypes.byref(flags.cell), self._to_monitor,
            *rams,
            waits, len(waits), writes, len(writes), word(Timer.IDLE_POLLS),
        )  # fmt: skip
        if not found:
            raise MemoryError("there is no room for another core")
        self._core = pointer(found)
        weakref.finalize(self, self._library.core_free, self._core)

    def run(self, instructions: int) -> Progress:
        return self._progress(self._library.core_run(self._core, ctypes.c_uint64(instructions)))

    @staticmethod
    def run_chips(
        chips: Sequence[Sequence[NativeCore]], instructions: int, seconds: float, threads: int
    ) -> tuple[list[Outcome], float]:
        """As :meth:`run` of each, side by side with those of other chips, in so many threads.

        Outcomes in order, and the processor time of threads other than this one.
        """
        cores = [core._core for chip in chips for core in chip]
        first = [0, *itertools.accumulate(map(len, chips))]
        found = (ctypes.c_int * len(cores))(*[_NOT_RUN] * len(cores))
        spent = library().chips_run(
            (ctypes.c_void_p * len(cores))(*[core.value for core in cores]),
            (ctypes.c_int * len(first))(*first), len(chips), found,
            ctypes.c_uint64(instructions), ctypes.c_double(seconds), threads,
        )  # fmt: skip
        run = zip((core for chip in chips for core in chip), found, strict=True)
        return [core._outcome(code) for core, code in run], float(spent)

    def _outcome(self, found: int) -> Outcome:
        if found == _NOT_RUN:
            return None
        try:
            return self._progress(found)
        except CoreError as error:
            return error

    def _progress(self, found: int) -> Progress:
        if found <= Progress.POLLING:
            return Progress(found)
        address = self._library.core_fault_address(self._core)
        if found in (_READ_REFUSED, _WRITE_REFUSED):
            verb = "reads" if found == _READ_REFUSED else "writes"
            raise CoreError(f"it {verb} {named(address)}, which the emulated board does not model")
        if found == _NO_MEMORY:
            raise CoreError(f"it copies by DMA at {address:#010x}, where no memory is")
        if found == _OTHER_PACKETS:
            raise CoreError(other_packets(address))
        reason = unicorn_library().uc_strerror(self._library.core_uc_error(self._core))
        raise CoreError(f"it ended in Unicorn: {reason.decode()}")

    def tick(self) -> None:
        self._library.core_tick(self._core)

    def end_tick(self) -> None:
        self._library.core_end_tick(self._core)

    def interrupt(self) -> None:
        self._library.core_interrupt(self._core)

    def deliver(self, packets: Sequence[Packet]) -> None:
        array = (_Packet * len(packets))(
            *[_Packet(key, payload or 0, payload is not None) for key, payload in packets]
        )
        self._library.core_deliver(self._core, array, len(packets))

    def take(self) -> list[Packet]:
        n = self._library.core_sent(self._core)
        if not n:
            return []
        array = (_Packet * n)()
        self._library.core_take(self._core, array)
        return [(p.key, p.payload if p.with_payload else None) for p in array]

    def registers(self) -> tuple[int, ...]:
        values = (ctypes.c_uint32 * 17)()
        self._library.core_registers(self._core, values)
        return tuple(values)

    @property
    def timer_runs(self) -> bool:
        return bool(self._library.core_timer_runs(self._core))

    @property
    def tick_cycles(self) -> int:
        return int(self._library.core_tick_cycles(self._core))

    @property
    def instructions(self) -> int:
        return int(self._library.core_instructions(self._core))
