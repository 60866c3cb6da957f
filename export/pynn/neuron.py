"""PyNN on NEURON: stock and LIF cells, both as its ``IF_curr_exp``; it has no ``IF_curr_delta``.

NEURON notices that V is above its threshold only where V was below it a step before, and a stock
cell may spike at every step. So NEURON's step is half of the network's, ``h = timestep / 2``, and
in the second half V is held down. V is computed implicitly, and a synaptic current exactly::

    V(t + h) = (V(t) + h I(t) / C) / (1 + h / tau_m),   I(t + h) = exp(-h/tau_syn) I(t)

where I(t) has the spikes that arrive at t. So what arrives at a whole step s is seen at s + 1/2,
where the neuron spikes, in the same step of the network: no lag. A spike travels for half a step
less than its delay, and arrives at a whole step again.

V is in units of 2^-60 mV: NEURON takes a membrane's conductance from two currents that lie
0.001 mV apart, and only beside a V so small is that difference free of rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from export.description.network import FloatArray, Network, Population
from export.pynn.backend import whole_segment
from export.pynn.standard import FAR, Held, Standard, checked_tau, checked_theta, hold, tiled

_UNIT = 2.0**-60  # mV: one of the network's
# uS: of a membrane. PyNN's compartments have some 1e-12 uS of their own; 1e12 clamp V.
_CONDUCTANCE = 1024.0
_FORGETS = 2.0**-60  # of a stock membrane's own V, what is left after half a step
_BRIEF = 1e-3  # of half a step: the time constant of a LIF cell's input, gone in the next


class Recorder(NamedTuple):
    """A PyNN population whose V is recorded, and the thresholds of its neurons, in its unit."""

    population: Any
    theta: FloatArray | None


class Neuron(Standard):
    """What both kinds of cell have in common."""

    module = "pyNN.neuron"
    lag = 0
    substeps = 2
    copies: int | None = 4  # a neuron is a compartment of its own, and costs its time
    stamp = 0.5

    def connect(self, sim: Any, rows: FloatArray, pre: Any, post: Any) -> dict[str, Any]:
        half = np.array([0.0, 0.0, 0.0, float(sim.get_time_step())])
        return super().connect(sim, rows - half, pre, post)

    def _made(self, sim: Any, network: Network, population: Population, copies: int) -> Any:
        """The cells, each with the V that it starts from."""
        parameters = tiled(self.parameters(population, network.timestep), copies)
        made = sim.Population(
            copies * population.size, sim.IF_curr_exp(**parameters), label=population.name
        )
        start(made, self.initial(network, population), copies)
        return made


class NeuronStock(Neuron):
    """Stock cells: ``tau_m = h 2^-60`` forgets V, and ``V = I / 1024 uS``.

    In the second half of a step a refractory time of h holds V at V_reset. A neuron of a threshold
    below 0 could rise above it in between, as I decays, and would spike before its first step:
    there a current, too, holds V down in every second half, and before that step.
    What remains is the rounding of float64, once more for half a step than elsewhere, and of such a
    current's neurons relative to the largest membrane that they can have.
    """

    cells = "stock"

    def scale(self, population: Population, timestep: float) -> FloatArray:
        return np.full(population.size, _UNIT * _CONDUCTANCE)

    def parameters(self, population: Population, timestep: float) -> dict[str, FloatArray]:
        tau = checked_tau(population, timestep)
        tau_m = np.full_like(tau, timestep / 2 * _FORGETS)
        theta = np.minimum(population.cell.theta, FAR)
        return {
            "tau_m": tau_m, "cm": tau_m * _CONDUCTANCE, "tau_syn_E": tau, "tau_syn_I": tau,
            "tau_refrac": np.full_like(tau, timestep / 2), "v_rest": np.zeros_like(tau),
            "v_thresh": theta * _UNIT, "v_reset": -(np.abs(theta) + 1.0) * _UNIT,
            "i_offset": np.zeros_like(tau),
        }

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        made = self._made(sim, network, population, copies)
        held = self.held(network, population, first_step)
        hold(sim, made, held, population.size, copies)
        return made

    def _down(self, network: Network, population: Population) -> FloatArray:
        """What no membrane gets above a threshold from, (H,), in the network's unit."""
        return -(highest(network, population) + 2 * np.abs(population.cell.theta) + 1.0)

    def initial(self, network: Network, population: Population) -> FloatArray:
        below = population.cell.theta < 0
        return np.where(below, self._down(network, population), 0.0) * _UNIT

    def held(self, network: Network, population: Population, first_step: int) -> Held | None:
        neurons = np.flatnonzero(population.cell.theta < 0)
        if len(neurons) == 0:
            return None
        whole = (first_step + np.arange(network.steps)) * network.timestep
        halves = np.column_stack([whole, whole + network.timestep / 2])
        down = self._down(network, population)[neurons, None] * _UNIT * _CONDUCTANCE
        free = np.tile([0.0, 1.0], network.steps)
        return Held(
            neurons, np.concatenate([[0.0], halves.ravel()]), down * np.concatenate([[1.0], free])
        )

    def record_membrane(self, population: Any) -> Any:
        population.record("v")
        return Recorder(population, None)

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        return recorded(recorder)[first_step:]


class NeuronLif(Neuron):
    """LIF cells: an ``IF_curr_exp`` whose synaptic current lasts for half a step.

    ``1 + h / tau_m = exp(h / tau)``, so that two halves decay as a step should, and the weights
    make up for the half step in which V is compared. A spike resets V to 0 at once. What remains is
    the rounding of float64. The membrane is given as elsewhere, after the reset.
    """

    cells = "lif"

    def _growth(self, population: Population, timestep: float) -> FloatArray:
        """``exp(h / tau) - 1``, (H,)."""
        tau = population.kind.linear(population.cell).tau[:, 0]
        return np.expm1(timestep / 2 / tau)

    def scale(self, population: Population, timestep: float) -> FloatArray:
        # V gains h w / C / (1 + h / tau_m), of C = 1024 h, and is to gain w.
        return (1.0 + self._growth(population, timestep)) * _UNIT * _CONDUCTANCE

    def parameters(self, population: Population, timestep: float) -> dict[str, FloatArray]:
        half, theta = timestep / 2, checked_theta(population)
        zero = np.zeros_like(theta)
        return {
            "tau_m": half / self._growth(population, timestep),
            "cm": np.full_like(theta, half * _CONDUCTANCE),
            "tau_syn_E": np.full_like(theta, _BRIEF * half),
            "tau_syn_I": np.full_like(theta, _BRIEF * half),
            "tau_refrac": zero, "v_rest": zero, "v_thresh": theta * _UNIT, "v_reset": zero,
            "i_offset": zero,
        }

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        made = self._made(sim, network, population, copies)
        self.constant(sim, network, population, first_step, made, copies)
        return made

    def record_membrane(self, population: Any) -> Any:
        population.record("v")
        return Recorder(population, np.array(population.get("v_thresh")))

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        """NEURON records V before the reset."""
        found = recorded(recorder)[first_step:]
        return np.where(found > recorder.theta / _UNIT, 0.0, found)


def start(made: Any, v: FloatArray, copies: int) -> None:
    """Let V of each neuron (H,), of so many copies, start at v, mV.

    Of the -65 mV that a new section has, NEURON's first step leaves a trace of 1e-11 mV, also
    where PyNN initialises V.
    """
    made.initialize(v=np.tile(v, copies))
    for cell, value in zip(made.all_cells, np.tile(v, copies), strict=True):
        cell._cell.v = float(value)


def recorded(recorder: Recorder) -> FloatArray:
    """V at s + 1/2 of each step s, (steps, neurons), in the network's unit."""
    population = recorder.population
    signal = whole_segment(population.get_data("v"), population.label).analogsignals[0]
    return np.asarray(signal.magnitude)[1::2] / _UNIT


def highest(network: Network, population: Population) -> FloatArray:
    """A bound of the membranes of stock cells (H,): ``sum of positive weights / (1 - decay)``."""
    decay = np.exp(-network.timestep / population.state_space.tau[:, 0])
    total = np.zeros(population.size)
    for projection in network.incoming(population.name):
        total += np.maximum(projection.weights, 0.0).sum(0)
    return total / (1.0 - decay)
