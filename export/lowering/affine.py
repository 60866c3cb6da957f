"""Affine maps of what a network's sources emit, and the grid on which their sums are exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from export.description.network import INPUT_RECEPTOR, FloatArray, Projection, Source

_MANTISSA = 52
_LEAST = -1074  # exponent of the smallest float64


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


def is_real(source: Source) -> bool:
    """Whether the input is of real values, which are on no grid and have no bound."""
    return source.encoding == "current" and source.bits == 0


def _largest_sum(form: Affine, source: Source) -> FloatArray:
    """Of what is on a grid, the largest sum of magnitudes that a step can bring, (H,)."""
    bound = np.abs(form.constant)
    for name, matrix in form.matrices.items():
        largest = np.abs(matrix)
        if name != source.name:
            bound = bound + largest.sum(axis=1)
        elif source.encoding == "token":
            bound = bound + largest.max(axis=1)  # one symbol a step
        elif not is_real(source):
            bound = bound + largest.sum(axis=1) * max(2.0**source.bits - 1, 1.0)
    return bound


def _grid(top: FloatArray) -> FloatArray:
    """``2^-52`` of the power of two at or above ``top``, not below the smallest float64."""
    mantissa, exponent = np.frexp(top)  # top = mantissa 2^exponent, 1/2 <= mantissa < 1
    exponent = exponent - (mantissa == 0.5)
    return np.where(top > 0, np.ldexp(1.0, np.maximum(exponent - _MANTISSA, _LEAST)), 1.0)


def on_grid(form: Affine, source: Source, terms: float = 1) -> Affine:
    """The form with every coefficient rounded so that float64 sums of it are exact in any order.

    Each neuron has a grid of its own, so that one of small weights keeps its precision beside one
    of large ones. R, the power of two at or above its largest sum of ``terms`` steps, bounds every
    partial sum, and multiples of R / 2^52 up to 2 R need no rounding. This is what makes simulators
    agree to the last bit, whichever order they deliver spikes in; it moves a coefficient by at most
    R / 2^53. The input's coefficients, one a channel, become one a spike source here: bit j weighs
    2^j times bit 0, so that both encodings give the same sums. Real-valued channels are on no grid:
    no sum of theirs is exact, their coefficients stay as they are and count in no bound.
    """
    grid = _grid(_largest_sum(form, source) * terms)[:, None]
    matrices = {
        name: m if name == source.name and is_real(source) else np.rint(m / grid) * grid
        for name, m in form.matrices.items()
    }
    if source.encoding == "bits" and source.name in matrices:
        unit = matrices[source.name]  # (H, C)
        powers = 2.0 ** np.arange(source.bits)
        matrices[source.name] = (unit[:, :, None] * powers).reshape(len(unit), -1)  # (H, C bits)
    return Affine(matrices, np.rint(form.constant / grid[:, 0]) * grid[:, 0])


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
