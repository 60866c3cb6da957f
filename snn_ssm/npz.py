"""Arrays of an ``.npz`` from a stranger: no pickle, and sizes are compared before memory is taken.

NumPy's own reader unpacks whatever a member's header asks for. No torch.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from snn_ssm.reading import memory, open_regular

_PIECE = 2**20
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_arrays(
    path: Path, names: Iterable[str], *, strict: bool = False, optional: Iterable[str] = (),
    fields: bool = False,
) -> dict[str, NDArray[Any]]:
    """The named arrays of an ``.npz``, and those ``optional`` ones that it has.

    ``strict``: it holds no others. ``fields``: arrays may have fields by name, none of them an
    object.
    Raises ``OSError`` for a file that cannot be read or is no regular one, ``ValueError`` for one
    that is no such archive, lacks an array, or holds more than fits into memory.
    """
    names = tuple(names)
    found: dict[str, NDArray[Any]] = {}
    room = memory()
    with open_regular(path) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                members = set(archive.namelist())
                names += tuple(name for name in optional if f"{name}.npy" in members)
                if strict:
                    _refuse_others(archive, names)
                for name in names:
                    found[name] = _read_member(archive, name, room, fields)
                    room -= found[name].nbytes
        except (OSError, ValueError):
            raise
        except MemoryError as error:
            raise ValueError("its arrays do not fit into memory") from error
        except Exception as error:  # a damaged archive raises any of Python's own
            raise ValueError(f"{type(error).__name__}: {error}") from error
    return found


def _refuse_others(archive: zipfile.ZipFile, names: tuple[str, ...]) -> None:
    """What is there and not understood, a user may count on: its lengths, its weights."""
    members = {f"{name}.npy" for name in names}
    others = sorted(name.removesuffix(".npy") for name in set(archive.namelist()) - members)
    if others:
        raise ValueError(f"it also holds {', '.join(others)[:200]}, of which nothing is known here")


def _read_member(
    archive: zipfile.ZipFile, name: str, room: int, fields: bool
) -> NDArray[Any]:
    member = f"{name}.npy"
    try:
        info = archive.getinfo(member)
    except KeyError:
        there = ", ".join(sorted(archive.namelist())[:20])
        raise ValueError(f"it has no {member}; it has {there[:200] or 'nothing'}") from None
    with archive.open(info) as stream:
        shape, fortran, dtype = _header(stream, member)  # type: ignore[arg-type]
        count = math.prod(shape)
        strange = dtype.hasobject or not dtype.itemsize or bool(dtype.fields and not fields)
        if strange or min(shape, default=0) < 0:
            raise ValueError(f"{member} is of type {dtype} and shape {shape}")
        size = count * dtype.itemsize
        if size > room:
            raise ValueError(f"{member} takes {size} bytes, of which {room} are there")
        if info.file_size != stream.tell() + size:
            raise ValueError(f"{member} has {info.file_size} bytes, not {stream.tell() + size}")
        flat = np.empty(count, dtype)
        bytes_of = flat.view(np.uint8).data
        for at in range(0, size, _PIECE):
            piece = stream.read(min(_PIECE, size - at))
            bytes_of[at : at + len(piece)] = piece
            if len(piece) < min(_PIECE, size - at):
                raise ValueError(f"{member} ends after {at + len(piece)} of {size} bytes")
        if stream.read(1):  # reading to the end also compares the checksum
            raise ValueError(f"{member} is longer than {size} bytes")
    return flat.reshape(shape, order="F" if fortran else "C")


def _header(stream: BinaryIO, member: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = npy.read_magic(stream)
        shape, fortran, dtype = _HEADERS[version](stream)
    except Exception as error:  # NumPy evaluates a literal, which fails in Python's own ways
        raise ValueError(f"{member} is no array of NumPy's ({error})") from error
    return shape, fortran, dtype
