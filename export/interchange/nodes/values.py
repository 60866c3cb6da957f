"""The values of a node, checked: real, finite, of the shape that is expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray
from export.interchange.errors import InterchangeError


def array(name: str, node: Any, field: str, *, infinite: bool = False) -> FloatArray:
    """A field as float64, of any shape; NaN is refused, and infinity unless ``infinite``."""
    found = np.asarray(getattr(node, field))
    if found.dtype.kind not in "biuf" or found.size == 0:
        raise InterchangeError(
            f"node {name!r}: {field} is of {found.dtype} and shape {found.shape}; expected real "
            "numbers."
        )
    values = found.astype(np.float64)
    bad = np.isnan(values) if infinite else ~np.isfinite(values)
    if bad.any():
        raise InterchangeError(
            f"node {name!r}: {field} holds {values[bad].ravel()[0]}; expected finite numbers. "
            "Training diverged, or a division by 0 at export."
        )
    return values


def each(name: str, node: Any, field: str, size: int, *, infinite: bool = False) -> FloatArray:
    """A field with one value for each of ``size`` neurons, or one for all; flat."""
    values = array(name, node, field, infinite=infinite).ravel()
    if len(values) not in (1, size):
        raise InterchangeError(
            f"node {name!r}: {field} has {len(values)} values for the {size} that arrive; expected "
            "one each, or one for all."
        )
    return np.broadcast_to(values, size).copy()


def whole(
    name: str, node: Any, field: str, count: int, least: int
) -> tuple[int, ...]:
    """A field of ``count`` whole numbers of at least ``least``, or of one for all."""
    found: NDArray[Any] = np.atleast_1d(np.asarray(getattr(node, field)))
    if found.dtype.kind not in "iu" or found.size not in (1, count) or (found < least).any():
        raise InterchangeError(
            f"node {name!r}: {field} is {found.tolist()!r:.80}; expected "
            f"{'a whole number' if count == 1 else f'{count} whole numbers'} of at least {least}."
        )
    return tuple(int(v) for v in np.broadcast_to(found.ravel(), count))


def require(name: str, holds: bool, what: Callable[[], str]) -> None:
    """Raise :class:`InterchangeError` with ``what`` unless something holds."""
    if not holds:
        raise InterchangeError(f"node {name!r}: {what()}")
