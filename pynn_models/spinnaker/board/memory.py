"""Where memory lies on a chip, and memory that programs and the host side share."""

from __future__ import annotations

import ctypes
import mmap
import struct

ITCM, ITCM_SIZE = 0x00000000, 0x8000
DTCM, DTCM_SIZE = 0x00400000, 0x10000
SDRAM, SDRAM_SIZE = (0x60000000, 0x70000000), 0x8000000
SYSRAM, SYSRAM_SIZE = (0xE5000000, 0xF5000000), 0x8000

SYSTEM_BUFFERS = 0x60000000
USER_HEAP = (0x60024000, 0x67800000)
SCRATCH, SCRATCH_SIZE = 0x67800000, 0x100000  # images and routing tables; nobody allocates it
SYSTEM_HEAP = (0x67900000, 0x67FC0000)
SYSRAM_HEAP = (0xE5000500, 0xE5007000)
VCPU, VCPU_SIZE = 0xE5007000, 128
SV = 0xE5007F00


class AddressError(Exception):
    """An address at which nothing is."""


class Ram:
    """Bytes that stand at one or more addresses."""

    def __init__(self, size: int, *bases: int) -> None:
        self.size, self.bases = size, bases
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # untouched pages take no room
        self.bytes = mmap.mmap(-1, size, flags=flags)
        self.pointer = ctypes.addressof(ctypes.c_char.from_buffer(self.bytes))

    def offset(self, address: int) -> int | None:
        """Where an address lies in it; None if it does not."""
        for base in self.bases:
            if base <= address < base + self.size:
                return address - base
        return None


class Memory:
    """Several :class:`Ram` as one address space, little-endian."""

    def __init__(self, *rams: Ram) -> None:
        self.rams = rams

    def _find(self, address: int, length: int) -> tuple[Ram, int]:
        for ram in self.rams:
            at = ram.offset(address)
            if at is not None and 0 <= length <= ram.size - at:
                return ram, at
        raise AddressError(f"no memory of {length} bytes at {address:#010x}")

    def has(self, address: int) -> bool:
        return any(ram.offset(address) is not None for ram in self.rams)

    def read(self, address: int, length: int) -> bytes:
        ram, at = self._find(address, length)
        return ram.bytes[at : at + length]

    def write(self, address: int, data: bytes) -> None:
        ram, at = self._find(address, len(data))
        ram.bytes[at : at + len(data)] = data

    def fill(self, address: int, word: int, length: int) -> None:
        """Repeat a word over so many bytes, a multiple of four."""
        ram, at = self._find(address, length)
        ram.bytes[at : at + (length & ~3)] = struct.pack("<I", word) * (length // 4)

    def get(self, address: int, kind: str = "I") -> int:
        """A number; ``kind`` as in :mod:`struct`: B, H or I."""
        return int.from_bytes(self.read(address, struct.calcsize(kind)), "little")

    def put(self, address: int, value: int, kind: str = "I") -> None:
        self.write(address, struct.pack("<" + kind, value))
