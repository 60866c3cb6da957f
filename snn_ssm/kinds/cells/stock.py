"""Stock cells: one real mode a neuron, nothing that a simulator's ``IF_curr_exp`` lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from snn_ssm.grids import DECAY_GRID, FASTEST_DECAY, SLOWEST_DECAY
from snn_ssm.kinds.bounds import (
    FEW,
    UNIT,
    Arrays,
    Bounded,
    Level,
    array,
    level_of,
    norm_of,
    reach_of,
)
from snn_ssm.kinds.cells.kind import TrainedCell, one_decay

if TYPE_CHECKING:
    from snn_ssm.config import ModelConfig


def _level(arrays: Arrays, layer: int, model: ModelConfig, u: Bounded, steps: int) -> Level:
    rate = np.exp(array(arrays, f"blocks.{layer}.ssm.a"))
    n = np.clip(np.rint(rate * DECAY_GRID), SLOWEST_DECAY, FASTEST_DECAY)
    reach = reach_of(-np.expm1(-n / DECAY_GRID), steps)
    error = reach * (u.on_grid + FEW * UNIT * u.size)
    x = Bounded(reach * u.size, error, reach * u.constant, reach * u.least, 0.0)
    y = x.normed(*norm_of(arrays, f"blocks.{layer}.norm"))
    return level_of(np.zeros(model.channels), y.error, y.smallest)


STOCK = TrainedCell(
    "stock",
    layer="snn_ssm.model.stock:StockLayer",
    shapes=one_decay,
    level=_level,
    fixed={
        "mode_init": "s4d-real", "modes": 1, "n_ssm": 0, "norm": "batch", "bidirectional": False,
        "encoder": "linear", "discretisation": "zoh", "activation": "heaviside",
        "membrane_norm": False, "mixing": "linear",
        "reset": "none", "refractory": 0, "history": 0,
    },
)
