"""What the mixings share: weights as training used them, and sums of a layer's spikes."""

from __future__ import annotations

import numpy as np

from export.description.network import FloatArray
from export.lowering.affine import Affine
from export.lowering.cells import populations
from export.lowering.layer import Layer, dense


def rounded(weight: FloatArray, bits: int) -> FloatArray:
    """``q rint(W / q)``, ``q = max|W| / (2^(bits - 1) - 1)``: as ``weight_bits`` trained it."""
    largest = float(np.abs(weight).max())
    if bits == 0 or largest == 0:
        return weight
    q = largest / (2 ** (bits - 1) - 1)
    return np.rint(weight / q) * q


def mixing_weights(layer: Layer, rows: int) -> tuple[FloatArray, FloatArray]:
    """``W`` as it was used, (rows, H), and ``b``, (rows,)."""
    weight, bias = dense(layer.arrays, f"{layer.where}.mixing", rows)
    return rounded(weight, layer.model.weight_bits), bias


def of_spikes(layer: Layer, weight: FloatArray, bias: FloatArray) -> Affine:
    """``W s + b``: of ternary spikes, s is those of the layer's population less its twin's, of
    integer ones the sum over its populations'."""
    names = populations(layer.name, layer.model)
    return Affine({name: sign * weight for name, sign in names.items()}, bias)
