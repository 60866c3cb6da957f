"""Files that are whole or absent: hashes, atomic writes, arrays without pickle. No torch."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pynn_models.errors import SnnSsmError

# The types of a safetensors file that NumPy has.
_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
}
_READ = {**_DTYPES, "BF16": "<u2"}  # NumPy has no bfloat16, which is the upper half of a float32
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}


class FileError(SnnSsmError):
    """A file is missing, unreadable, truncated, altered, or stands where one should be written."""


def sha256(data: bytes) -> str:
    """The SHA-256 of ``data`` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a file; raises :class:`FileError` naming ``what`` it should be."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise FileError(f"cannot read {what} {path}: {reason}. Check the path.") from error


def writable(path: Path) -> Path:
    """The file that writing to ``path`` writes, links followed: a check before long work.

    Raises :class:`FileError` where there can be none: a device or a directory of that name, or no
    directory to put it into.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise _not_written(path, os.strerror(errno.EISDIR))
        if target.exists() and not target.is_file():
            raise _not_written(path, "it is no regular file")
        if not target.parent.is_dir():
            raise _not_written(path, os.strerror(errno.ENOENT))
        if not os.access(target.parent, os.W_OK):
            raise _not_written(path, os.strerror(errno.EACCES))
    except OSError as error:
        raise _not_written(path, error.strerror or str(error)) from error
    return target


def write_atomic(path: Path, data: bytes) -> None:
    """Write to a temporary name in the same directory, then rename: never half a file.

    Raises :class:`FileError` where that cannot be; a file that was there stays as it was.
    """
    target = writable(path)
    try:
        _replace(target, data)
    except OSError as error:
        raise _not_written(path, error.strerror or str(error)) from error


def _not_written(path: Path, reason: str) -> FileError:
    return FileError(
        f"cannot write {path}: {reason}. Name a file in a directory that exists, can be written "
        "to and has room."
    )


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)  # mkstemp's own mode shuts out the rest of a user's group
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def new_directory(path: Path, what: str) -> Path:
    """Create a directory for output; one that exists and is not empty is refused."""
    try:
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise FileError(
                f"the {what} {path} exists; nothing was written. Name a new directory or remove "
                "it."
            )
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot create the {what} {path}: {error.strerror}.") from error
    return path


def pack_arrays(
    arrays: Mapping[str, NDArray[Any]], metadata: dict[str, str] | None = None
) -> bytes:
    """The bytes of a safetensors file: the same for the same content.

    The format: 8 bytes of the header's length, a JSON header of dtype, shape and offsets, and the
    arrays' bytes without gaps. Written and read in NumPy alone, so that a board job, which finds
    little else, needs no library for it.
    """
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    parts: list[bytes] = []
    end = 0
    # Large elements first, so that every array is aligned to the size of its elements.
    for name in sorted(arrays, key=lambda name: (-np.asarray(arrays[name]).itemsize, name)):
        array = np.asarray(arrays[name], order="C")
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        parts.append(little.tobytes())
        header[name] = {
            "dtype": _NAMES[little.dtype],
            "shape": array.shape,
            "data_offsets": (end, end + len(parts[-1])),
        }
        end += len(parts[-1])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the arrays stay aligned
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def read_arrays(
    path: Path, what: str, digest: str | None = None
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays and metadata of a safetensors file, after its SHA-256 was compared with ``digest``.

    bfloat16 comes as float32 (exact), complex64 as it is; other types that NumPy lacks are refused.
    Raises :class:`FileError` for a file that is missing, truncated, altered or not safetensors.
    """
    data = read_bytes(path, what)
    if digest is not None and sha256(data) != digest:
        raise FileError(
            f"{what} {path} was truncated or altered: its SHA-256 is {sha256(data)}, "
            f"expected {digest}. Restore the file, or write it anew."
        )
    try:
        return _unpack_arrays(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(
            f"{what} {path} is no valid safetensors file ({error!r}). Write it anew."
        ) from error


def _unpack_arrays(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """What :func:`pack_arrays` packed; whatever does not fit raises one of Python's own errors."""
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or start > len(data):
        raise ValueError(f"{len(data)} bytes; expected a header that ends at {start}")
    header = json.loads(data[8:start])
    metadata = {str(k): str(v) for k, v in header.pop("__metadata__", {}).items()}
    arrays, end = {}, start
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = (start + int(offset) for offset in entry["data_offsets"])
        kind = entry["dtype"]
        if kind not in _READ:
            raise ValueError(f"array {name!r} is of type {kind!r}, which NumPy lacks")
        dtype = np.dtype(_READ[kind])
        shape = tuple(int(n) for n in entry["shape"])
        size = dtype.itemsize * math.prod(shape)
        if begin != end or stop != begin + size or stop > len(data) or min(shape, default=0) < 0:
            raise ValueError(f"array {name!r} of {size} bytes stands at {begin} to {stop}")
        array = np.frombuffer(bytearray(data[begin:stop]), dtype)
        if kind == "BF16":
            array = (array.astype("<u4") << 16).view("<f4")
        arrays[name] = array.reshape(shape)
        end = stop
    if end != len(data):
        raise ValueError(f"{len(data)} bytes; expected {end}")
    return arrays, metadata


def require_finite(arrays: Mapping[str, NDArray[Any]], source: str) -> None:
    """Raise :class:`FileError` naming the first NaN or infinite element."""
    for name, array in arrays.items():
        if array.dtype.kind not in "fc":
            continue
        bad = ~np.isfinite(array)
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            raise FileError(
                f"{source}: {name}{list(index)} is {array[index]}; expected a finite number. "
                "Training diverged or the file was altered: go back to an earlier checkpoint."
            )
