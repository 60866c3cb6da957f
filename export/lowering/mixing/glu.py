"""Gated linear units: a value and a gate, both affine in the layer's spikes."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from export.description.network import FloatArray
from export.lowering.affine import Affine
from export.lowering.layer import Layer
from export.lowering.mixing.weights import mixing_weights, of_spikes
from export.lowering.stream import Branch, Stream


class GluBranch(Branch):
    """``v sigmoid(g)``; shift and gain are 0 and 1, a factor goes into v."""

    kind: ClassVar[str] = "glu"
    graded: ClassVar[bool] = False

    def scaled(self, scale: FloatArray) -> GluBranch:
        return replace(self, value=self.value.scaled(scale))


def output(layer: Layer) -> Stream:
    """``(v, g) = W s + b``, ``v sigmoid(g)``."""
    h = layer.model.channels
    weight, bias = mixing_weights(layer, 2 * h)
    value, gate = (of_spikes(layer, weight[i : i + h], bias[i : i + h]) for i in (0, h))
    zero, one = np.zeros(h), np.ones(h)
    return Stream(Affine({}, zero), (GluBranch(value, gate, shift=zero, gain=one),))
