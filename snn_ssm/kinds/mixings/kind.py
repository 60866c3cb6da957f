"""What a kind of mixing is to those who do not train: arrays, a bound, where its module is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snn_ssm.kinds.bounds import Arrays, Bounded
from snn_ssm.kinds.shapes import Shapes

if TYPE_CHECKING:
    from snn_ssm.config import ModelConfig


@dataclass(frozen=True)
class MixingKind:
    """What one layer's outputs contribute to the residual stream.

    ``module``: the torch class, ``"package.module:Class"``, made of a ``ModelConfig``; loaded when
    a model is built. ``shapes(prefix, model)``: its arrays in a checkpoint. ``bound(arrays, prefix,
    model)``: of what it adds. ``activations``: those that it needs; any if empty.
    """

    name: str
    module: str
    shapes: Callable[[str, ModelConfig], Shapes]
    bound: Callable[[Arrays, str, ModelConfig], Bounded]
    activations: tuple[str, ...] = ()
