"""Gated spiking units: a value of the layer's spikes, a gate of its membrane, sent graded."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from export.description.network import FloatArray
from export.lowering.affine import Affine, Tap
from export.lowering.layer import Layer, batch_norm
from export.lowering.mixing.weights import mixing_weights, of_spikes
from export.lowering.stream import Branch, Stream

_GSU_THRESHOLD = 0.15  # of the largest weight


class GsuBranch(Branch):
    """``gain GELU(v g + shift)``; its gate is linear in the membrane."""

    kind: ClassVar[str] = "gsu"
    graded: ClassVar[bool] = True


def ternary(weight: FloatArray) -> FloatArray:
    """``T(G) = (G > q) - (G < -q)``, ``q = 0.15 max|G|``.

    Source: Stan & Rhodes, arXiv 2401.00955, section 2 (GSU).
    """
    q = _GSU_THRESHOLD * np.abs(weight).max()
    return (weight > q).astype(np.float64) - (weight < -q)


def output(layer: Layer) -> Stream:
    """``GELU(n_s (W s + b) (T(G) y) + n_t)``, G = W, or a matrix of its own.

    n_s, n_t: the batch norm of the product. What a norm on the membrane adds to y is a constant.
    """
    h, prefix = layer.model.channels, f"{layer.where}.mixing"
    zero, one = np.zeros(h), np.ones(h)
    scale, shift = batch_norm(layer.arrays, f"{prefix}.norm") or (one, zero)
    own = f"{prefix}.gate_weight" in layer.arrays
    gates = layer.array("mixing.gate_weight" if own else "mixing.weight")
    value = of_spikes(layer, *mixing_weights(layer, h)).scaled(scale)
    signs = ternary(gates)
    gate = Affine({Tap(layer.name): signs}, signs @ layer.membrane_norm[1])
    return Stream(Affine({}, zero), (GsuBranch(value, gate, shift=shift, gain=one),))
