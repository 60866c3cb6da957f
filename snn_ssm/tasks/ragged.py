"""Items of bytes of different lengths, kept as one array and offsets; and their files."""

from __future__ import annotations

import io
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.files import write_atomic
from snn_ssm.reading import drain, memory
from snn_ssm.tasks.base import DataError, read_file, read_npz, require_room

_MORE = 2**20  # bytes that are unpacked, beyond those expected, to say how many there are


@dataclass(frozen=True)
class Ragged:
    """Item i is ``values[offsets[i] : offsets[i + 1]]``: ``values`` uint8, ``offsets`` int64."""

    values: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def item(self, i: int) -> NDArray[np.uint8]:
        """The bytes of one item."""
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def rows(self, index: NDArray[np.int64], steps: int) -> NDArray[np.uint8]:
        """The items of ``index`` (B,) as (B, 1, steps): cut off, or filled up with 0 at the end."""
        require_room((len(index), 1, steps), 1, "items of that length")
        found = np.zeros((len(index), 1, steps), np.uint8)
        for row, i in zip(found[:, 0], index, strict=True):
            item = self.item(i)[:steps]
            row[: len(item)] = item
        return found


def join(items: list[bytes]) -> Ragged:
    """The items one after the other."""
    lengths = [len(item) for item in items]
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return Ragged(np.frombuffer(b"".join(items), np.uint8), offsets)


def _checked(
    values: NDArray[Any], offsets: NDArray[Any], labels: NDArray[Any], where: str
) -> tuple[Ragged, NDArray[Any]]:
    flat = values.ndim == offsets.ndim == 1 and values.dtype == np.uint8
    if not flat or not {offsets.dtype.kind, labels.dtype.kind} <= {"i", "u"}:
        raise DataError(
            f"{where}: values of {values.dtype} and shape {values.shape}, offsets of "
            f"{offsets.dtype} and shape {offsets.shape}, labels of {labels.dtype} and shape "
            f"{labels.shape}; expected uint8, and twice integers, each of one axis. Fetch or make "
            "the files again."
        )
    offsets = offsets.astype(np.int64)  # differences of unsigned ones are never negative
    rising = len(offsets) > 0 and offsets[0] == 0 and bool((np.diff(offsets) >= 0).all())
    if not rising or offsets[-1] != len(values) or labels.shape != (len(offsets) - 1,):
        raise DataError(
            f"{where}: {len(values)} bytes, {len(offsets)} offsets and labels of shape "
            f"{labels.shape} do not fit; expected offsets that rise from 0 to the number of bytes, "
            "and one label fewer than offsets. Fetch or make the files again."
        )
    return Ragged(values, offsets), labels


def read_packed(content: Path, index: Path, label: str) -> tuple[Ragged, NDArray[Any]]:
    """Items and labels of an lzma-compressed file of all bytes, and an ``.npz`` of its offsets.

    ``index`` holds ``offsets`` (B + 1,) and an array of labels (B,) named ``label``.
    Raises :class:`DataError`.
    """
    what = f"the index of {content.name}"
    stored = read_npz(index, what, {"offsets": "(B + 1,)", label: "(B,)"})
    try:
        with lzma.LZMAFile(io.BytesIO(read_file(content))) as packed:
            values = np.frombuffer(drain(packed, _end(stored["offsets"]) + _MORE), np.uint8)
    except (OSError, EOFError, lzma.LZMAError, MemoryError) as error:
        raise DataError(f"{content} cannot be read ({error}). Fetch the file again.") from error
    return _checked(values, stored["offsets"], stored[label], f"{content} and {index.name}")


def _end(offsets: NDArray[Any]) -> int:
    """How many bytes offsets say there are, as far as memory has room: no more are unpacked."""
    last = offsets.reshape(-1)[-1:]
    known = offsets.dtype.kind in "iu" and len(last) and last[0] >= 0
    return min(int(last[0]), memory()) if known else 0


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed ``.npz``, whole or not at all; its directory is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez_compressed(content, **dict(arrays))  # type: ignore[arg-type]
    write_atomic(path, content.getvalue())


def write_ragged(path: Path, items: Ragged, labels: NDArray[Any]) -> None:
    """Write items and labels as an ``.npz`` that :func:`read_ragged` reads."""
    write_npz(path, {"values": items.values, "offsets": items.offsets, "labels": labels})


def read_ragged(path: Path, what: str) -> tuple[Ragged, NDArray[Any]]:
    """Items and labels of a file of :func:`write_ragged`; raises :class:`DataError`."""
    arrays = {"values": "uint8", "offsets": "(B + 1,)", "labels": "(B,)"}
    stored = read_npz(path, what, arrays)
    return _checked(stored["values"], stored["offsets"], stored["labels"], str(path))
