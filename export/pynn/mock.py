"""PyNN's mock simulator: stock and LIF networks are built, and nothing is computed.

It takes part for those who try a script without a simulator. What it would record is not read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.description.network import FloatArray, Network, Population
from export.pynn.backend import BackendError
from export.pynn.standard import Standard, curr_delta, curr_exp, tiled

_FORGETS = 300.0


class Mock(Standard):
    """What both kinds of cell have in common."""

    module = "pyNN.mock"
    lag = 1
    copies: int | None = 1

    def model(self, sim: Any) -> Any:
        """The cell type."""
        raise NotImplementedError

    def scale(self, population: Population, timestep: float) -> FloatArray:
        return np.ones(population.size)

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        parameters = tiled(self.parameters(population, network.timestep), copies)
        cell = self.model(sim)(**parameters)
        made = sim.Population(copies * population.size, cell, label=population.name)
        self.constant(sim, network, population, first_step, made, copies)
        return made

    def check_ran(self) -> None:
        raise BackendError(
            "pyNN.mock computes nothing, and records random spikes. Use it to try a script; to "
            "run the network take nest, brian2, neuron or software."
        )

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        raise NotImplementedError  # nothing is read


class MockStock(Mock):
    """Stock cells as ``IF_curr_exp``."""

    cells = "stock"

    def model(self, sim: Any) -> Any:
        return sim.IF_curr_exp

    def parameters(self, population: Population, timestep: float) -> dict[str, FloatArray]:
        return curr_exp(population, timestep, _FORGETS)


class MockLif(Mock):
    """LIF cells as PyNN's ``IF_curr_delta``, which its mock simulator leaves out."""

    cells = "lif"

    def model(self, sim: Any) -> Any:
        from pyNN.standardmodels import build_translations, cells

        names = cells.IF_curr_delta.default_parameters
        same = {"translations": build_translations(*((name, name) for name in names))}
        return type("IF_curr_delta", (cells.IF_curr_delta,), same)

    def parameters(self, population: Population, timestep: float) -> dict[str, FloatArray]:
        return curr_delta(population)
