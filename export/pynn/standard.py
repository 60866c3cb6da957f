"""What the backends of standard cells share that are on PyNN's own simulators, NEST apart.

``IF_curr_exp`` is a stock cell, ``IF_curr_delta`` a LIF cell; how each simulator computes them
stands in its own module. A simulator's timestep is that of the network unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.description.network import INPUT_RECEPTOR, FloatArray, Network, Population, Projection
from export.pynn.backend import (
    Backend,
    BackendError,
    Delay,
    Trains,
    check_clock,
    first_steps,
    later,
    read_trains,
)

SHORTEST_TAU = 0.05  # steps; a decay of exp(-20)
FAR = 1e300  # for an infinite threshold
RECEPTORS = ("excitatory", "inhibitory")


class Held(NamedTuple):
    """Currents that hold neurons down where they are not to spike.

    neurons (K,); times (M,) in ms; amplitudes (K, M) in nA, each from its time on.
    """

    neurons: NDArray[np.int64]
    times: FloatArray
    amplitudes: FloatArray


class Standard:
    """A backend of standard cells: samples run side by side, the input is spikes.

    ``parameters`` and ``scale`` say what the cells and weights are in PyNN's units.
    """

    module: str
    aliases: tuple[str, ...] = ()
    cells: str
    lag: int
    stamp: float = 0
    copies: int | None
    takes_currents = False
    counts = True
    threaded = False
    substeps = 1  # of the simulator, to a step of the network

    def takes(self, network: Network) -> bool:
        return network.cells == self.cells

    def samples_a_run(self, network: Network) -> int | None:
        return self.copies

    def gap(self, network: Network) -> int:
        return network.max_lag

    def in_turn(self, network: Network, samples: int) -> Backend:
        return self

    def setup_arguments(self, network: Network) -> dict[str, Any]:
        step = network.timestep / self.substeps
        first = first_steps(network, self.lag, self.first_input(network))
        longest = max(
            p.longest_delay + later(network, p, first, self.lag) for p in network.projections
        )
        return {"timestep": step, "min_delay": step, "max_delay": longest * network.timestep}

    def prepare(self, sim: Any, network: Network) -> None:
        name = self.module.removeprefix("pyNN.")
        check_clock(self.substeps * float(sim.get_time_step()), network.timestep, name)

    def first_input(self, network: Network) -> int:
        return 0

    def currents(
        self, post: Any, currents: FloatArray, weights: FloatArray, first_step: int, delay: float,
        receptor: str,
    ) -> Any:
        raise NotImplementedError

    def run(self, sim: Any, duration: float) -> None:
        sim.run(duration)

    def spikes(self, population: Any) -> Trains:
        return read_trains(population)

    def check_ran(self) -> None:
        """These simulators compute."""

    def spike_sources(self, sim: Any, times: list[NDArray[Any]], timestep: float, name: str) -> Any:
        from pyNN.parameters import Sequence

        spikes = [Sequence(t * timestep) for t in times]
        if len(spikes) == 1:  # of a list of one PyNN makes no array
            spikes = spikes[0]
        return sim.Population(len(times), sim.SpikeSourceArray(spike_times=spikes), label=name)

    def parameters(self, population: Population, timestep: float) -> dict[str, FloatArray]:
        """The standard cell's parameters, (H,) each, in PyNN's units."""
        raise NotImplementedError

    def scale(self, population: Population, timestep: float) -> FloatArray:
        """What a weight onto each neuron is multiplied with, (H,), in PyNN's units."""
        raise NotImplementedError

    def initial(self, network: Network, population: Population) -> FloatArray:
        """The membranes (H,) to start from, in mV."""
        return np.zeros(population.size)

    def held(self, network: Network, population: Population, first_step: int) -> Held | None:
        """What keeps the population silent before ``first_step``; None where nothing is needed."""
        return None

    def projection(
        self, sim: Any, network: Network, projection: Projection, pre: Any, post: Any,
        delay: Delay, copies: int,
    ) -> dict[str, Any]:
        """One PyNN projection a receptor that has weights, by the receptor's name."""
        refuse_receptor(projection)
        scale = self.scale(network.population(projection.target), network.timestep)
        rows = connection_rows(projection, scale, delay, copies)
        return self.connect(sim, rows, pre, post)

    def connect(self, sim: Any, rows: FloatArray, pre: Any, post: Any) -> dict[str, Any]:
        """The PyNN projections of rows (i, j, weight, delay in ms), by receptor."""
        return connect(sim, rows, pre, post)

    def constant(
        self, sim: Any, network: Network, population: Population, first_step: int, made: Any,
        copies: int,
    ) -> None:
        """Biases as spikes: a source of one a step, whose weights are the biases.

        The first arrives where a spike of its step counts, in the population's first step.
        """
        bias = population.cell.bias
        if not bias.any():
            return
        name = f"{population.name} bias"
        times = first_step - self.lag - 1 + self.stamp + np.arange(network.steps)
        source = self.spike_sources(sim, [times], network.timestep, name)
        weights = np.tile(bias * self.scale(population, network.timestep), copies)
        rows = np.column_stack([
            np.zeros(len(weights)), np.arange(len(weights)), weights,
            np.full(len(weights), network.timestep),
        ])
        self.connect(sim, rows, source, made)

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        raise NotImplementedError

    def record_membrane(self, population: Any) -> Any:
        population.record("v")
        return population

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        raise NotImplementedError


def held_until(
    population: Population, first_step: int, timestep: float, amplitudes: FloatArray,
    since: float = 0.0,
) -> Held | None:
    """``amplitudes`` (H,) into the neurons of a threshold below 0, up to their first step."""
    neurons = np.flatnonzero(population.cell.theta < 0)
    if len(neurons) == 0:
        return None
    times = np.array([since, first_step]) * timestep
    values = np.column_stack([amplitudes[neurons], np.zeros(len(neurons))])
    return Held(neurons, times, values)


def hold(sim: Any, made: Any, held: Held | None, size: int, copies: int) -> None:
    """Inject a current into each neuron to be held, of so many copies of ``size`` neurons."""
    if held is None:
        return
    for h, amplitudes in zip(held.neurons, held.amplitudes, strict=True):
        current = sim.StepCurrentSource(times=held.times.tolist(), amplitudes=amplitudes.tolist())
        current.inject_into([made[int(h) + c * size] for c in range(copies)])


def refuse_receptor(projection: Projection) -> None:
    """Raise :class:`BackendError` for a projection to what no standard cell has."""
    if projection.receptor != INPUT_RECEPTOR or projection.graded:
        raise BackendError(
            f"{projection}: a standard cell takes spikes at its input only. Use the backend nest."
        )


def connection_rows(
    projection: Projection, scale: FloatArray, delay: Delay, copies: int = 1
) -> FloatArray:
    """Rows (i, j, weight, delay in ms) of the synapses that exist, a block a copy.

    A weight is multiplied with its target's ``scale``, (post,).
    """
    at = projection.synapses()
    delays = np.broadcast_to(delay, projection.weights.shape)[at.sources, at.targets]
    block = np.column_stack(
        [at.sources, at.targets, at.weights * scale[at.targets], delays]
    ).astype(np.float64)
    step = np.array([*projection.weights.shape, 0.0, 0.0])
    return np.concatenate([block + b * step for b in range(copies)])


def connect(sim: Any, rows: FloatArray, pre: Any, post: Any) -> dict[str, Any]:
    """Rows (i, j, weight, delay) -> a PyNN projection a receptor, by the sign of the weight.

    A weight of 0 makes no synapse, as it brings nothing.
    """
    made = {}
    for receptor, chosen in zip(RECEPTORS, (rows[:, 2] > 0, rows[:, 2] < 0), strict=True):
        if chosen.any():
            made[receptor] = sim.Projection(
                pre, post, sim.FromListConnector(rows[chosen].tolist()), sim.StaticSynapse(),
                receptor_type=receptor,
            )
    return made


def curr_exp(population: Population, timestep: float, forgets: float) -> dict[str, FloatArray]:
    """Parameters of ``IF_curr_exp``, (H,) each, of a simulator that integrates exactly.

    h the timestep, V forgets by ``exp(-forgets)`` a step, and C is such that a current of 1 nA adds
    1 mV in the step after::

        tau_m = h / forgets,   C = tau_m exp(-h/tau_syn) / (1 - tau_m / tau_syn)
    """
    tau = checked_tau(population, timestep)
    tau_m = timestep / forgets
    lowest = min(float(population.cell.theta.min()), 0.0)
    return {
        "tau_m": np.full_like(tau, tau_m),
        "cm": tau_m * np.exp(-timestep / tau) / (1 - tau_m / tau),
        "tau_syn_E": tau,
        "tau_syn_I": tau,
        "tau_refrac": np.zeros_like(tau),
        "v_rest": np.zeros_like(tau),
        "v_thresh": np.minimum(population.cell.theta, FAR),
        "v_reset": np.full_like(tau, 2 * lowest - 1.0),
        "i_offset": np.zeros_like(tau),
    }


def curr_delta(population: Population) -> dict[str, FloatArray]:
    """Parameters of ``IF_curr_delta``, (H,) each: reset to 0, and in mV what is 1 elsewhere."""
    theta = checked_theta(population)
    tau = population.kind.linear(population.cell).tau[:, 0]
    zero = np.zeros_like(tau)
    return {
        "tau_m": tau, "cm": np.ones_like(tau), "tau_refrac": zero, "v_rest": zero,
        "v_reset": zero, "v_thresh": theta, "i_offset": zero,
    }


def checked_tau(population: Population, timestep: float) -> FloatArray:
    """The time constants of stock cells (H,), ms.

    Raises :class:`BackendError` for one that is infinite or shorter than a twentieth of the
    timestep.
    """
    tau = population.state_space.tau[:, 0]
    bad = ~np.isfinite(tau) | (tau < SHORTEST_TAU * timestep)
    if bad.any():
        h = int(np.flatnonzero(bad)[0])
        raise BackendError(
            f"population {population.name!r}, neuron {h}: tau is {tau[h]} ms; expected a finite "
            f"time constant of at least {SHORTEST_TAU * timestep} ms, which IF_curr_exp needs. "
            "Retrain with other dt_min and dt_max, or export with --cells native."
        )
    return tau


def checked_theta(population: Population) -> FloatArray:
    """The thresholds of LIF cells (H,); raises :class:`BackendError` for one below the reset."""
    theta = population.cell.theta
    if (theta < 0).any():
        h = int(np.flatnonzero(theta < 0)[0])
        raise BackendError(
            f"population {population.name!r}, neuron {h}: theta is {theta[h]}; expected at least "
            "0, since IF_curr_delta must be reset to below its threshold. Train with a threshold "
            "above 0."
        )
    return theta


def tiled(values: Mapping[str, FloatArray], copies: int) -> dict[str, FloatArray]:
    """Parameters (H,) of each neuron of so many copies."""
    return {name: np.tile(value, copies) for name, value in values.items()}
