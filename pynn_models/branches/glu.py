"""The gated linear unit: ``b = v / (1 + exp(-g))``, v and g sums of weighted spikes."""

from __future__ import annotations

import math
from typing import Any

from pynn_models.branches.kind import BranchKind, FloatArray


def _loop(value, gate, shift, gain, u):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                u[b, k, h] += value[b, k, h] / (1.0 + math.exp(-gate[b, k, h]))


def _bound(
    value: FloatArray, gate: FloatArray, shift: FloatArray, gain: FloatArray
) -> FloatArray:
    return value  # the sigmoid is below 1


def _fault(branches: Any) -> str:
    if branches.shift.any() or (branches.gain != 1).any():
        return (
            "shift or gain is set, expected 0 and 1 with kind 'glu'. Put factors into the weights "
            "and the bias of the value."
        )
    return ""


GLU = BranchKind("glu", loop=_loop, bound=_bound, fault=_fault)
