"""IP tags: where a core's messages go, and UDP ports of the board whose datagrams go to a core."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from pynn_models.spinnaker.board.layout import Place

TAGS = 8  # that the host sets; those of messages' senders come after
Sender = tuple[str, int]

_IN_USE, _REVERSE, _STRIP = 0x8000, 0x0200, 0x0100


@dataclass(frozen=True)
class Tag:
    """Messages of cores with this tag go to ``target``, without their header if ``strip``."""

    target: Sender
    strip: bool

    def described(self) -> bytes:
        """As the monitor tells it: address, port, flags."""
        flags = _IN_USE | (_STRIP if self.strip else 0)
        address = socket.inet_aton(self.target[0])
        return struct.pack("<4s6sHHHIH4B", address, b"", self.target[1], 0, flags, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class ReverseTag:
    """Datagrams that arrive at ``port`` go to a core of a chip, at one of its SDP ports."""

    port: int
    chip: Place
    core: int
    sdp_port: int

    def described(self) -> bytes:
        """As the monitor tells it: port, chip, core."""
        x, y = self.chip
        where = self.sdp_port << 5 | self.core
        flags = _IN_USE | _REVERSE | _STRIP
        return struct.pack("<4s6sHHHIH4B", b"", b"", 0, 0, flags, 0, self.port, y, x, where, 0)

    def message(self, data: bytes) -> bytes:
        """A datagram's content as an SDP message, from its flags on."""
        x, y = self.chip
        return bytes((0x07, 0xFF, self.sdp_port << 5 | self.core, 0xFF, y, x, 0, 0)) + data
