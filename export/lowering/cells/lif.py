"""Leaky integrate-and-fire neurons with reset."""

from __future__ import annotations

import numpy as np

from export.lowering.cells.kinds import Lowered, Setting
from export.lowering.errors import LoweringError
from export.lowering.layer import Layer, first_bad
from export.lowering.stream import Stream
from pynn_models.cells import LeakyCell


def lower(layer: Layer, stream: Stream, setting: Setting) -> Lowered:
    """``v[k] = exp(-exp(a)) v[k-1] + u[k]``, a spike where v > level, then 0; ``tau = dt/exp(a)``.

    As native cells they have a hard reset. Raises :class:`LoweringError` for a decay that
    underflows or overflows.
    """
    before = layer.before(stream).on_grid(setting.source)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        rate = np.exp(layer.array("ssm.a"))  # (H,)
        tau = setting.timestep / rate
    sound = np.isfinite(rate) & np.isfinite(tau)
    if not bool(sound.all()):
        index, value = first_bad(rate, sound)
        raise LoweringError(
            f"{layer.where}.ssm: neuron {index} decays by exp(-{value}) a step; expected a "
            "finite, positive rate. Retrain with a lower training.mode_rate."
        )
    cell = LeakyCell(tau=tau, theta=layer.level.value, bias=before.affine.constant)
    made = cell.as_state_space() if setting.cells == "native" else cell
    return Lowered(before, {layer.name: made}, layer.level.margin)
