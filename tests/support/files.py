"""Where the repository is, its examples, and files as they are read: own samples, MNIST's idx."""

import gzip
import importlib.util
import struct
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def load_example(name):
    """The module ``examples/NAME.py``."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save_splits(directory, **arrays):
    """Own samples as ``--data`` takes them, the same in both splits."""
    directory.mkdir(exist_ok=True)
    for split in ("train", "test"):
        np.savez(directory / f"{split}.npz", **arrays)


def write_idx(path, array):
    """An idx file of unsigned bytes, gzipped where the name ends in .gz; returns its content."""
    shape = array.shape
    content = struct.pack(f">I{len(shape)}I", 0x0800 + len(shape), *shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return content
