"""State-space cells: N modes a channel, a threshold; a reset and a threshold history if asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
from snn_ssm.kinds.cells.kind import TrainedCell
from snn_ssm.kinds.shapes import Shapes
from snn_ssm.poles import discretise

if TYPE_CHECKING:
    from snn_ssm.config import ModelConfig

FIRST_STEP = 0.5  # of integer spikes: the next ones are 1 apart


def _shapes(prefix: str, model: ModelConfig) -> Shapes:
    h, n = model.channels, model.modes
    sets = model.n_ssm or h
    parts = (2,) if model.complex_modes else ()
    directions = 2 if model.bidirectional else 1
    shapes = {
        f"{prefix}.a": (sets, n),
        f"{prefix}.b": (sets, n, *parts),
        f"{prefix}.log_dt": (h,),
        f"{prefix}.c": (directions, h, n, *parts),
        f"{prefix}.d": (h,),
    }
    shapes |= {f"{prefix}.omega": (sets, n)} if model.complex_modes else {}
    shapes |= {f"{prefix}.theta": (h,)} if model.reset != "none" else {}
    taken = {"soft": (h, n, *parts), "soma": (h,)}
    return shapes | ({f"{prefix}.r": taken[model.reset]} if model.reset in taken else {})


def _level(arrays: Arrays, layer: int, model: ModelConfig, u: Bounded, steps: int) -> Level:
    where = f"blocks.{layer}.ssm"
    shared = np.arange(model.channels) % (model.n_ssm or model.channels)
    lam = -np.exp(array(arrays, f"{where}.a"))[shared] + 0j  # (H, N)
    b, c = array(arrays, f"{where}.b")[shared], np.abs(array(arrays, f"{where}.c")[0])
    if model.complex_modes:
        lam = lam + 1j * array(arrays, f"{where}.omega")[shared]
        b, c = np.hypot(b[..., 0], b[..., 1]), 2 * c.sum(-1)
    dt = np.exp(array(arrays, f"{where}.log_dt"))
    abar, bbar = discretise(lam, dt, model.discretisation)
    reach = reach_of(1 - np.abs(abar), steps)  # (H, N)
    gain = np.abs(array(arrays, f"{where}.d")) + (c * np.abs(bbar * b) * reach).sum(1)
    theta = np.full(model.channels, FIRST_STEP if model.activation == "integer" else 0.0)
    if model.activation == "ternary-constant":
        theta = np.exp(array(arrays, f"blocks.{layer}.log_threshold"))
    if model.reset != "none":
        theta = array(arrays, f"{where}.theta")
    size = gain * u.size
    if model.reset == "soft":  # what spikes take, besides the input
        r = np.abs(array(arrays, f"{where}.r"))
        r = r.sum(-1) if model.complex_modes else r
        size = size + (c * np.abs(bbar * b) * np.abs(abar) * r * reach).sum(1)
    if model.reset == "soma":
        r = np.abs(array(arrays, f"{where}.r"))
        size = size + (c * np.abs(bbar * b) * np.abs(abar) * reach)[:, -1] * r
    rounding = (model.modes + FEW) * UNIT * size
    y = Bounded(size, gain * u.on_grid + rounding, gain * u.constant, gain * u.least, 0.0)
    if model.membrane_norm:
        y = y.normed(*norm_of(arrays, f"blocks.{layer}.membrane_norm"))
    last = np.abs(theta) + (model.spike_levels if model.activation == "integer" else 0)
    if model.history:
        last = last + np.abs(array(arrays, f"blocks.{layer}.history")).sum(1)
    return level_of(theta, y.error + (4 + model.history) * UNIT * last, y.smallest)


NATIVE = TrainedCell(
    "native", layer="snn_ssm.model.resetting:native_layer", shapes=_shapes, level=_level
)
