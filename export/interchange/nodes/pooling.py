"""``SumPool2d`` and ``AvgPool2d``: what lies in the padding counts as 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.interchange.nodes.kind import NodeRule
from export.interchange.nodes.values import require, whole
from export.interchange.nodes.windows import windows
from export.interchange.semantics import Sender
from export.interchange.signals import Map, Signal, require_room


def _pool(name: str, node: Any, signal: Signal, average: bool) -> Signal:
    require(
        name, len(signal.shape) == 3,
        lambda: f"what arrives has shape {signal.shape}; expected (channels, height, width).",
    )
    kernel = whole(name, node, "kernel_size", 2, 1)
    stride = whole(name, node, "stride", 2, 1)
    padding = [(n, n) for n in whole(name, node, "padding", 2, 0)]
    found = windows(name, signal.shape[1:], kernel, stride, padding, (1, 1))
    shape = (signal.shape[0], *found.shape)
    require_room(name, int(np.prod(shape)), signal.size)
    space = int(np.prod(signal.shape[1:]))
    values = np.zeros((int(np.prod(shape)), signal.size))
    for c in range(shape[0]):
        values[c * found.size + found.rows, c * space + found.columns] = (
            1 / np.prod(kernel) if average else 1.0
        )
    return signal.mapped(Map(values, values != 0), shape)


def _sum(name: str, node: Any, signal: Signal, sender: Sender) -> Signal:
    """The sum of a window."""
    return _pool(name, node, signal, average=False)


def _average(name: str, node: Any, signal: Signal, sender: Sender) -> Signal:
    """The sum of a window, divided by its size."""
    return _pool(name, node, signal, average=True)


SUM_POOL = NodeRule("SumPool2d", maps=_sum)
AVERAGE_POOL = NodeRule("AvgPool2d", maps=_average)
