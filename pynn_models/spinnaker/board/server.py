"""The board on the network: SCP and SDP datagrams on a loopback address."""

import select
import socket
import struct
import threading
from types import TracebackType
from typing import Self

from pynn_models.spinnaker.board.board import Board
from pynn_models.spinnaker.board.layout import ETHERNET
from pynn_models.spinnaker.board.monitor import Monitor, Request

_SCP_PORT, _BOOT_PORT = 17893, 54321
_REPLY = 0x07  # flags of a message that wants no answer
_BUFFER = 8 << 20
_IDLE = 0.02  # s
_FIRST_TAG = 200


class EmulatedBoard:
    """A board of a thread's own, from ``with`` to its end; ``errors``: of cores that failed."""

    def __init__(self, address: str) -> None:
        self._sockets = [self._bind(address, port) for port in (_SCP_PORT, _BOOT_PORT)]
        self._senders: dict[int, tuple[str, int]] = {}
        self._tag = _FIRST_TAG
        self._board = Board(socket.inet_aton(address), self._to_host)
        self._monitor = Monitor(self._board)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name=f"board {address}", daemon=True)

    @staticmethod
    def _bind(address: str, port: int) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        made.bind((address, port))
        return made

    @property
    def errors(self) -> list[str]:
        return [error for chip in self._board.chips.values() for error in chip.errors]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        for each in self._sockets:
            each.close()
        if self._failure is not None:
            raise self._failure

    def join(self) -> None:
        """Wait until the board fails."""
        self._thread.join()

    def _serve(self) -> None:
        try:
            busy = False
            while not self._stopping.is_set():
                ready, _, _ = select.select(self._sockets, [], [], 0 if busy else _IDLE)
                for each in ready:
                    data, sender = each.recvfrom(1024)
                    if each is self._sockets[0]:
                        self._receive(data, sender)
                busy = bool(ready) or self._board.step()
        except BaseException as error:
            self._failure = error

    def _receive(self, data: bytes, sender: tuple[str, int]) -> None:
        """Offsets: 2 flags, 3 tag, 4 and 5 ports and cores, 6 to 9 chips, then the content."""
        wants, target, source = data[2] & 0x80, data[4], data[5]
        y, x = data[6], data[7]
        chip = self._board.chips[ETHERNET if (x, y) == (255, 255) else (x, y)]
        if target >> 5:
            self._to_core(data, sender)
            return
        command, sequence, *arguments = struct.unpack_from("<HH3I", data.ljust(26, b"\0"), 10)
        request = Request(command, chip, target & 31, tuple(arguments), data[26:])
        code, answer = self._monitor.answer(request)
        if wants:
            header = bytes((0, 0, _REPLY, data[3], source, target, *data[8:10]))
            place = bytes(chip.place[::-1])
            reply = header + place + struct.pack("<HH", code, sequence) + answer
            self._sockets[0].sendto(reply, sender)

    def _to_core(self, data: bytes, sender: tuple[str, int]) -> None:
        """Pass a message on, under a tag that tells where the answer goes."""
        place, number = (data[7], data[6]), data[4] & 31
        chip = self._board.chips[place]
        if number not in chip.cores:
            return
        self._senders[self._tag] = sender
        chip.message(number, data[2:3] + bytes((self._tag,)) + data[4:])
        self._tag = _FIRST_TAG + (self._tag + 1 - _FIRST_TAG) % (256 - _FIRST_TAG)
        self._board.wake(place, number)

    def _to_host(self, sdp: bytes) -> None:
        sender = self._senders.get(sdp[1])
        if sender is not None:
            self._sockets[0].sendto(b"\0\0" + bytes((_REPLY,)) + sdp[1:], sender)
