"""Steps as lines of text: from standard input, a file that grows, or a socket of this computer."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from export.samples.inputs import InputError
from pynn_models.errors import SnnSsmError, printable
from snn_ssm.reading import read_number

_WAIT = 0.05  # seconds between looks at a file that grows
_LONGEST = 2**20  # characters of a line
_LOCAL = "127.0.0.1"


class ListenError(SnnSsmError):
    """A file that cannot be followed, or a port that cannot be listened on."""


def values_of(line: str, number: int) -> list[float]:
    """A step's values: numbers with commas or blanks between them; raises ``InputError``."""
    try:
        return [read_number(word) for word in line.replace(",", " ").split()]
    except ValueError as error:
        raise InputError(
            f"line {number} of the signal is {printable(line.strip()[:80])!r}; expected a number a "
            "channel, with commas or blanks between them. Correct it."
        ) from error


def lines_of(stream: TextIO) -> Iterator[str]:
    """The lines of an open file or pipe, as they come; raises ``InputError`` for a huge one."""
    while line := stream.readline(_LONGEST):
        if len(line) == _LONGEST:
            raise InputError(
                f"a line of the signal is longer than {_LONGEST} characters; expected the values "
                "of one step. End each step with a new line."
            )
        if line.strip():
            yield line


def grown(path: Path) -> Iterator[str]:
    """The whole lines of a file, and those written later, until it is removed or replaced."""
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as stream:
            inode, part = Path(path).stat().st_ino, ""
            while True:
                part += stream.readline(_LONGEST)
                if part.endswith("\n"):
                    if part.strip():
                        yield part
                    part = ""
                elif len(part) >= _LONGEST:
                    raise InputError(
                        f"a line of {path} is longer than {_LONGEST} characters; expected the "
                        "values of one step. End each step with a new line."
                    )
                else:
                    with contextlib.suppress(FileNotFoundError):
                        if path.stat().st_ino == inode:
                            time.sleep(_WAIT)
                            continue
                    return
    except OSError as error:
        raise ListenError(
            f"{path} cannot be read ({error.strerror}). Give a file of lines, a step each."
        ) from error


@contextlib.contextmanager
def caller(port: int) -> Iterator[TextIO]:
    """The first connection to a port of 127.0.0.1, to read lines from and write answers to.

    Raises :class:`ListenError` for a port that is taken.
    """
    try:
        listener = socket.create_server((_LOCAL, port))
    except (OSError, OverflowError) as error:
        raise ListenError(
            f"{_LOCAL}:{port} cannot be listened on ({error}). Choose another port."
        ) from error
    with listener:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw", encoding="utf-8", errors="replace") as stream:
            yield stream
