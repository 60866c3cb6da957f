"""Greyscale pictures from encoded ones, by Pillow, which is imported when one is decoded."""

from __future__ import annotations

import io
from collections.abc import Iterable
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from snn_ssm.tasks.base import DataError


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            f"pictures cannot be decoded: Pillow is not installed ({error}). Run 'pip install "
            "pillow'."
        ) from error
    return Image


def decode(pictures: Iterable[tuple[str, bytes]], count: int, side: int) -> NDArray[np.uint8]:
    """``count`` pictures (name, JPEG or PNG bytes) as grey levels (B, side, side).

    Raises :class:`DataError` naming the picture that is none, or of another size.
    """
    image = _pillow()
    found = np.empty((count, side, side), np.uint8)
    for row, (name, content) in zip(found, pictures, strict=True):
        try:
            picture = image.open(io.BytesIO(content), formats=("JPEG", "PNG"))
            if picture.size != (side, side):  # before anything is unpacked
                raise DataError(
                    f"{name} is a picture of {picture.width} x {picture.height} pixels; expected "
                    f"{side} x {side}."
                )
            row[:] = np.asarray(picture.convert("L"))
        except DataError:
            raise
        except Exception as error:  # Pillow's decoders raise any of Python's own, and their own
            raise DataError(
                f"{name} cannot be decoded as a picture ({error}). Fetch the file again."
            ) from error
    return found
