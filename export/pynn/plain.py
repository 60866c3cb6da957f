"""Standard cells by PyNN's own means alone, for scripts to read: :mod:`export.pynn.script`.

Where a backend keeps weights exact by going below PyNN, these do not: PyNN's factors between its
units and a simulator's round a weight, by one part in 10^16.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.description.network import FloatArray, Network, Population
from export.pynn.neuron import NeuronLif, NeuronStock
from export.pynn.standard import Held, Standard, curr_delta, curr_exp, held_until

_FORGETS = 300.0
_HELD_DOWN = -1e300  # mV, for the two steps before which no current acts in NEST


class PlainStock(Standard):
    """``IF_curr_exp`` where it is integrated exactly: V(s) = x(s - 1)."""

    cells = "stock"
    lag = 1
    copies: int | None = 1

    def parameters(self, population: Population, timestep: float) -> dict[str, FloatArray]:
        return curr_exp(population, timestep, _FORGETS)

    def scale(self, population: Population, timestep: float) -> FloatArray:
        return np.ones(population.size)

    def held(self, network: Network, population: Population, first_step: int) -> Held | None:
        found = self.parameters(population, network.timestep)
        amplitudes = found["v_reset"] * found["cm"] / found["tau_m"]
        return held_until(population, first_step, network.timestep, amplitudes)


class PlainLif(Standard):
    """``IF_curr_delta``."""

    cells = "lif"
    lag = 1
    copies: int | None = 1

    def parameters(self, population: Population, timestep: float) -> dict[str, FloatArray]:
        return curr_delta(population)

    def scale(self, population: Population, timestep: float) -> FloatArray:
        return np.ones(population.size)


def _reached(parameters: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """The same with the next thresholds: NEST compares with >=."""
    return parameters | {"v_thresh": np.nextafter(parameters["v_thresh"], np.inf)}


class NestPlainStock(PlainStock):
    """In NEST, where devices act from the second step on."""

    module = "pyNN.nest"
    stamp: float = 1

    def first_input(self, network: Network) -> int:
        return 1

    def parameters(self, population: Population, timestep: float) -> dict[str, FloatArray]:
        return _reached(super().parameters(population, timestep))

    def initial(self, network: Network, population: Population) -> FloatArray:
        return np.where(population.cell.theta < 0, _HELD_DOWN, 0.0)

    def held(self, network: Network, population: Population, first_step: int) -> Held | None:
        found = super().held(network, population, first_step)
        return found and found._replace(times=np.array([2, first_step]) * network.timestep)


class NestPlainLif(PlainLif):
    """In NEST."""

    module = "pyNN.nest"
    stamp: float = 1
    lag = 0

    def first_input(self, network: Network) -> int:
        return 1

    def parameters(self, population: Population, timestep: float) -> dict[str, FloatArray]:
        return _reached(super().parameters(population, timestep))


class Brian2PlainStock(PlainStock):
    """In Brian 2."""

    module = "pyNN.brian2"


class Brian2PlainLif(PlainLif):
    """In Brian 2, with the order of a step of `export.pynn.brian2.Brian2Lif`."""

    module = "pyNN.brian2"


PLAIN: dict[str, tuple[type[Any], ...]] = {
    "nest": (NestPlainStock, NestPlainLif),
    "brian2": (Brian2PlainStock, Brian2PlainLif),
    "neuron": (NeuronStock, NeuronLif),
}
