"""What lowering a layer's cells comes to, and the names of a ternary layer's two populations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from export.description.network import FloatArray, Source
from export.lowering.stream import Stream
from pynn_models.cells import LeakyCell, StateSpaceCell
from snn_ssm.config import ModelConfig

NEGATIVE = "_negative"  # ends the name of the population of a ternary layer's spikes -1


@dataclass(frozen=True, eq=False)
class Lowered:
    """A layer's populations, a cell by name, and ``before``: what each of them receives.

    ``margin`` (H,): how far the cells' thresholds are above the trained ones, in their units.
    """

    before: Stream
    cells: Mapping[str, StateSpaceCell | LeakyCell]
    margin: FloatArray


@dataclass(frozen=True)
class Setting:
    """What a layer is lowered for: the network's input, and the timestep in ms."""

    source: Source
    timestep: float


def is_ternary(model: ModelConfig) -> bool:
    """Whether a layer's spikes have a sign, and so need two populations."""
    return model.activation == "ternary-constant"


def negative(name: str) -> str:
    """The name of the twin population, of a ternary layer's spikes -1."""
    return name + NEGATIVE
