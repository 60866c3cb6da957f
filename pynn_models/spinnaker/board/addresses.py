"""Where a board may stand: addresses that only this computer reaches."""

from __future__ import annotations

import errno
import ipaddress
import socket

from pynn_models.spinnaker.board.errors import BoardAddressError

_BUFFER = 8 << 20  # bytes; a host sends many datagrams at once


def checked(address: str) -> str:
    """An address that only this computer reaches. Raises :class:`BoardAddressError`."""
    try:
        loopback = ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise BoardAddressError(
            f"an emulated board at {address!r}: it takes commands from whoever reaches it, so only "
            "addresses of this computer's own are used. Give one of 127.*, for example 127.0.0.9."
        )
    return address


def bound(address: str, port: int) -> socket.socket:
    """A socket at an address; raises :class:`BoardAddressError`."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    try:
        made.bind((address, port))
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise BoardAddressError(
                f"an emulated board at {address}: another board is there already, or a program has "
                f"its UDP port {port}. Use that board, or another address of 127.*."
            ) from error
        raise BoardAddressError(
            f"an emulated board at {address}: its port {port} cannot be opened "
            f"({error.strerror}). Expected an address of this computer's own network, 127.*, as "
            "Linux has them all."
        ) from error
    return made
