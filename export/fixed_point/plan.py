"""What a population's plan must offer, whichever family its cells are of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Population
from export.fixed_point.weights import Load, WeightPlan
from pynn_models.cells import StateSpaceCell
from pynn_models.spinnaker.synapses import UInt16Array


@dataclass(frozen=True, eq=False)
class Plan(WeightPlan):
    """The integers of one population: how it steps, and what they cost its modes."""

    @abstractmethod
    def step(
        self, network: Network, exc: UInt16Array, inh: UInt16Array, membrane: bool
    ) -> tuple[NDArray[np.bool_], FloatArray | None]:
        """Spikes and, if asked for and known, the membrane of what ring buffers hold, (B, L, H)."""

    @abstractmethod
    def modes(
        self, network: Network, population: Population
    ) -> tuple[NDArray[np.complex128], FloatArray]:
        """abar as the board has it, and log2 of the largest state in units, (H, N) each."""


@dataclass(frozen=True)
class Arithmetic:
    """SpiNNaker's arithmetic for the cells of one family, ``name``.

    ``plan(network, population, load)``: raises what the population cannot be;
    ``instructions(cell)``: of a core, a neuron and tick; ``note``: for the tables;
    ``whole``: the readout's neurons are on the board too.
    """

    name: str
    plan: Callable[[Network, Population, Load], Plan]
    instructions: Callable[[StateSpaceCell], int]
    whole: bool = True
    note: str = ""

    def mapped(self, network: Network) -> tuple[Population, ...]:
        """The populations that are on the board."""
        return network.populations if self.whole else network.layers
