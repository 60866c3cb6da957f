"""What is read comes from strangers: regular files of a size that fits, shallow JSON and TOML.

No torch. :mod:`snn_ssm.npz` reads arrays in the same spirit, :mod:`snn_ssm.files` writes.
"""

from __future__ import annotations

import json
import os
import resource
import stat
import tomllib
from pathlib import Path
from typing import Any, BinaryIO

from pynn_models.errors import SnnSsmError

LARGEST_TEXT = 2**26  # of JSON and TOML, in bytes: longer ones no program of ours writes
_DEEPEST = 64  # tables within tables; ours have 4
_INTEGERS = 2**64  # larger ones no format of ours holds
_DIGITS = 20
_PIECE = 2**20
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class FileError(SnnSsmError):
    """A file is missing, unreadable, truncated, altered, or stands where one should be written."""


def memory() -> int:
    """The bytes that one file's content may take: half of what this process may have at most."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    for path in _CGROUPS:
        try:
            limits.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return min(limits) // 2


def read_number(text: Any) -> float:
    """A number as other programs write it; raises ``ValueError`` or ``TypeError`` for none.

    Python's own notation, 1_000, is none: what wrote that meant something else.
    """
    if isinstance(text, str) and "_" in text:
        raise ValueError(f"{text!r} is no number")
    return float(text)


def open_regular(path: Path) -> BinaryIO:
    """A file opened for reading; raises ``OSError``, also for what is no regular file.

    A device has no end, and opening a pipe waits for a writer: neither is read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "Is a directory", os.fspath(path))
        if not stat.S_ISREG(mode):
            raise OSError(22, "it is no regular file", os.fspath(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """The content of a regular file of at most ``limit`` bytes (default: :func:`memory`).

    Raises ``OSError``.
    """
    limit = memory() if limit is None else limit
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > limit:
            raise OSError(27, f"it has {size} bytes, and {limit} at most are read", str(path))
        try:
            return stream.read()
        except MemoryError as error:
            raise OSError(12, f"its {size} bytes do not fit into memory", str(path)) from error


def drain(stream: Any, limit: int) -> bytes:
    """What a stream that unpacks yields, but no more than ``limit + 1`` bytes.

    ``stream.read(n)`` would take memory for ``limit`` at once, ``read()`` for all that comes.
    """
    parts, left = [], limit + 1
    while left > 0 and (part := stream.read(min(left, _PIECE))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def read_bytes(path: Path, what: str, limit: int | None = None) -> bytes:
    """The content of a file; raises :class:`FileError` naming ``what`` it should be."""
    try:
        return read_regular(path, limit)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"cannot read {what} {path}: {reason}. Check the path.") from error


def parse_json(text: bytes | str) -> Any:
    """The value of a JSON text; raises ``ValueError`` for whatever no file of ours holds.

    NaN and infinity, integers of more than 64 bits, tables nested too deeply, half a surrogate
    pair: a parser takes them, and something far from here would fail.
    """
    try:
        value = json.loads(
            text, parse_int=_integer, parse_float=_finite, parse_constant=_finite
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check(value)
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """The table of a TOML text; raises ``ValueError`` as :func:`parse_json`; nan and inf pass."""
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check(table)
    return table


def _integer(text: str) -> int:
    if len(text) > _DIGITS:  # also spares the time that Python takes for very many
        raise ValueError(f"a number of {len(text)} digits, {text[:_DIGITS]}...")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError(f"{text[:_DIGITS]} is no finite number")
    return value


def _check(value: Any) -> None:
    """Raise ``ValueError`` for what is too deep, too large or no text; without recursion."""
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f"it is nested more than {_DEEPEST} deep")
        if isinstance(item, str):
            item.encode()  # UnicodeEncodeError is a ValueError
        elif isinstance(item, int) and not -_INTEGERS < item < _INTEGERS:
            raise ValueError(f"a number of {item.bit_length()} bits")
        elif isinstance(item, dict):
            waiting += [(entry, depth + 1) for pair in item.items() for entry in pair]
        elif isinstance(item, list):
            waiting += [(entry, depth + 1) for entry in item]
