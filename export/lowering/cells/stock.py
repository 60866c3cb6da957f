"""Stock cells: one real mode a neuron, which is the synaptic current of ``IF_curr_exp``."""

from __future__ import annotations

import numpy as np

from export.description.network import FloatArray
from export.lowering.cells.kinds import Lowered, Setting
from export.lowering.errors import LoweringError
from export.lowering.layer import Layer
from export.lowering.stream import Stream
from pynn_models.cells import StateSpaceCell
from snn_ssm.grids import DECAY_GRID, FASTEST_DECAY, SLOWEST_DECAY


def lower(layer: Layer, stream: Stream, setting: Setting) -> Lowered:
    """``x[k] = exp(-n/2^15) x[k-1] + u[k]``, spike iff ``x > theta``.

    Training's batch norm is on the membrane: ``g x + t > m`` is ``sign(g) x > (m - t)/|g|``, m the
    level. The sign, (H,), goes into the weights, the rest is theta. n is the integer that training
    used. Raises :class:`LoweringError` for a scale g of 0 or a decay that overflows.
    """
    scale, shift = _nonzero_norm(layer)
    with np.errstate(over="ignore"):
        rate = np.exp(layer.array("ssm.a"))  # (H,)
    if not bool(np.isfinite(rate).all()):
        raise LoweringError(
            f"{layer.where}.ssm: a decay overflows. Retrain with a lower training.mode_rate."
        )
    n = np.clip(np.rint(rate * DECAY_GRID), SLOWEST_DECAY, FASTEST_DECAY)
    cell = StateSpaceCell(
        tau=setting.timestep * (DECAY_GRID / n)[:, None],
        c_re=np.ones((len(n), 1)),
        d=np.zeros(len(n)),
        theta=(layer.level.value - shift) / np.abs(scale),
        bias=np.zeros(len(n)),
    )
    before = stream.scaled(np.sign(scale)).on_grid(setting.source)
    return Lowered(before, {layer.name: cell}, layer.level.margin / np.abs(scale))


def _nonzero_norm(layer: Layer) -> tuple[FloatArray, FloatArray]:
    norm = layer.norm
    if norm is None or not bool((norm[0] != 0).all()):
        raise LoweringError(
            f"{layer.where}.norm: a scale of 0 leaves a neuron without input. Retrain, or prune "
            "the channel."
        )
    return norm
