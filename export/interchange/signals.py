"""What a node of a graph sends, as a linear map of what neurons and the input sent before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray
from export.interchange.errors import InterchangeError
from snn_ssm.reading import memory

_BYTES = 17  # of a pair of values: its weight here and in a projection, whether there is one
LARGEST = 2**24  # values that a node may send: beyond it a slip or an attack on the memory


class Tap(NamedTuple):
    """What ``source`` sent ``lag`` steps ago: its spikes, or its membrane (``graded``)."""

    source: str
    graded: bool = False
    lag: int = 0


@dataclass(frozen=True, eq=False)
class Map:
    """A matrix (out, in), and which pairs it joins: elsewhere it is 0."""

    values: FloatArray
    joins: NDArray[np.bool_]

    @staticmethod
    def dense(values: FloatArray) -> Map:
        """One that joins all pairs."""
        return Map(values, np.ones(values.shape, np.bool_))

    @staticmethod
    def identity(size: int) -> Map:
        """One that joins each to itself."""
        return Map(np.eye(size), np.eye(size, dtype=np.bool_))

    def after(self, other: Map) -> Map:
        """``self @ other``."""
        joins = self.joins.astype(np.float32) @ other.joins.astype(np.float32) > 0
        return Map(self.values @ other.values, joins)

    def plus(self, other: Map) -> Map:
        """``self + other``."""
        return Map(self.values + other.values, self.joins | other.joins)


@dataclass(frozen=True, eq=False)
class Signal:
    """``sum_tap M_tap tap[k - lag] + constant``, of a ``shape``, flat in the order of C."""

    shape: tuple[int, ...]
    taps: Mapping[Tap, Map]
    constant: FloatArray

    @property
    def size(self) -> int:
        """How many values it has."""
        return len(self.constant)

    def plus(self, other: Signal) -> Signal:
        """``self + other``, of one shape."""
        taps = dict(self.taps)
        for tap, found in other.taps.items():
            taps[tap] = taps[tap].plus(found) if tap in taps else found
        return Signal(self.shape, taps, self.constant + other.constant)

    def mapped(
        self, matrix: Map, shape: tuple[int, ...], bias: FloatArray | float = 0.0
    ) -> Signal:
        """``matrix @ self + bias``."""
        taps = {tap: matrix.after(found) for tap, found in self.taps.items()}
        return Signal(shape, taps, matrix.values @ self.constant + bias)

    def scaled(self, factor: FloatArray) -> Signal:
        """``factor * self``, a factor a value."""
        taps = {
            tap: Map(factor[:, None] * found.values, found.joins)
            for tap, found in self.taps.items()
        }
        return Signal(self.shape, taps, factor * self.constant)


def sent_by(name: str, shape: tuple[int, ...], graded: bool) -> Signal:
    """What neurons or the input send."""
    size = int(np.prod(shape))
    require_room(name, size, size)
    return Signal(shape, {Tap(name, graded): Map.identity(size)}, np.zeros(size))


def require_room(name: str, rows: int, columns: int) -> None:
    """Raise :class:`InterchangeError` for a matrix that is larger than memory allows."""
    if max(rows, columns) > LARGEST or _BYTES * rows * columns > memory():
        raise InterchangeError(
            f"node {name!r} joins {columns} values to {rows}, which takes more memory than there "
            "is. Use smaller layers."
        )
