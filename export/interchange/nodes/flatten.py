"""``Flatten``: the same values in another shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.interchange.nodes.kind import NodeRule
from export.interchange.nodes.values import require
from export.interchange.semantics import Sender
from export.interchange.signals import Signal


def _flatten(name: str, node: Any, signal: Signal, sender: Sender) -> Signal:
    """Dimensions ``start_dim`` to ``end_dim`` as one; there is no dimension of samples."""
    count = len(signal.shape)
    given = (np.asarray(node.start_dim), np.asarray(node.end_dim))
    sound = all(d.dtype.kind in "iu" and d.size == 1 for d in given)
    start, end = (int(d.item()) if sound else count for d in given)
    first, last = (d + count if d < 0 else d for d in (start, end))
    require(
        name, 0 <= first <= last < count,
        lambda: f"start_dim {node.start_dim!r} and end_dim {node.end_dim!r} of what arrives, of "
        f"shape {signal.shape}; expected dimensions of that. Samples have none in NIR.",
    )
    middle = int(np.prod(signal.shape[first : last + 1]))
    shape = (*signal.shape[:first], middle, *signal.shape[last + 1 :])
    return Signal(shape, signal.taps, signal.constant)


FLATTEN = NodeRule("Flatten", maps=_flatten)
