"""Where the repository is, and files in the formats that are read: own samples, MNIST's idx."""

import gzip
import struct
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


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
