"""What lowering a layer's cells comes to, and the names of its populations.

A layer is one population of its name. One of ternary spikes is two: the other, of the spikes -1,
is ``layer0_negative``. Integer spikes are one population's, which sends them as multiplicity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from export.description.network import FloatArray, Source
from export.lowering.stream import Stream
from pynn_models.cells import EgruCell, LeakyCell, StateSpaceCell
from snn_ssm.config import ModelConfig

NEGATIVE = "_negative"  # ends the name of the population of a ternary layer's spikes -1


@dataclass(frozen=True, eq=False)
class Lowered:
    """A layer's populations, a cell by name, and ``before``: what each of them receives.

    ``others``: likewise at receptors of the cells' own, by their names.
    ``margin`` (H,): how far the cells' thresholds are above the trained ones, in their units.
    """

    before: Stream
    cells: Mapping[str, StateSpaceCell | LeakyCell | EgruCell]
    margin: FloatArray
    others: Mapping[str, Stream] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What a layer is lowered for: the network's input, the timestep in ms, the family of cells.

    ``messages``: what is sent of integer spikes.
    """

    source: Source
    timestep: float
    cells: str
    messages: str = "counts"


def is_ternary(model: ModelConfig) -> bool:
    """Whether a layer's spikes have a sign, and so need two populations."""
    return model.activation == "ternary-constant"


def negative(name: str) -> str:
    """The name of the twin population, of a ternary layer's spikes -1."""
    return name + NEGATIVE


def integer_levels(model: ModelConfig) -> int:
    """The most spikes of a neuron in a step: D, else 1."""
    return model.spike_levels if model.activation == "integer" else 1


def populations(name: str, model: ModelConfig) -> dict[str, float]:
    """The names of a layer's populations, and how often a spike of each counts in its output."""
    if is_ternary(model):
        return {name: 1.0, negative(name): -1.0}
    return {name: 1.0}
