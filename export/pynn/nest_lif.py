"""PyNN on NEST: leaky integrate-and-fire neurons as PyNN's standard ``IF_curr_delta``."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.description.network import FloatArray, Network, Population
from export.pynn.nest import Nest, by_step, multimeter, without_warnings
from export.pynn.standard import checked_theta


class NestLif(Nest):
    """LIF cells: NEST's ``iaf_psc_delta`` as PyNN's ``IF_curr_delta``; no compiler.

    In step s NEST computes, h the timestep::

        V(s) = P30 (I_offset + current of step s-1) + exp(-h/tau_m) V(s-1)
               + weights of the spikes that arrive in step s
        spike if V(s) >= V_thresh; then V(s) = V_reset

    With V_reset = v_rest = 0, no refractory time and no current, this is the equation of
    `pynn_models.cells.LeakyCell`, v = V, and u what the spikes bring. The bias is a spike, too: a
    source of its own sends one a step, whose weights are the biases, from the population's first
    step on. So nothing is rounded that software does not round: with weights and biases on a
    dyadic grid spikes and membranes are equal to the last bit. The threshold is the next float64
    above theta, since NEST compares with >=. Weights are in mV, not rescaled.

    A membrane is recorded after the reset: it is 0 where the neuron spikes.
    """

    cells = "lif"
    lag = 0
    copies: int | None = 2  # as for stock cells: more leave the processor's cache

    def _min_delay(self, network: Network) -> int:
        return 1  # the bias travels for one step

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        parameters = curr_delta_parameters(population)
        cell = sim.IF_curr_delta(**{k: np.tile(v, copies) for k, v in parameters.items()})
        with without_warnings():
            made = sim.Population(copies * population.size, cell, label=population.name)
        made.node_collection.set(V_m=0.0)  # PyNN does not know this cell's v by NEST's name
        if population.cell.bias.any():
            self._add_bias(sim, network, population, first_step, made, copies)
        return made

    def _add_bias(
        self, sim: Any, network: Network, population: Population, first_step: int, made: Any,
        copies: int,
    ) -> None:
        from pynn_models.nest import DenseConnector, RawStaticSynapse

        # Sent in the step before the one in which it arrives, and stamped a step later.
        times = first_step - 1 + self.stamp + np.arange(network.steps)
        source = self.spike_sources(sim, [times], network.timestep, f"{population.name} bias")
        weights = np.tile(population.cell.bias, copies)[None, :]
        sim.Projection(
            source,
            made,
            DenseConnector(weights),
            synapse_type=RawStaticSynapse(delay=network.timestep),
            receptor_type="excitatory",
        )

    def record_membrane(self, population: Any) -> Any:
        return multimeter(population, ["V_m"])

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        events = recorder.events
        return by_step(events, events["V_m"])[first_step:]


def curr_delta_parameters(population: Population) -> dict[str, FloatArray]:
    """``IF_curr_delta``'s parameters in NEST, (H,) each, for the equations of :class:`NestLif`.

    Units: PyNN's (ms, nF, mV, nA). Raises :class:`BackendError` for a threshold below 0, to which
    NEST's neuron cannot be reset.
    """
    theta = checked_theta(population)
    tau = population.kind.linear(population.cell).tau[:, 0]
    zero = np.zeros_like(tau)
    return {
        "tau_m": tau,
        "cm": np.ones_like(tau),
        "tau_refrac": zero,
        "v_rest": zero,
        "v_reset": zero,
        "v_thresh": np.nextafter(theta, np.inf),
        "i_offset": zero,
    }
