"""PyNN on NEST: the project's own neuron for native cells, the standard one for stock cells.

LIF cells: :mod:`export.pynn.nest_lif`; gated units: :mod:`export.pynn.nest_egru`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import INPUT_RECEPTOR, FloatArray, Network, Population, Projection
from export.pynn.backend import (
    BackendError,
    Delay,
    Trains,
    check_clock,
    check_timestep,
    first_steps,
    later,
    whole_segment,
)
from export.pynn.meter import Meter
from export.pynn.standard import checked_tau
from pynn_models.ranks import world

# A stock membrane forgets by exp(-300) a step: nothing is left of it in float64, and yet an
# initial value of -1e300 holds it below any threshold for the two steps before which no current
# source acts.
_FORGETS = 300.0
_HELD_DOWN = -1e300
_SLICE = 0.2  # s


@contextmanager
def without_warnings() -> Iterator[None]:
    """Silence PyNN, which warns of each variable that it cannot give an initial value in NEST."""
    logger = logging.getLogger("PyNN")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _limit(steps: int, timestep: float) -> float:
    """``steps`` timesteps in ms, as a limit of delays.

    NEST cuts such a limit to whole microseconds: a product just below the grid would lose a step.
    """
    product = steps * timestep
    cut = math.floor(product / 0.001) < round(1000 * product)
    return product * (1 + 1e-12) if cut else product


class Nest:
    """What all kinds of cells have in common."""

    module = "pyNN.nest"
    aliases: tuple[str, ...] = ()
    stamp: float = 1  # what happens in step s is stamped s + 1
    takes_currents = False
    counts = True
    threaded = True
    cells: str
    copies: int | None

    def takes(self, network: Network) -> bool:
        return network.cells == self.cells

    def samples_a_run(self, network: Network) -> int | None:
        return self.copies

    def gap(self, network: Network) -> int:
        return network.max_lag

    def in_turn(self, network: Network, samples: int) -> Any:
        return self

    def _min_delay(self, network: Network) -> int:
        return network.min_delay

    def setup_arguments(self, network: Network) -> dict[str, Any]:
        check_timestep(network.timestep, "NEST")
        return {
            "timestep": network.timestep,
            "min_delay": _limit(self._min_delay(network), network.timestep),
            "max_delay": _limit(network.max_delay, network.timestep),
            "spike_precision": "on_grid",
            "threads": 1,
        }

    def prepare(self, sim: Any, network: Network) -> None:
        state = sim.simulator.state
        _check_ranks(sim.num_processes())
        if world().size > 1:
            import nest

            # NEST 3.10 tells the processes who sends to whom in several rounds. Compressed, a
            # round in which one process's share of the buffer is full has no end marked in the
            # others', and what an earlier network left there is taken for theirs.
            nest.use_compressed_spikes = False
        check_clock(state.dt, network.timestep, "nest")
        if state.spike_precision != "on_grid":
            raise BackendError(
                f"the simulator's spike_precision is {state.spike_precision!r}; expected "
                "'on_grid'. Call sim.setup(**setup_arguments('nest', network)) before build()."
            )

    def currents(
        self, post: Any, currents: FloatArray, weights: FloatArray, first_step: int, delay: float,
        receptor: str,
    ) -> Any:
        raise NotImplementedError

    def run(self, sim: Any, duration: float) -> None:
        """In slices of about a fifth of a second each: NEST lets no signal through before its end.

        A slice is a whole number of NEST's shortest delays, so that the result is that of one run.
        Processes of MPI run as one, whatever the time each takes: a signal ends them all.
        """
        if world().size > 1:
            sim.run(duration)
            return
        unit = float(sim.simulator.state.min_delay)
        length, done = 100 * unit, 0.0
        while duration - done > length:
            start = time.monotonic()
            sim.run(length)
            done += length
            factor = min(max(_SLICE / max(time.monotonic() - start, 1e-3), 0.5), 2.0)
            length = max(round(length / unit * factor), 1) * unit
        sim.run(duration - done)

    def check_ran(self) -> None:
        """NEST always computes."""

    def spikes(self, population: Any) -> Trains:
        """All at once: Neo's train a neuron takes as long as their number times that of spikes.

        Of an MPI run those of this process's own neurons.
        """
        own = {} if world().size == 1 else {"gather": False}
        whole_segment(population[:1].get_data("spikes", **own), population.label)
        trains = population.get_data("spikes", **own).segments[0].spiketrains
        ids, times = (np.asarray(values) for values in trains.multiplexed)
        sources = ids.astype(np.int64) - int(population.first_id)
        return Trains(len(trains), sources, times)

    def first_input(self, network: Network) -> int:
        return self._min_delay(network)  # devices are early enough from here on

    def spike_sources(self, sim: Any, times: list[NDArray[Any]], timestep: float, name: str) -> Any:
        from pyNN.parameters import Sequence

        from pynn_models.nest import Population as Made

        # PyNN rounds a time one ulp above the grid up to the next step, so aim just below it.
        spikes = [Sequence((t - 1e-4) * timestep) for t in times]
        cell = sim.SpikeSourceArray(spike_times=spikes)
        return Made(len(times), cell, label=name)

    def projection(
        self, sim: Any, network: Network, projection: Projection, pre: Any, post: Any,
        delay: Delay, copies: int,
    ) -> Any:
        from pynn_models.nest import (
            DenseConnector,
            DifferenceSynapse,
            GradedSynapse,
            RawStaticSynapse,
            SynapsesConnector,
        )

        kind = GradedSynapse if projection.graded else RawStaticSynapse
        if any(p.differences for p in network.populations if p.name == projection.source):
            kind = DifferenceSynapse
        if projection.sparse:
            at, mask = projection.synapses(), projection.mask
            each = np.broadcast_to(delay, projection.weights.shape)
            delays = each.ravel() if mask is None else each[mask]
            connector = SynapsesConnector(at.sources, at.targets, at.weights, delays, copies)
            synapse = kind()
        else:
            connector = DenseConnector(projection.weights, copies=copies)
            synapse = kind(delay=delay)
        # NEST itself sorts a standard cell's input by sign; a native cell's is not sorted.
        to_input = projection.receptor == INPUT_RECEPTOR
        return sim.Projection(
            pre,
            post,
            connector,
            synapse_type=synapse,
            receptor_type="excitatory" if to_input else projection.receptor,
        )


class NestNative(Nest):
    """Native cells: ``pynn_models.nest``, a compiled module; samples stream."""

    cells = "native"
    lag = 0
    copies: int | None = None
    takes_currents = True

    def prepare(self, sim: Any, network: Network) -> None:
        from pynn_models.nest import install

        super().prepare(sim, network)
        install()

    def cell(self, population: Population, first_step: int, period: int, active: int) -> Any:
        """The cell type of a population's neurons, whose samples begin and end so."""
        from pynn_models.nest import cell_type

        return cell_type(population.state_space, first_step, period, active)

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        from pyNN.parameters import LazyArray

        from pynn_models.nest import Population as Made

        steps, gap = network.steps, network.max_lag
        cell = self.cell(population, first_step, steps + gap, steps if gap else 0)
        # Neurons start at these values: PyNN needs to know them, but need not set them again, for
        # which it would read every neuron's status.
        start, cell.default_initial_values = cell.default_initial_values, {}
        made = Made(population.size, cell, label=population.name)
        shape = (population.size,)
        made.initial_values = {v: LazyArray(x, shape=shape, dtype=float) for v, x in start.items()}
        return made

    def currents(
        self, post: Any, currents: FloatArray, weights: FloatArray, first_step: int, delay: float,
        receptor: str,
    ) -> Any:
        from pynn_models.nest import inject_currents

        at = "excitatory" if receptor == INPUT_RECEPTOR else receptor
        return inject_currents(post, currents, weights, first_step, delay, at)

    def record_membrane(self, population: Any) -> Any:
        return Meter(population, ["y"])

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        return recorder.by_step("y")[first_step:]


class NestStock(Nest):
    """Stock cells: NEST's ``iaf_psc_exp`` as PyNN's ``IF_curr_exp``; no compiler.

    In step s NEST computes, h the timestep, and I split by the sign of the weights::

        V(s) = exp(-h/tau_m) V(s-1) + P21 I(s-1) + P20 (I_offset + current of step s-1)
        I(s) = exp(-h/tau_syn) I(s-1) + weights of the spikes that arrive in step s
        spike if V(s) >= V_thresh; then V(s) = V_reset
        P21  = tau_m / (C (1 - tau_m/tau_syn)) (exp(-h/tau_syn) - exp(-h/tau_m))
        P20  = tau_m / C (1 - exp(-h/tau_m))

    I is the mode. With ``tau_m = h/300`` the first term vanishes, and C is chosen so that
    ``P21 = 1``: V(s) = x(s - 1), one step of lag. Every spike thus leaves a step later than from a
    native cell; :func:`export.pynn.built.first_steps` puts later layers off by that step. The
    threshold is the next float64 above theta, since NEST compares with >=. Weights are in pA
    and mV, not rescaled. What remains is the rounding of float64, since NEST keeps positive and
    negative input apart: about 1e-16 of the larger of the two.
    """

    cells = "stock"
    lag = 1
    copies: int | None = 2  # the synapses of more leave the processor's cache: slower

    def _min_delay(self, network: Network) -> int:
        return 1

    def prepare(self, sim: Any, network: Network) -> None:
        super().prepare(sim, network)
        shortest = sim.simulator.state.min_delay
        if abs(shortest - network.timestep) > 1e-9 * network.timestep:
            raise BackendError(
                f"the simulator's min_delay is {shortest} ms; expected the timestep, "
                f"{network.timestep} ms, so that populations can be held down from the start. "
                "Call sim.setup(**setup_arguments('nest', network)) before build()."
            )

    def setup_arguments(self, network: Network) -> dict[str, Any]:
        first = first_steps(network, self.lag, self.first_input(network))
        longest = max(
            p.longest_delay + later(network, p, first, self.lag) for p in network.projections
        )
        return super().setup_arguments(network) | {"max_delay": _limit(longest, network.timestep)}

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        from pynn_models.nest import Population as Made

        parameters = curr_exp_parameters(population, network.timestep)
        cell = sim.IF_curr_exp(**{k: np.tile(v, copies) for k, v in parameters.items()})
        with without_warnings():
            made = Made(copies * population.size, cell, label=population.name)
        made.initialize(v=_HELD_DOWN)
        lowest = float(population.cell.theta.min())
        if lowest < 0:
            # Silent before the first step, also where x = 0 is above the threshold. An amplitude
            # of time t acts in step t; in units of 1000 pA.
            times = [2 * network.timestep, first_step * network.timestep]
            hold = sim.StepCurrentSource(times=times, amplitudes=[2 * lowest - 1.0, 0.0])
            hold.inject_into(made)
        return made

    def record_membrane(self, population: Any) -> Any:
        """PyNN records no synaptic current of this cell, and V is reset by a spike."""
        return Meter(population, ["I_syn_ex", "I_syn_in"])

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        """``x = I_exc + I_inh``, (steps, neurons)."""
        # The spike of step f is that of x(f - 1).
        return recorder.by_step("I_syn_ex", "I_syn_in")[first_step - 1 :]


def check_mpi() -> None:
    """Raise :class:`BackendError` where mpiexec started processes that NEST does not share."""
    from pynn_models.nest import has_mpi

    if world().size > 1 and not has_mpi():
        raise BackendError(
            f"mpiexec started {world().size} processes, and the NEST here was built without MPI: "
            "each would run the whole network. Build it with MPI (docs/how-to/scale.md), or start "
            "without mpiexec; --processes shares the samples out."
        )


def _check_ranks(found: int) -> None:
    """Raise :class:`BackendError` unless NEST runs in as many processes as are known here."""
    if found != world().size:
        raise BackendError(
            f"NEST runs in {found} processes, and mpiexec told of {world().size}. Start them with "
            "the mpiexec of the MPI that NEST and mpi4py were built with."
        )


def curr_exp_parameters(population: Population, timestep: float) -> dict[str, FloatArray]:
    """``IF_curr_exp``'s parameters in NEST, (H,) each, for the equations of :class:`NestStock`.

    Units: PyNN's (ms, nF, mV, nA). Raises :class:`BackendError` for a time constant that is
    infinite or shorter than a twentieth of the timestep.
    """
    tau = checked_tau(population, timestep)
    tau_m = timestep / _FORGETS
    capacitance = tau_m * np.exp(-timestep / tau) / (1 - tau_m / tau)  # pF
    threshold = np.nextafter(population.cell.theta, np.inf)
    lowest = min(float(threshold.min()), 0.0)
    return {
        "tau_m": np.full_like(tau, tau_m),
        "cm": capacitance / 1000.0,
        "tau_syn_E": tau,
        "tau_syn_I": tau,
        "tau_refrac": np.zeros_like(tau),
        "v_rest": np.zeros_like(tau),
        "v_thresh": threshold,
        "v_reset": np.full_like(tau, 2 * lowest - 1.0),
        "i_offset": np.zeros_like(tau),
    }
