"""``Threshold``: a spike where what arrives is above it, without memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.interchange.nodes.kind import Arriving, NodeRule, Stage
from export.interchange.nodes.values import each
from export.interchange.semantics import Sender
from pynn_models.cells import StateSpaceCell


def _threshold(name: str, node: Any, arriving: Arriving, sender: Sender) -> list[Stage]:
    """``z = 1 where v > threshold``; one that is infinite is never passed."""
    theta = each(name, node, "threshold", arriving.size, infinite=True)
    nothing = np.zeros((arriving.size, 0))
    cell = StateSpaceCell(
        tau=nothing, c_re=nothing, d=np.ones(arriving.size), theta=theta,
        bias=np.zeros(arriving.size),
    )
    return [Stage(cell)]


THRESHOLD = NodeRule("Threshold", neurons=_threshold)
