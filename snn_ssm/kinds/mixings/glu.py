"""Gated linear units: ``(v, g) = W s + b``, ``o = v sigmoid(g)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from snn_ssm.kinds.bounds import FEW, UNIT, Arrays, Bounded, weighted_sum
from snn_ssm.kinds.mixings.kind import MixingKind
from snn_ssm.kinds.shapes import Shapes, linear_shapes

if TYPE_CHECKING:
    from snn_ssm.config import ModelConfig


def _shapes(prefix: str, model: ModelConfig) -> Shapes:
    return linear_shapes(prefix, 2 * model.channels, model.channels)


def _bound(arrays: Arrays, prefix: str, model: ModelConfig) -> Bounded:
    """``|v sigmoid(g)| <= |v|``, and its slope in g is at most |v|/4."""
    value = weighted_sum(arrays, prefix, model, slice(model.channels))
    gate = weighted_sum(arrays, prefix, model, slice(model.channels, None))
    error = value.on_grid + FEW * UNIT * value.size + value.size * gate.on_grid / 4
    return Bounded(value.size, error, value.constant, np.full(model.channels, np.inf), 0.0)


GLU = MixingKind("glu", module="snn_ssm.model.mixing:GluMixing", shapes=_shapes, bound=_bound)
