"""Affine maps of what a network's sources emit, and the grid on which their sums are exact."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from export.description.network import INPUT_RECEPTOR, FloatArray, Projection, Source

_MANTISSA = 52


@dataclass(frozen=True, eq=False)
class Affine:
    """``sum_source M_source s_source + constant``: ``M`` (H, size of the source), (H,).

    The input counts with one coefficient a channel, (H, C), or a symbol; :func:`on_grid` gives each
    spike source its own.
    """

    matrices: Mapping[str, FloatArray]
    constant: FloatArray

    def scaled(self, scale: FloatArray, shift: FloatArray | float = 0.0) -> Affine:
        """``scale * self + shift``, a value a channel each."""
        matrices = {k: scale[:, None] * m for k, m in self.matrices.items()}
        return Affine(matrices, scale * self.constant + shift)

    def mapped(self, weight: FloatArray, bias: FloatArray) -> Affine:
        """``weight @ self + bias``."""
        matrices = {k: weight @ m for k, m in self.matrices.items()}
        return Affine(matrices, weight @ self.constant + bias)

    def plus(self, other: Affine) -> Affine:
        """``self + other``, for an ``other`` of sources that have no part in ``self`` yet."""
        return Affine({**self.matrices, **other.matrices}, self.constant + other.constant)


def on_grid(form: Affine, source: Source, terms: float = 1) -> Affine:
    """The form with every coefficient rounded so that float64 sums of it are exact in any order.

    R, the power of two at or above the largest sum of ``terms`` steps, bounds every partial sum,
    and multiples of R / 2^52 up to 2 R need no rounding. This is what makes simulators agree to
    the last bit, whichever order they deliver spikes in; it moves a coefficient by at most
    R / 2^53. The input's coefficients, one a channel, become one a spike source here: bit j weighs
    2^j times bit 0, so that both encodings give the same sums. (Real-valued channels are not on a
    grid: for them no sum is exact.)
    """
    bound = np.abs(form.constant)
    for name, matrix in form.matrices.items():
        largest = np.abs(matrix)
        if name != source.name:
            bound = bound + largest.sum(axis=1)
        elif source.encoding == "token":
            bound = bound + largest.max(axis=1)  # one symbol a step
        else:
            bound = bound + largest.sum(axis=1) * max(2.0**source.bits - 1, 1.0)
    top = float(bound.max()) * terms
    grid = 2.0 ** (math.ceil(math.log2(top)) - _MANTISSA) if top > 0 else 1.0
    matrices = {name: np.rint(m / grid) * grid for name, m in form.matrices.items()}
    if source.encoding == "bits" and source.name in matrices:
        unit = matrices[source.name]  # (H, C)
        powers = 2.0 ** np.arange(source.bits)
        matrices[source.name] = (unit[:, :, None] * powers).reshape(len(unit), -1)  # (H, C bits)
    return Affine(matrices, np.rint(form.constant / grid) * grid)


def projections(
    form: Affine,
    target: str,
    latency: Mapping[str, int],
    receptor: str = INPUT_RECEPTOR,
    graded: bool = False,
) -> list[Projection]:
    """One projection a source of the form onto a receptor of ``target``; its constant is left."""
    return [
        Projection(name, target, matrix.T, latency[target] - latency[name], receptor, graded)
        for name, matrix in form.matrices.items()
    ]
