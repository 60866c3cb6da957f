"""Gated spiking units: ``o = GELU(norm((W s + b) * (T(G) y)))``, s ternary spikes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from snn_ssm.kinds.bounds import Arrays, Bounded
from snn_ssm.kinds.mixings.kind import MixingKind
from snn_ssm.kinds.shapes import Shapes, linear_shapes, norm_shapes

if TYPE_CHECKING:
    from snn_ssm.config import ModelConfig


def _shapes(prefix: str, model: ModelConfig) -> Shapes:
    h = model.channels
    shapes = linear_shapes(prefix, h, h) | norm_shapes(f"{prefix}.norm", model.gsu_norm, h)
    if model.gsu_weights == 2:
        shapes[f"{prefix}.gate_weight"] = (h, h)
    return shapes


def _bound(arrays: Arrays, prefix: str, model: ModelConfig) -> Bounded:
    """A product with a membrane: of no useful bound, and left out."""
    nothing = np.zeros(model.channels)
    return Bounded(nothing, nothing, nothing, np.full(model.channels, np.inf), 0.0)


GSU = MixingKind(
    "gsu",
    module="snn_ssm.model.mixing:GsuMixing",
    shapes=_shapes,
    bound=_bound,
    activations=("ternary", "ternary-constant"),
)
