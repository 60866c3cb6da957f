"""Linear mixing: what a layer adds is affine in its spikes."""

from __future__ import annotations

from export.lowering.layer import Layer
from export.lowering.mixing.weights import learned_delays, mixing_weights, of_spikes
from export.lowering.stream import Stream


def output(layer: Layer) -> Stream:
    """``W s + b``, each weight's s as late as its delay."""
    lags = learned_delays(layer, "mixing", layer.model.delays)
    return Stream(of_spikes(layer, *mixing_weights(layer, layer.model.channels), lags))
