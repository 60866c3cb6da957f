"""Program images: records of 16 bytes (opcode, a, b, c) that say what to put where."""

import struct

from pynn_models.spinnaker.board.memory import Memory

_COPY, _FILL, _EXECUTE = 2, 3, 4


class ImageError(Exception):
    """An image that cannot be loaded."""


def load(image: bytes, memory: Memory) -> int:
    """Put an image into a core's memory; returns the bytes of code at address 0."""
    code = 0
    for at in range(0, len(image), 16):
        opcode, a, b, c = struct.unpack_from("<4I", image, at)
        if opcode == _COPY:
            memory.write(a, image[at + b : at + b + c])
            code = c if a == 0 else code
        elif opcode == _FILL:
            memory.write(a, struct.pack("<I", c) * (b // 4))
        elif opcode == _EXECUTE and a == 0:
            return code
        else:
            raise ImageError(f"record {opcode} {a:#x} {b:#x} {c:#x} at {at}; expected 2, 3 or 4, 0")
    raise ImageError("no record to execute")
