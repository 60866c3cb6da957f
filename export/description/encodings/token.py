"""``token``: one channel of symbols, a spike source a symbol, of which one spikes a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.description.encodings.kind import Encoding, Values

if TYPE_CHECKING:
    from export.description.parts import Source


def one_hot(source: Source, samples: NDArray[Any]) -> NDArray[np.uint8]:
    """``s[b, k, i] = 1 if p[b, 0, k] = i else 0``: (B, 1, L) -> (B, L, symbols)."""
    symbols = samples[:, 0].astype(np.int64)[..., None]  # (B, L, 1)
    spikes = np.zeros((*symbols.shape[:2], source.symbols), np.uint8)
    np.put_along_axis(spikes, symbols, 1, axis=2)
    return spikes


def _values(source: Source) -> Values:
    words = f"one of {source.symbols} symbols"
    return Values(source.symbols, words, "Number the symbols as in training.")


TOKEN = Encoding(
    "token",
    size=lambda source: source.symbols,
    emit=one_hot,
    reach=lambda source, matrix: matrix.max(axis=1),
    values=_values,
    words=lambda source: f"{source.symbols} symbols",
    unit=lambda source: "symbol\n(index)",
    symbols=True,
)
