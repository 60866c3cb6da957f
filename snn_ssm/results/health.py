"""Layers that do not work, told from how often their neurons were active. Imports no torch."""

from __future__ import annotations

from snn_ssm.config import SPIKES, ModelConfig
from snn_ssm.results.metrics import Activity

SILENT, SATURATED = 1e-3, 0.95  # shares of a layer's outputs that are not 0
DEAD = 0.5  # of a layer's neurons that never, or always, are active


def layer_warnings(activity: Activity, model: ModelConfig) -> list[str]:
    """A line for each layer that is silent, saturated, or of which half is dead, with a remedy.

    Silent: fewer than 0.1 % of its outputs are not 0. Saturated: more than 95 %. A neuron is dead
    that in all samples is active never, or at every step. Of a model without spikes there are none.
    """
    if model.activation not in SPIKES or model.architecture == "transformer":
        return []
    slots = round(activity.samples * activity.steps)
    found = []
    for layer, (share, active) in enumerate(zip(activity.shares, activity.active, strict=True)):
        never, always = int((active == 0).sum()), int((active == slots).sum())
        where = f"layer {layer}"
        if share < SILENT:
            found.append(
                f"{where} is silent: {share:.2%} of its outputs are spikes, and little of the "
                f"input gets through. {_QUIET}"
            )
        elif share > SATURATED:
            found.append(
                f"{where} is saturated: {share:.2%} of its outputs are spikes, which tell little "
                f"apart. {_LOUD}"
            )
        elif never + always > DEAD * len(active):
            found.append(
                f"{where} is half dead: of {len(active)} neurons {never} never spike and {always} "
                f"spike at every step. {_QUIET if never >= always else _LOUD}"
            )
    return found


_QUIET = (
    "Scale the input (model.input_scale), set model.membrane_norm = true, lower training.rate or "
    "training.rate_penalty, or take fewer channels."
)
_LOUD = (
    "Scale the input (model.input_scale), set model.membrane_norm = true, lower training.rate, or "
    "penalise spikes (training.rate_penalty)."
)
