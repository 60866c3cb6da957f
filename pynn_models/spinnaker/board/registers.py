"""The names of a chip's registers, for what is said of those that are not modelled."""

from __future__ import annotations

DEVICES = {
    "packets": (0x10000000, 0x20000000),
    "timers": (0x11000000, 0x21000000),
    "interrupts": (0x1F000000, 0x2F000000, 0xFFFFF000),
    "DMA": (0x30000000, 0x40000000),
    "system": (0xE2000000, 0xF2000000),
    "router": (0xE1000000, 0xF1000000),
}
"""Where each device's registers stand."""

SIZES = {"router": 0x20000}
SIZE = 0x1000

_TITLES = {
    "packets": "communications controller",
    "timers": "counter/timer",
    "interrupts": "vectored interrupt controller",
    "DMA": "DMA controller",
    "system": "system controller",
    "router": "router",
}
_NAMES = {
    "packets": {0x00: "TCR", 0x04: "TDR", 0x08: "TKR", 0x0C: "RSR", 0x10: "RDR", 0x14: "RKR",
                0x18: "SAR", 0x1C: "TST"},
    "timers": {0x00: "T1 load", 0x04: "T1 count", 0x08: "T1 control", 0x0C: "T1 clear",
               0x10: "T1 raw", 0x14: "T1 masked", 0x18: "T1 background load", 0x20: "T2 load",
               0x24: "T2 count", 0x28: "T2 control", 0x2C: "T2 clear", 0x30: "T2 raw",
               0x34: "T2 masked", 0x38: "T2 background load"},
    "interrupts": {0x00: "IRQ status", 0x04: "FIQ status", 0x08: "raw", 0x0C: "select",
                   0x10: "enable", 0x14: "disable", 0x18: "soft set", 0x1C: "soft clear",
                   0x20: "protection", 0x30: "vector", 0x34: "default vector"},
    "DMA": {0x04: "ADRS", 0x08: "ADRT", 0x0C: "DESC", 0x10: "CTRL", 0x14: "STAT", 0x18: "GCTL",
            0x1C: "CRCC", 0x20: "CRCR", 0x24: "TMTV", 0x28: "SMCT"},
    "system": {0x00: "chip ID", 0x04: "CPU disable", 0x08: "set CPU IRQ", 0x0C: "clear CPU IRQ",
               0x10: "set CPU OK", 0x14: "clear CPU OK", 0x18: "CPU soft reset level",
               0x1C: "CPU hard reset level", 0x20: "subsystem reset level",
               0x24: "CPU soft reset pulse", 0x28: "CPU hard reset pulse",
               0x2C: "subsystem reset pulse", 0x30: "reset code", 0x34: "monitor ID",
               0x38: "misc control", 0x58: "set flag", 0x5C: "clear flag"},
}  # fmt: skip


def named(address: int) -> str:
    """A register at an address, as ``T2 raw of the counter/timer (0x11000030)``."""
    for device, bases in DEVICES.items():
        for base in bases:
            if base <= address < base + SIZES.get(device, SIZE):
                offset = address - base
                name = _NAMES.get(device, {}).get(offset, f"offset {offset:#x}")
                return f"{name} of the {_TITLES[device]} ({address:#010x})"
    return f"the address {address:#010x}"
