"""Names and shapes of the arrays that kinds of layers share."""

from __future__ import annotations

Shapes = dict[str, tuple[int, ...]]


def norm_shapes(prefix: str, norm: str, channels: int) -> Shapes:
    """Of a norm over the channels: ``batch``, ``layer`` or ``none``."""
    leaves = {"batch": ("weight", "bias", "running_mean", "running_var"),
              "layer": ("weight", "bias")}.get(norm, ())
    shapes: Shapes = {f"{prefix}.{leaf}": (channels,) for leaf in leaves}
    if norm == "batch":
        shapes[f"{prefix}.num_batches_tracked"] = ()
    return shapes


def linear_shapes(prefix: str, outputs: int, inputs: int, bias: bool = True) -> Shapes:
    """Of an affine map, (to, from)."""
    shapes: Shapes = {f"{prefix}.weight": (outputs, inputs)}
    return shapes | {f"{prefix}.bias": (outputs,)} if bias else shapes
