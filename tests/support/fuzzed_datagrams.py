"""Datagrams of every kind that a stranger, or a host with a fault, may send to a board."""

import struct

import numpy as np

COMMANDS = (0, 2, 3, 5, 15, 17, 18, 19, 20, 21, 22, 26, 28, 29, 31, 32)
ADDRESSES = (0x0, 0x400000, 0x60000000, 0x60024000, 0x67800000, 0x67900000, 0x67FFFFF0, 0x68000000,
             0x70000000, 0xE5000000, 0xE5007000, 0xE5007F00, 0xE5007FFC, 0xE5008000, 0xE1010000,
             0xE101FFFE, 0xF1000000, 0xFFFFFFFF)  # fmt: skip
LENGTHS = (0, 1, 3, 4, 255, 256, 257, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)


class Datagrams:
    """``kinds``: a method for each, which draws one; the same seed draws the same ones."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def integer(self, high):
        return int(self.rng.integers(0, high))

    def some(self, values):
        return values[self.integer(len(values))]

    def word(self):
        return self.some((self.integer(2**32), self.some(ADDRESSES), self.some(LENGTHS)))

    def data(self, most=300):
        return self.rng.bytes(self.integer(most))

    def message(self, content, port=None, core=None, chip=None, flags=0x87):
        """A message with a header that is right, but for what is given."""
        port = self.some((0, 0, 0, 1, 3, 7)) if port is None else port
        core = self.some((0, 1, 2, 17)) if core is None else core
        x, y = self.some(((0, 0), (1, 1), (255, 255))) if chip is None else chip
        return bytes((0, 0, flags, 255, port << 5 | core, 255, y, x, 0, 0)) + content

    def command(self, number, *arguments, data=b""):
        words = (*arguments, *(self.word() for _ in range(3 - len(arguments))))
        return self.message(
            struct.pack("<HH3I", number, self.integer(65536), *words) + data, port=0
        )

    # --- kinds ------------------------------------------------------------------------------------

    def noise(self):
        return self.data(2000)

    def short(self):
        return self.message(self.data(20))[: self.integer(30)]

    def unknown_chip(self):
        return self.message(self.data(30), chip=(self.integer(256), self.integer(256)))

    def unknown_core(self):
        return self.message(self.data(30), core=18 + self.integer(14))

    def unknown_command(self):
        return self.command(self.integer(65536), data=self.data())

    def any_command(self):
        return self.command(self.some(COMMANDS), data=self.data())

    def read(self):
        return self.command(2, self.some(ADDRESSES), self.some(LENGTHS), self.integer(4))

    def write(self):
        address = self.some(ADDRESSES) + self.integer(64)
        return self.command(
            3, address & 0xFFFFFFFF, self.some(LENGTHS), self.integer(4), data=self.data()
        )

    def fill(self):
        length = self.some((*LENGTHS[:6], 0x68000000, 0xFFFFFFFF))
        return self.command(5, self.some(ADDRESSES), self.integer(2**32), length)

    def image(self):
        """A program of noise, of records that lie, or of instructions at random; or its start."""
        if self.integer(2):
            return self.start()
        records = self.some(
            (
                (2, 0, 64, 128, 4, 0, 0, 0),
                (2, 0, self.integer(2**32), self.integer(2**32), 4, 0, 0, 0),
                (3, self.word(), self.word(), self.word(), 4, 0, 0, 0),
                (self.integer(9), self.word(), self.word(), self.word(), 4, self.word(), 0, 0),
            )
        )
        code = struct.pack("<8I", *records).ljust(64, b"\0") + self.rng.bytes(128)
        return self.command(3, 0x67800000, len(code), 0, data=code)

    def start(self):
        return self.command(19, self.integer(2**32) & 0xFF04000E)

    def copy_and_start(self):
        return self.command(21, self.integer(8), self.some(LENGTHS), 0x12000002)

    def signal(self):
        return self.command(
            self.some((20, 22)), 0x3F0000, self.integer(16) << 16 | 0xFF00 | self.integer(256)
        )

    def tag(self):
        return self.command(26, self.integer(6) << 16 | self.integer(8) << 28 | self.integer(300))

    def allocation(self):
        return self.command(28, self.integer(8) | self.integer(256) << 8 | self.integer(8) << 16)

    def routes(self):
        return self.command(29, self.integer(4) | 17 << 8 | self.integer(2000) << 16)

    def to_a_core(self):
        return self.message(self.data(), port=1 + self.integer(7))

    @classmethod
    def kinds(cls):
        helpers = ("integer", "some", "word", "data", "message", "command", "kinds")
        return [k for k, v in vars(cls).items() if not k.startswith("_") and k not in helpers]
