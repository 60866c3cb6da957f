"""PyNN on NEST: leaky integrate-and-fire neurons as PyNN's standard ``IF_curr_delta``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Population
from export.pynn.backend import Backend, first_steps
from export.pynn.meter import Meter
from export.pynn.nest import Nest, without_warnings
from export.pynn.standard import checked_theta

_SPARE = 3  # steps: PyNN's simulator is a shortest delay ahead of its clock


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

    Samples run side by side, but where the project itself runs them (:class:`NestLifInTurn`).
    """

    cells = "lif"
    lag = 0
    copies: int | None = 2  # as for stock cells: more leave the processor's cache

    def in_turn(self, network: Network, samples: int) -> Backend:
        """One after another where nothing is under way once the last layer is done."""
        return self if network.max_lag else NestLifInTurn(samples)

    def _min_delay(self, network: Network) -> int:
        return 1  # the bias travels for one step

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        from pynn_models.nest import Population as Made

        parameters = curr_delta_parameters(population)
        cell = sim.IF_curr_delta(**{k: np.tile(v, copies) for k, v in parameters.items()})
        with without_warnings():
            made = Made(copies * population.size, cell, label=population.name)
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
        times = first_step - 1 + self.stamp + self._active(network)
        source = self.spike_sources(sim, [times], network.timestep, f"{population.name} bias")
        weights = np.tile(population.cell.bias, copies)[None, :]
        sim.Projection(
            source,
            made,
            DenseConnector(weights),
            synapse_type=RawStaticSynapse(delay=network.timestep),
            receptor_type="excitatory",
        )

    def _active(self, network: Network) -> NDArray[np.int64]:
        """The steps in which a population takes part, from its first one on."""
        return np.arange(network.steps)

    def record_membrane(self, population: Any) -> Any:
        return Meter(population, ["V_m"])

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        return recorder.by_step("V_m")[first_step:]


class NestLifInTurn(NestLif):
    """LIF cells for samples that run one after another, in one build.

    An ``IF_curr_delta`` has no state but V. After a sample, and a gap in which the last layer
    finishes it, V of every neuron is set to 0, and the next one starts as the first did. The gap is
    as long as the layers lie apart, so that no layer starts before all are done: in it a neuron has
    no input, its V is below a threshold of at least 0, and nothing spikes.
    """

    copies: int | None = None

    def __init__(self, samples: int) -> None:
        self._samples = samples
        self._made: list[tuple[Any, int]] = []

    def gap(self, network: Network) -> int:
        first = first_steps(network, self.lag, self.first_input(network))
        return max(first.values()) - first[network.source.name] + _SPARE

    def _active(self, network: Network) -> NDArray[np.int64]:
        period = network.steps + self.gap(network)
        starts = period * np.arange(self._samples)
        return np.asarray(starts[:, None] + np.arange(network.steps)).ravel()

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        made = super().population(sim, network, population, first_step, copies)
        self._made.append((made, network.steps + self.gap(network)))
        return made

    def run(self, sim: Any, duration: float) -> None:
        step, period = float(sim.get_time_step()), self._made[0][1]
        for b in range(1, self._samples):
            sim.run_until(b * period * step)
            for made, _ in self._made:
                made.node_collection.set(V_m=0.0)
        sim.run_until(duration)


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
