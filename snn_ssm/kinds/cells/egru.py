"""Event-based gated recurrent units, recurrent by themselves; an event carries the unit's state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from snn_ssm.kinds.bounds import FEW, UNIT, Arrays, Bounded, FloatArray, Level, array, level_of
from snn_ssm.kinds.cells.kind import TrainedCell
from snn_ssm.kinds.shapes import Shapes

if TYPE_CHECKING:
    from snn_ssm.config import ModelConfig

GATES = ("update", "reset", "candidate")
"""The rows of its matrices: H of each, in this order."""


def _shapes(prefix: str, model: ModelConfig) -> Shapes:
    h = model.channels
    return {
        f"{prefix}.weight": (3 * h, h), f"{prefix}.bias": (3 * h,),
        f"{prefix}.recurrent_weight": (3 * h, h), f"{prefix}.recurrent_bias": (h,),
        f"{prefix}.threshold_logit": (h,),
    }  # fmt: skip


def threshold(logit: FloatArray) -> FloatArray:
    """``theta = 1 / (1 + exp(-logit))``, between 0 and 1."""
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-logit)))


def _level(arrays: Arrays, layer: int, model: ModelConfig, u: Bounded, steps: int) -> Level:
    """What rounds within a step: the input's sums, of which a gate passes on a quarter at most.

    As of a gated spiking unit's products, what the state brings along from the steps before has no
    useful bound, and is left out.
    """
    where, h = f"blocks.{layer}.ssm", model.channels
    theta = threshold(array(arrays, f"{where}.threshold_logit"))
    weight = np.abs(array(arrays, f"{where}.weight"))
    own = np.abs(array(arrays, f"{where}.recurrent_weight")).sum(1)  # of values up to 1
    size = weight @ u.size + np.abs(array(arrays, f"{where}.bias")) + own
    error = weight @ u.on_grid + (2 * h + FEW) * UNIT * size  # (3 H,)
    update, reset, candidate = error.reshape(3, h)
    multiplied = own[2 * h :] + np.abs(array(arrays, f"{where}.recurrent_bias"))
    margin = update / 2 + reset * multiplied / 4 + candidate + FEW * UNIT
    return level_of(theta, margin, np.zeros(h))


EGRU = TrainedCell(
    "egru",
    layer="snn_ssm.model.egru:EgruLayer",
    shapes=_shapes,
    level=_level,
    fixed={
        "bidirectional": False, "activation": "heaviside", "membrane_norm": False,
        "mixing": "linear", "quantise_decays": False, "recurrent": False, "delays": 0,
        "reset": "none", "refractory": 0, "history": 0,
    },
    values=True,
    matrices={"weight": False, "recurrent_weight": True},
    state_macs=3,
)
