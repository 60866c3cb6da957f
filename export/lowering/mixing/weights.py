"""What the mixings share: weights as training used them, and sums of a layer's spikes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray
from export.lowering.affine import Affine, Tap
from export.lowering.cells import integer_levels, populations
from export.lowering.layer import Layer, dense
from export.lowering.stream import Stream
from snn_ssm.delays import whole_delays


def rounded(weight: FloatArray, bits: int) -> FloatArray:
    """``q rint(W / q)``, ``q = max|W| / (2^(bits - 1) - 1)``: as ``weight_bits`` trained it."""
    largest = float(np.abs(weight).max())
    if bits == 0 or largest == 0:
        return weight
    q = largest / (2 ** (bits - 1) - 1)
    return np.rint(weight / q) * q


def mixing_weights(layer: Layer, rows: int) -> tuple[FloatArray, FloatArray]:
    """``W`` as it was used, (rows, H), and ``b``, (rows,)."""
    weight, bias = dense(layer.arrays, f"{layer.where}.mixing", rows)
    return rounded(weight, layer.model.weight_bits), bias


def of_spikes(
    layer: Layer, weight: FloatArray, bias: FloatArray, lags: NDArray[np.int64] | None = None
) -> Affine:
    """``W s + b``: of ternary spikes, s is those of the layer's population less its twin's.
    ``lags`` (to, from), or (from,), of each weight: steps by which s is late; None: none."""
    late = np.broadcast_to(0 if lags is None else lags, weight.shape)
    taps = {int(lag): np.where(late == lag, weight, 0.0) for lag in np.unique(late)}
    names, levels = populations(layer.name, layer.model), integer_levels(layer.model)
    return Affine(
        {
            Tap(name, lag): sign * part
            for name, sign in names.items()
            for lag, part in taps.items()
        },
        bias,
        dict.fromkeys(names, levels) if levels > 1 else {},
        frozenset(names if layer.model.sends_values else ()),
    )


def learned_delays(layer: Layer, part: str, largest: int) -> NDArray[np.int64] | None:
    """The whole delays of a layer's ``mixing`` or ``recurrent`` matrix; None: it has none."""
    if not largest:
        return None
    return whole_delays(layer.array(f"{part}.delays.position"), largest)


def recurrent(layer: Layer) -> Stream:
    """``sum_j R_hj s_j[k - 1 - d_hj]``: what a layer's own spikes bring to its input."""
    weight = layer.array("recurrent.weight")
    delays = learned_delays(layer, "recurrent", layer.model.recurrent_delays)
    lags = np.ones(weight.shape, np.int64) if delays is None else 1 + delays
    return Stream(of_spikes(layer, weight, np.zeros(len(weight)), lags))
