"""NIR files: HDF5 from strangers, looked over before anything of it is read.

A file may link to others, hold a small description of a huge array, or a group that is in itself.
Whatever is none of what ``nir.write`` makes is refused by name, and so is more than memory holds.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from export.description.network import Network
from export.interchange.errors import InterchangeError
from export.interchange.graph import to_nir
from export.interchange.network import Options, from_nir
from export.interchange.package import nir
from snn_ssm.files import write_atomic
from snn_ssm.reading import memory, read_bytes

_DEEPEST = 64  # groups in groups
_OBJECTS = 2**20
_FAULTS = (
    OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError, IndexError,
    RuntimeError, OverflowError, ZeroDivisionError, MemoryError,
)  # what nir and h5py raise for a file that is none of theirs


def save_nir(network: Network, path: Path) -> None:
    """Write a network as a NIR file, whole or not at all.

    Raises as :func:`to_nir`, before anything is written, and ``FileError``.
    """
    graph, content = to_nir(network), io.BytesIO()
    nir().write(content, graph)
    write_atomic(Path(path), content.getvalue())


def load_nir(path: Path, options: Options | None = None) -> Network:
    """The network of a NIR file; raises ``FileError``, and as :func:`from_nir`."""
    return from_nir(read_graph(path), options, str(path))


def read_graph(path: Path) -> Any:
    """The graph of a NIR file, a ``nir.NIRGraph``.

    Raises :class:`InterchangeError` for a file that is none, and ``FileError``.
    """
    module, data = nir(), read_bytes(Path(path), "NIR graph")
    try:
        _look_over(data)
        with np.errstate(all="ignore"):
            graph = module.read(io.BytesIO(data), type_check=False)
    except InterchangeError as error:
        raise InterchangeError(f"{path} is no NIR graph: {error}") from error
    except _FAULTS as error:
        raise InterchangeError(
            f"{path} is no NIR graph ({type(error).__name__}: {error}"[:400] + "). Write it with "
            "nir.write, of a version from 1.0 on."
        ) from error
    if type(graph).__name__ != "NIRGraph":
        raise InterchangeError(
            f"{path} holds a {type(graph).__name__} and no graph. Put the node into a NIRGraph."
        )
    return graph


def _look_over(data: bytes) -> None:
    """Raise :class:`InterchangeError` for what would read other files, or take too much memory."""
    import h5py

    seen: set[int] = set()
    room = memory()
    with h5py.File(io.BytesIO(data), "r") as file:
        waiting: list[tuple[str, Any, int]] = [("/", file, 0)]
        while waiting:
            name, group, depth = waiting.pop()
            for key in group:
                where = f"{name}{key}"
                if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                    raise InterchangeError(f"{where} is a link to elsewhere. Write it in place.")
                item = group[key]
                address = h5py.h5o.get_info(item.id).addr
                if address in seen or depth > _DEEPEST or len(seen) > _OBJECTS:
                    raise InterchangeError(
                        f"{where} stands in the file twice, too deep, or after too many others. "
                        "Write each node once."
                    )
                seen.add(address)
                if isinstance(item, h5py.Group):
                    waiting.append((f"{where}/", item, depth + 1))
                else:
                    room -= _size(where, item, len(data))
                    if room < 0:
                        raise InterchangeError(
                            f"{where} and what stands before it take more memory than there is. "
                            "Use smaller layers."
                        )


def _size(where: str, item: Any, file_size: int) -> int:
    """The bytes of a dataset in memory; of texts, what they are at most."""
    import h5py

    text = isinstance(item, h5py.Dataset) and h5py.check_string_dtype(item.dtype) is not None
    if not isinstance(item, h5py.Dataset) or not (text or item.dtype.kind in "biuf"):
        raise InterchangeError(f"{where} is no array of numbers or texts. Leave it out.")
    if item.external or item.is_virtual:
        raise InterchangeError(f"{where} has its values in other files. Write them in place.")
    if not text or item.dtype.kind == "S":
        return int(item.size or 0) * int(item.dtype.itemsize)
    if item.size is None or item.size > _OBJECTS:
        raise InterchangeError(f"{where} is of {item.size} texts. Use fewer edges.")
    # One text can stand in the file once and be meant by every element.
    if item.size * file_size <= memory():
        return 0
    return sum(len(item[i]) for i in np.ndindex(item.shape))
