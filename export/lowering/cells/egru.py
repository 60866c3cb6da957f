"""Event-based gated recurrent units: a gate's matrix times the stream is a receptor's input."""

from __future__ import annotations

import numpy as np

from export.lowering.affine import Affine, Tap
from export.lowering.cells.kinds import Lowered, Setting
from export.lowering.layer import Layer
from export.lowering.stream import Stream
from pynn_models.cells import EgruCell


def lower(layer: Layer, stream: Stream, setting: Setting) -> Lowered:
    """Receptor a of x = norm(stream) receives ``W_a x[k] + b_a``, and ``R_a y[k-1]`` of its own.

    The candidate's two parts, which the reset gate tells apart, are the receptors ``input`` and
    ``recurrent``; those of update and reset gate receive both parts. The threshold is the level.
    """
    h = layer.model.channels
    x = layer.before(stream).affine
    weight, bias = layer.array("ssm.weight"), layer.array("ssm.bias")
    own = layer.array("ssm.recurrent_weight")
    none = np.zeros(h)

    def forward(part: int) -> Affine:
        rows = slice(part * h, (part + 1) * h)
        return x.mapped(weight[rows], bias[rows])

    def recurrent(part: int, constant: np.ndarray = none) -> Affine:
        rows = slice(part * h, (part + 1) * h)
        return Affine({Tap(layer.name, 1): own[rows]}, constant, {}, frozenset([layer.name]))

    forms = {
        "input": forward(2),
        "update": forward(0).plus(recurrent(0)),
        "reset": forward(1).plus(recurrent(1)),
        "recurrent": recurrent(2, layer.array("ssm.recurrent_bias")),
    }
    at = {name: Stream(form).on_grid(setting.source) for name, form in forms.items()}
    before = at.pop("input")
    cell = EgruCell(
        theta=layer.level.value,
        bias=before.affine.constant,
        **{f"{name}_bias": one.affine.constant for name, one in at.items()},
    )
    return Lowered(before, {layer.name: cell}, layer.level.margin, at)
