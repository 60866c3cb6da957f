"""What a kind of cell is to those who do not train: its arrays, its levels, where its layer is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snn_ssm.kinds.bounds import Arrays, Bounded, Level
from snn_ssm.kinds.shapes import Shapes

if TYPE_CHECKING:
    from snn_ssm.config import ModelConfig


@dataclass(frozen=True)
class TrainedCell:
    """The neurons of one layer, as they are trained.

    ``layer``: the torch class, or a function that makes one, ``"package.module:Name"``, of a
    ``ModelConfig`` and a generator; loaded when a model is built. ``shapes(prefix, model)``: its
    arrays in a checkpoint.
    ``level(arrays, layer, model, u, steps)``: where its neurons spike, for an input u so bounded.
    ``fixed``: values that the other keys of a model must have with these cells. ``values``: a spike
    carries a number, its membrane. ``matrices``: its own ones by the last part of their names, and
    whether they multiply the layer's output of the step before (else its input); ``state_macs``:
    the multiplications of a neuron's state in a step, beside those of matrices and modes.
    """

    name: str
    layer: str
    shapes: Callable[[str, ModelConfig], Shapes]
    level: Callable[[Arrays, int, ModelConfig, Bounded, int], Level]
    fixed: Mapping[str, object] = field(default_factory=dict)
    values: bool = False
    matrices: Mapping[str, bool] = field(default_factory=dict)
    state_macs: int = 1


def one_decay(prefix: str, model: ModelConfig) -> Shapes:
    """A decay a neuron is all that is trained of it."""
    return {f"{prefix}.a": (model.channels,)}
