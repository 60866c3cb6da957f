"""Program images: records of 16 bytes (opcode, a, b, c) that say what to put where."""

from __future__ import annotations

import struct

from pynn_models.spinnaker.board.memory import AddressError, Memory

_COPY, _FILL, _EXECUTE = 2, 3, 4


class ImageError(Exception):
    """An image that cannot be loaded."""


def load(image: bytes, memory: Memory) -> int:
    """Put an image into a core's memory; returns the bytes of code at address 0.

    Raises :class:`ImageError`.
    """
    code = 0
    for at in range(0, len(image) - 15, 16):
        opcode, a, b, c = struct.unpack_from("<4I", image, at)
        try:
            if opcode == _COPY and at + b + c <= len(image):
                memory.write(a, image[at + b : at + b + c])
                code = c if a == 0 else code
                continue
            if opcode == _FILL:
                memory.fill(a, c, b)
                continue
        except AddressError as error:
            raise ImageError(f"record {at // 16} of the image: {error}") from error
        if opcode == _EXECUTE and a == 0:
            return code
        raise ImageError(
            f"record {at // 16} of the image is {opcode} {a:#x} {b:#x} {c:#x}; expected 2 (copy), "
            "3 (fill) or 4 (execute) at 0"
        )
    raise ImageError("the image has no record to execute")
