"""Sound in WAV files: real values from -1 to 1, a channel a track."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.tasks.base import DataError, read_file


def read_sound(path: Path) -> tuple[NDArray[Any], float]:
    """``x / 2^(bits - 1)`` of integer samples: (n, C) float32, and the sample rate in Hz.

    Unsigned bytes are taken from their centre, 128. Raises :class:`DataError`.
    """
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks of notes
            rate, values = wavfile.read(io.BytesIO(read_file(path)))
    except (ValueError, EOFError, struct.error, ZeroDivisionError, OverflowError) as error:
        raise DataError(
            f"{path} is no WAV file that can be read ({error}). Save it as 16-bit PCM."
        ) from error
    if rate <= 0 or not len(values):
        raise DataError(f"{path} has {len(values)} samples at {rate} Hz. Record it again.")
    wide = values[:, None] if values.ndim == 1 else values
    return _real(wide), float(rate)


def _real(values: NDArray[Any]) -> NDArray[np.float32]:
    kind = values.dtype.kind
    if kind == "f":
        return values.astype(np.float32)
    full = float(2 ** (8 * values.dtype.itemsize - 1))
    centred = values.astype(np.float64) - (full if kind == "u" else 0.0)
    return (centred / full).astype(np.float32)
