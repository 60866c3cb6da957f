"""What a kind of branch is: a product of two sums of what arrives at a neuron."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def _nothing(constants: Any) -> str:
    return ""


@dataclass(frozen=True)
class BranchKind:
    """How a branch's value v, gate g, shift t and gain n become the b that is added to u.

    ``loop(value, gate, shift, gain, u)``: ``u += b`` for value, gate and u (B, L, H), shift and
    gain (H,); plain Python over scalars that numba can compile, no fused multiply-add, and the C
    library's functions, so that it is bit for bit what a simulator computes.
    ``bound(v, g, t, n)``: the largest ``|b|`` where ``|value| <= v`` and so on, (H,) each.
    ``graded``: the gate is of membranes, sent as they are, and not of spikes.
    ``fault(branches)``: what its constants may not be, in words; empty where they are sound.
    ``uses``: the constants besides the biases that a simulator needs.
    """

    name: str
    loop: Callable[..., None]
    bound: Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
    graded: bool = False
    fault: Callable[[Any], str] = _nothing
    uses: tuple[str, ...] = ()
