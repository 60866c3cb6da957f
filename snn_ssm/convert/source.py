"""A state dict that another program saved -> arrays by name. Imports torch only where it must."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pynn_models.errors import SnnSsmError
from snn_ssm.convert.scalars import numpy_scalars
from snn_ssm.files import read_arrays, read_bytes
from snn_ssm.reading import memory

_TORCH = (b"PK\x03\x04", b"\x80")  # how torch's files start: a zip archive, or a bare pickle


class SourceError(SnnSsmError):
    """A file that is no state dict, or one that is not loaded: it holds more than tensors."""


def read_state(path: Path, key: str = "") -> dict[str, NDArray[Any]]:
    """The arrays of a state dict, by name: a safetensors file, or torch's without unpickling code.

    ``key``: where a torch file holds the state dict among other things, such as ``state_dict``.
    NumPy's scalars, which scripts of training put beside and among their tensors, are numbers, too.
    What is narrower than float32 may come as float32, exactly. Raises ``FileError`` for a file
    that cannot be read or is no valid safetensors file, :class:`SourceError` for all else.
    """
    data = read_bytes(path, "model")
    if data[8:9] == b"{":
        if key:
            raise SourceError(
                f"{path} is a safetensors file, which holds nothing by the key {key!r}. "
                "Leave out names.key."
            )
        return read_arrays(path, "model")[0]
    if not data.startswith(_TORCH):
        raise SourceError(
            f"{path} is neither a safetensors file nor one that torch.save wrote. Save the "
            "model's state_dict() as one of them."
        )
    return _read_torch(path, data, key)


def _read_torch(path: Path, data: bytes, key: str) -> dict[str, NDArray[Any]]:
    try:
        import torch
    except ImportError as error:
        raise SourceError(
            f"{path} is a torch file, and torch cannot be imported ({error}). Install it: pip "
            "install 'snn-ssm[train]'. Or save the model as safetensors."
        ) from error
    _check_sizes(path, data)
    try:
        with numpy_scalars():
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        raise SourceError(
            f"{path} holds {found[1] if found else 'what is no tensor'}, which only running code "
            "of the file could load; expected tensors. Save model.state_dict(), not the model."
        ) from error
    except Exception as error:  # a damaged pickle raises any of Python's own
        raise SourceError(
            f"{path} is no valid torch file ({type(error).__name__}). Save the model's "
            "state_dict() anew."
        ) from error
    state = _state_dict(path, content, key)
    arrays, room = {}, memory()
    for name, tensor in state.items():
        arrays[name] = _array(path, name, tensor)
        room -= arrays[name].nbytes
        if room < 0:
            raise SourceError(f"{path}: its tensors do not fit into half of the memory.")
    return arrays


def _check_sizes(path: Path, data: bytes) -> None:
    """Raise :class:`SourceError` for an archive that unpacks to more than memory has room for."""
    if not data.startswith(_TORCH[0]):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(info.file_size for info in archive.infolist())
    except Exception as error:  # a damaged archive raises any of Python's own
        raise SourceError(
            f"{path} is no valid torch file ({type(error).__name__}). Save the model's "
            "state_dict() anew."
        ) from error
    if size > memory():
        raise SourceError(
            f"{path} unpacks to {size} bytes; expected no more than {memory()}, half of the "
            "memory. Save the model's state_dict() alone."
        )


def _state_dict(path: Path, content: Any, key: str) -> dict[str, Any]:
    """The table of tensors in what a torch file holds."""
    if key:
        if not isinstance(content, dict) or key not in content:
            raise SourceError(
                f"{path} has nothing by the key {key!r}; it holds {_described(content)}. "
                "Correct names.key."
            )
        content = content[key]
    if not _is_state(content):
        where = f"{path}, key {key!r}," if key else str(path)
        raise SourceError(
            f"{where} holds {_described(_telling(content))}; expected a state dict, tensors by "
            "name. Where the state dict stands under a key, say which as names.key."
        )
    return dict(content)


def _is_state(content: Any) -> bool:
    return isinstance(content, dict) and all(
        _is_tensor(name, value) for name, value in content.items()
    )


def _is_tensor(name: Any, value: Any) -> bool:
    import torch

    return isinstance(name, str) and isinstance(value, torch.Tensor | np.ndarray)


def _telling(content: Any) -> Any:
    """Of a table with tensors that of which it has too much, of another all of it."""
    import torch

    if not isinstance(content, dict):
        return content
    if not any(isinstance(value, torch.Tensor) for value in content.values()):
        return content
    return {name: value for name, value in content.items() if not _is_tensor(name, value)}


def _described(content: Any) -> str:
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    return ", ".join(
        f"{name!r} (a {'number' if isinstance(value, np.ndarray) else type(value).__name__})"
        for name, value in content.items()
    )


def _array(path: Path, name: str, tensor: Any) -> NDArray[Any]:
    if isinstance(tensor, np.ndarray):
        return tensor
    try:
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise SourceError(
                f"{path}: {name} of shape {tuple(tensor.shape)} and strides {tensor.stride()} "
                "repeats its elements; expected one that holds them all. Save a contiguous copy."
            )
        if tensor.is_floating_point() and tensor.element_size() < 4:
            tensor = tensor.float()
        return tensor.numpy(force=True)
    except (TypeError, RuntimeError) as error:
        raise SourceError(
            f"{path}: {name} is a tensor that NumPy lacks ({tensor.dtype}, {tensor.layout}); "
            "expected a dense one of real or complex numbers. Save it so."
        ) from error
