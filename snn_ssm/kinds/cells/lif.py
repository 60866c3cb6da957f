"""Leaky integrate-and-fire neurons with a learned decay, reset to 0 by a spike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from snn_ssm.kinds.bounds import FEW, UNIT, Arrays, Bounded, Level, array, level_of, reach_of
from snn_ssm.kinds.cells.kind import TrainedCell, one_decay

if TYPE_CHECKING:
    from snn_ssm.config import ModelConfig

LEAKY_THRESHOLD = 1.0  # of every neuron: norm and weights scale the input to it


def _level(arrays: Arrays, layer: int, model: ModelConfig, u: Bounded, steps: int) -> Level:
    reach = reach_of(-np.expm1(-np.exp(array(arrays, f"blocks.{layer}.ssm.a"))), steps)
    theta = np.full(model.channels, LEAKY_THRESHOLD)
    margin = reach * (u.on_grid + FEW * UNIT * (u.size + theta))
    return level_of(theta, margin, reach * u.smallest)


LIF = TrainedCell(
    "lif",
    layer="snn_ssm.model.lif:LifLayer",
    shapes=one_decay,
    level=_level,
    fixed={
        "bidirectional": False, "activation": "heaviside", "membrane_norm": False,
        "mixing": "linear", "quantise_decays": False,
        "reset": "none", "refractory": 0, "history": 0,
    },
)
