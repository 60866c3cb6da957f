"""A trained layer -> the cells of its populations, one file a kind of cell and one line here."""

from __future__ import annotations

from collections.abc import Callable

from export.lowering.cells import egru, lif, native, stock
from export.lowering.cells.kinds import (
    NEGATIVE,
    Lowered,
    Setting,
    integer_levels,
    is_ternary,
    negative,
    populations,
)
from export.lowering.layer import Layer
from export.lowering.stream import Stream

__all__ = [
    "CELLS",
    "NEGATIVE",
    "Lowered",
    "Setting",
    "integer_levels",
    "is_ternary",
    "negative",
    "populations",
]

# Given the stream before the layer; raises LoweringError for arrays that are no such cell.
CELLS: dict[str, Callable[[Layer, Stream, Setting], Lowered]] = {
    "native": native.lower,
    "stock": stock.lower,
    "lif": lif.lower,
    "egru": egru.lower,
}
