"""Files that are whole or absent: hashes, atomic writes, arrays without pickle. No torch."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.reading import FileError, parse_json, read_bytes

# The types of a safetensors file that NumPy has.
_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
}
_READ = {**_DTYPES, "BF16": "<u2"}  # NumPy has no bfloat16, which is the upper half of a float32
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}
_PART = ".part"  # how the names of files end that are being written
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{12}\.part", re.DOTALL)
_LONGEST_PART = 100
_SEAL = "sha256"

__all__ = [
    "FileError",
    "is_leftover",
    "is_new",
    "new_directory",
    "pack_arrays",
    "packed_parts",
    "read_arrays",
    "read_bytes",
    "read_sealed",
    "remove_leftovers",
    "require_finite",
    "seal_arrays",
    "sha256",
    "was_cut_short",
    "whole_directory",
    "writable",
    "write_atomic",
]


def sha256(*parts: bytes | memoryview) -> str:
    """The SHA-256 of ``parts``, one after another, in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def writable(path: Path) -> Path:
    """The file that writing to ``path`` writes, links followed: a check before long work.

    What a write to it left behind when it was killed is removed. Raises :class:`FileError` where
    there can be none: a device or a directory of that name, or no directory to put it into.
    """
    target = _target(path)
    remove_leftovers(target.parent, target.name)
    return target


def _target(path: Path) -> Path:
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise _not_written(path, os.strerror(errno.EISDIR))
        if target.exists() and not target.is_file():
            raise _not_written(path, "it is no regular file")
        if not target.parent.is_dir():
            raise _not_written(path, os.strerror(errno.ENOENT))
        if not os.access(target.parent, os.W_OK):
            raise _not_written(path, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise _not_written(path, getattr(error, "strerror", None) or str(error)) from error
    return target


def write_atomic(path: Path, *parts: bytes | memoryview) -> None:
    """Write ``parts`` to a temporary name in the same directory, then rename: never half a file.

    A file that was there keeps its permissions; a new one has those that the umask leaves. Raises
    :class:`FileError` where that cannot be; a file that was there stays as it was.
    """
    target = _target(path)
    try:
        _replace(target, *parts)
    except OSError as error:
        raise _not_written(path, error.strerror or str(error)) from error


def _not_written(path: Path, reason: str) -> FileError:
    return FileError(
        f"cannot write {path}: {reason}. Name a file in a directory that exists, can be written "
        "to and has room."
    )


def _replace(path: Path, *parts: bytes | memoryview) -> None:
    temporary, handle = _temporary(path)
    try:
        with os.fdopen(handle, "wb") as stream:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(handle, stat.S_IMODE(path.stat().st_mode))
            for part in parts:
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> tuple[Path, int]:
    """A new file beside ``path``, locked as long as it is open: see :func:`remove_leftovers`."""
    while True:
        name = f".{path.name[:_LONGEST_PART]}.{secrets.token_hex(6)}{_PART}"
        temporary = path.with_name(name)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_nlink:
            return temporary, handle
        os.close(handle)  # taken for a leftover before it was locked


def remove_leftovers(directory: Path, name: str = "") -> None:
    """Remove what writes of ``name`` (default: all) left in a directory when they were killed.

    Who writes holds a lock on his temporary file, and a lock ends with its process, so those of
    other processes that are still at it are left alone.
    """
    start = f".{name[:_LONGEST_PART]}." if name else "."
    with contextlib.suppress(OSError):
        for path in list(directory.iterdir()):
            if path.name.startswith(start) and is_leftover(path):
                with contextlib.suppress(OSError):  # what cannot be removed does no harm
                    _remove_unlocked(path)


def is_leftover(path: Path) -> bool:
    """Whether a name is that of what a write left behind when it was killed."""
    return _LEFTOVER.fullmatch(path.name) is not None


def _remove_unlocked(path: Path) -> None:
    if not stat.S_ISREG(path.lstat().st_mode) and not stat.S_ISDIR(path.lstat().st_mode):
        return
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where it is being written
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def is_new(path: Path) -> bool:
    """Whether nothing is at ``path``, or a directory without content, leftovers aside."""
    if not path.is_dir():
        return not os.path.lexists(path)
    return all(is_leftover(entry) for entry in path.iterdir())


def new_directory(path: Path, what: str) -> Path:
    """Create a directory for output; one that exists and is not empty is refused.

    Temporary files of a write that was killed are no content: they are removed.
    """
    try:
        if not is_new(path):
            raise FileError(
                f"the {what} {path} exists; nothing was written. Name a new directory or remove "
                "it."
            )
        path.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"cannot create the {what} {path}: {reason}.") from error
    return path


@contextlib.contextmanager
def whole_directory(path: Path, what: str) -> Iterator[Path]:
    """A new directory that is there with all its files or not at all: yields where to write them.

    That is beside ``path``, and renamed to it at the end; in ``path`` itself where that exists and
    cannot be replaced. Raises :class:`FileError` as :func:`new_directory`.
    """
    path = Path(os.path.abspath(path))
    if path.exists() and (path.is_mount() or not os.access(path.parent, os.W_OK)):
        yield new_directory(path, what)
        return
    if not is_new(path) or path.exists():
        new_directory(path, what)
    parts = path.with_name(f".{path.name[:_LONGEST_PART]}.{secrets.token_hex(6)}{_PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, path.name)
        parts.mkdir()
        with _held(parts):
            yield parts
            if path.exists():
                os.chmod(parts, stat.S_IMODE(path.stat().st_mode))
            os.replace(parts, path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"cannot create the {what} {path}: {reason}.") from error
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def was_cut_short(path: Path) -> bool:
    """Whether the first write into a new directory was killed: there is nothing but its leftovers.
    """
    inside = list(path.iterdir()) if path.is_dir() else []
    beside = path.absolute().parent
    start = f".{path.name[:_LONGEST_PART]}."
    if inside or not beside.is_dir():
        return bool(inside) and is_new(path)
    return is_new(path) and any(
        entry.name.startswith(start) and is_leftover(entry) for entry in beside.iterdir()
    )


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[None]:
    """A directory locked, so that no other process takes it for a leftover."""
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def pack_arrays(
    arrays: Mapping[str, NDArray[Any]], metadata: dict[str, str] | None = None
) -> bytes:
    """The bytes of a safetensors file: the same for the same content."""
    return b"".join(packed_parts(arrays, metadata))


def packed_parts(
    arrays: Mapping[str, NDArray[Any]], metadata: dict[str, str] | None = None
) -> list[bytes | memoryview]:
    """The same bytes in parts, which are the arrays themselves where they lie in order.

    The format: 8 bytes of the header's length, a JSON header of dtype, shape and offsets, and the
    arrays' bytes without gaps. Written and read in NumPy alone, so that a board job, which finds
    little else, needs no library for it.
    """
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    parts: list[bytes | memoryview] = []
    end = 0
    # Large elements first, so that every array is aligned to the size of its elements.
    for name in sorted(arrays, key=lambda name: (-np.asarray(arrays[name]).itemsize, name)):
        array = np.asarray(arrays[name], order="C")
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        parts.append(little.reshape(-1).view(np.uint8).data)
        header[name] = {
            "dtype": _NAMES[little.dtype],
            "shape": array.shape,
            "data_offsets": (end, end + little.nbytes),
        }
        end += little.nbytes
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the arrays stay aligned
    return [len(text).to_bytes(8, "little"), text, *parts]


def read_arrays(
    path: Path, what: str, digest: str | None = None, earlier: str | None = None
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays and metadata of a safetensors file, after its SHA-256 was compared with ``digest``.

    ``earlier``: that of the file which this one replaces, if it may still be there.

    bfloat16 comes as float32 (exact), complex64 as it is; other types that NumPy lacks are refused.
    Raises :class:`FileError` for a file that is missing, truncated, altered or not safetensors.
    """
    data = read_bytes(path, what)
    if digest is not None and sha256(data) not in (digest, earlier):
        raise FileError(
            f"{what} {path} was truncated or altered: its SHA-256 is {sha256(data)}, "
            f"expected {digest}. Restore the file, or write it anew."
        )
    try:
        return _unpack_arrays(data)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise FileError(
            f"{what} {path} is no valid safetensors file ({error!r}). Write it anew."
        ) from error


def seal_arrays(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file that holds the SHA-256 of itself as it is without that."""
    bare = dict(metadata)
    return pack_arrays(arrays, bare | {_SEAL: sha256(pack_arrays(arrays, bare))})


def read_sealed(
    path: Path, what: str, remedy: str
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """What :func:`seal_arrays` packed; raises :class:`FileError` where a bit of it was altered."""
    arrays, metadata = read_arrays(path, what)
    digest = metadata.pop(_SEAL, None)
    if digest != sha256(pack_arrays(arrays, metadata)):
        raise FileError(
            f"{what} {path} was altered: its SHA-256 is not the one that it was written with. "
            f"{remedy}"
        )
    return arrays, metadata


def _unpack_arrays(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """What :func:`pack_arrays` packed; whatever does not fit raises one of Python's own errors."""
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or start > len(data):
        raise ValueError(f"{len(data)} bytes; expected a header that ends at {start}")
    header = parse_json(data[8:start])
    metadata = {str(k): str(v) for k, v in header.pop("__metadata__", {}).items()}
    arrays, end = {}, start
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = (start + offset for offset in map(index, entry["data_offsets"]))
        kind = entry["dtype"]
        if kind not in _READ:
            raise ValueError(f"array {name!r} is of type {kind!r}, which NumPy lacks")
        dtype = np.dtype(_READ[kind])
        shape = tuple(index(n) for n in entry["shape"])
        size = dtype.itemsize * math.prod(shape)
        if begin != end or stop != begin + size or stop > len(data) or min(shape, default=0) < 0:
            raise ValueError(f"array {name!r} of {size} bytes stands at {begin} to {stop}")
        array = np.frombuffer(bytearray(data[begin:stop]), dtype)
        if kind == "BOOL" and (array.view(np.uint8) > 1).any():
            raise ValueError(f"array {name!r} of type BOOL holds other bytes than 0 and 1")
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
