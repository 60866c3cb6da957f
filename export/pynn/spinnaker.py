"""PyNN on SpiNNaker: what the cells' backends share, and the stock cells'.

A class a kind of cell; the native cell's, and the choice between them, are in
:mod:`export.pynn.spinnaker_native`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from export.description.network import FloatArray, Network, Population, Projection
from export.fixed_point.plan import Plan
from export.fixed_point.registry import ARITHMETIC, arithmetic_of
from export.fixed_point.simulation import SpinnakerPlan, plan_network
from export.fixed_point.stock import HOLD, StockPlan
from export.pynn.backend import (
    Backend,
    BackendError,
    Delay,
    Trains,
    check_clock,
    check_timestep,
    read_trains,
)

UInt32Array = NDArray[np.uint32]

CORE_LIMIT = 256  # neurons on a core: sPyNNaker's own default
RING_BITS = 14  # of a ring buffer's index: neuron, receptor, delay
NEURONS_PER_CORE = 64
SOURCES_PER_CORE = 256
RECEPTORS = ("excitatory", "inhibitory")


class DelayLimitError(BackendError):
    """A delay that the ring buffers of a SpiNNaker core cannot hold."""


class CoreSizeError(BackendError):
    """More neurons on a core than it can hold."""


class SignError(BackendError):
    """Weights that contradict the sign of their receptor."""


def max_delay(neurons_per_core: int, types: int = 2) -> int:
    """``2^(14 - ceil(log2 types) - ceil(log2 neurons))``: the longest delay of spikes in steps."""
    bits = (types - 1).bit_length() + max(neurons_per_core - 1, 0).bit_length()
    return 2 ** max(RING_BITS - bits, 0)


def check_size(neurons_per_core: int) -> None:
    """Raise :class:`CoreSizeError` where a core's tables end."""
    if not 1 <= neurons_per_core <= CORE_LIMIT:
        raise CoreSizeError(
            f"{neurons_per_core} neurons a core; expected 1 to {CORE_LIMIT}, as a core's "
            "tables hold. Choose fewer: a population is split over cores by itself."
        )


def check_delays(network: Network, target: str, neurons_per_core: int, types: int = 2) -> None:
    """Raise :class:`DelayLimitError` for a delay of spikes onto ``target``, of so many receptor
    types, that its cores cannot hold."""
    longest = max_delay(neurons_per_core, types)
    for projection in network.incoming(target):
        if projection.longest_delay > longest and not projection.graded:
            raise DelayLimitError(
                f"{projection}: delay {projection.longest_delay} steps; expected at most {longest} "
                f"with {neurons_per_core} neurons a core. Export with a shorter delay, or put "
                "fewer neurons on a core."
            )


def connection_list(
    weights: ArrayLike, receptor: str, delay: Delay, copies: int = 1, where: str = "projection"
) -> FloatArray:
    """Rows (i, j, weight, delay) of the weights that are not 0, a block a copy, for sPyNNaker.

    weights (pre, post), magnitudes for either receptor; delay in ms, for all or (pre, post). In
    order of i, then j: sPyNNaker 7.4.1 counts the synapses of a row wrongly in any other, and drops
    some without a word. Raises :class:`SignError` for a negative weight, whose sign it would drop
    likewise.
    """
    matrix = np.asarray(weights, np.float64)
    if (matrix < 0).any():
        i, j = (int(v) for v in np.argwhere(matrix < 0)[0])
        raise SignError(
            f"{where}: weight [{i}, {j}] onto the {receptor} receptor is {matrix[i, j]:g}; "
            "expected magnitudes >= 0, since the board keeps no sign. Split the matrix: positive "
            "weights as 'excitatory', magnitudes of the others as 'inhibitory'."
        )
    rows, columns = np.nonzero(matrix)
    delays = np.broadcast_to(delay, matrix.shape)[rows, columns]
    block = np.column_stack([rows, columns, matrix[rows, columns], delays])
    step = np.array([*matrix.shape, 0.0, 0.0])
    return np.concatenate([block + b * step for b in range(copies)])


def read_weights(
    projections: Mapping[str, Any], shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """What sPyNNaker would put on the machine, after its rounding: magnitudes (pre, post)."""
    found = []
    for receptor in RECEPTORS:
        matrix = np.zeros(shape)
        if receptor in projections:
            rows = projections[receptor].get(["weight", "delay"], "list")
            entries = np.array([tuple(row) for row in rows], np.float64).reshape(-1, 4)
            index = entries[:, :2].astype(np.int64)
            matrix[index[:, 0], index[:, 1]] = entries[:, 2]
        found.append(matrix)
    return found[0], found[1]


class SpinnakerBackend:
    """What the backends of both kinds of cell share; each adds ``plan`` and ``population``.

    In tick t a core adds its ring buffers to the neurons' input, updates, compares and sends: a
    spike leaves in the tick in which its cause arrives, no lag.
    ``neurons_per_core``: :data:`NEURONS_PER_CORE`, or fewer where that many do not fit, if not
    given. ``planned``: the populations' scalings, for all inputs if not given;
    ``time_scale_factor``: how many times slower than real time, as the configuration says if not
    given.
    """

    module = "pyNN.spiNNaker"
    aliases: tuple[str, ...] = ("spynnaker.pyNN",)
    cells: str
    arithmetic: str  # its name in the registry
    reads_parameters = False  # what sPyNNaker would load can be compared with ``region``
    lag = 0
    stamp: float = 0
    copies: int | None
    takes_currents = False
    counts = False
    threaded = False

    def __init__(
        self,
        neurons_per_core: int | None = None,
        planned: SpinnakerPlan | None = None,
        time_scale_factor: int | None = None,
    ) -> None:
        self.neurons_per_core = neurons_per_core
        self.planned = planned
        self.time_scale_factor = time_scale_factor
        self._plans: dict[Population, Plan] = {}

    def plan(self, network: Network, population: Population) -> Plan:
        """The population's scales, shifts and parameters: as planned, or for all inputs."""
        if population not in self._plans:
            planned = plan_network(network) if self.planned is None else self.planned
            for name, plan in planned.populations.items():
                self._plans[network.population(name)] = plan
        return self._plans[population]

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        raise NotImplementedError

    def region(
        self, network: Network, population: Population, first_step: int, neurons: slice
    ) -> UInt32Array:
        """What a core's region of neuron parameters must hold, in 32-bit words."""
        raise NotImplementedError

    def mapped(self, network: Network) -> tuple[Population, ...]:
        """The populations that are on the board."""
        return ARITHMETIC[self.arithmetic].mapped(network)

    def takes(self, network: Network) -> bool:
        """Whether the network is of these cells."""
        return network.cells == self.cells and ARITHMETIC[self.arithmetic].takes(network)

    def per_core(self, network: Network, population: Population) -> int:
        """Neurons on a core; raises :class:`CoreSizeError` for more than it holds."""
        size = NEURONS_PER_CORE if self.neurons_per_core is None else self.neurons_per_core
        check_size(size)
        return size

    def driven(self, network: Network, population: Population) -> NDArray[np.bool_]:
        """The neurons (H,) that a source of its own makes a constant input for, on a core more."""
        return np.zeros(population.size, np.bool_)

    def check(self, network: Network) -> None:
        """Raise :class:`CoreSizeError` or :class:`DelayLimitError` where a core's tables end.

        And ``SpinnakerUnsupportedError`` for a network of cells that none here can be.
        """
        arithmetic_of(network)
        check_timestep(network.timestep, "sPyNNaker")
        for population in self.mapped(network):
            check_delays(network, population.name, self.per_core(network, population))

    def samples_a_run(self, network: Network) -> int | None:
        """One of a network with lags, where samples stream: spikes of one would reach the next."""
        return 1 if self.copies is None and network.max_lag else self.copies

    def gap(self, network: Network) -> int:
        return network.max_lag

    def in_turn(self, network: Network, samples: int) -> Backend:
        return self

    def setup_arguments(self, network: Network) -> dict[str, Any]:
        check_timestep(network.timestep, "sPyNNaker")
        arguments = {"timestep": network.timestep, "min_delay": network.timestep}
        if self.time_scale_factor is not None:
            arguments["time_scale_factor"] = self.time_scale_factor
        return arguments

    def prepare(self, sim: Any, network: Network) -> None:
        self.check(network)
        check_clock(float(sim.get_time_step()), network.timestep, "spinnaker")

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
        from spinn_utilities.config_holder import get_config_bool

        if get_config_bool("Machine", "virtual_board"):  # in any spelling that sPyNNaker takes
            raise BackendError(
                "the virtual board only maps and computes nothing: there are no spikes to read. "
                "Give spynnaker.cfg a real or emulated board, or use spinnaker-software, which "
                "computes what a board would."
            )

    def first_input(self, network: Network) -> int:
        return 0

    def spike_sources(self, sim: Any, times: list[NDArray[Any]], timestep: float, name: str) -> Any:
        spikes = [(t * timestep).tolist() for t in times]
        return sim.Population(
            len(times),
            sim.SpikeSourceArray(spike_times=spikes if any(spikes) else []),  # it fails on [[], []]
            label=name,
            additional_parameters={"neurons_per_core": SOURCES_PER_CORE},
        )

    def place(
        self, sim: Any, network: Network, population: Population, model: Any, copies: int
    ) -> Any:
        """A PyNN population with the plan's shifts and this backend's neurons a core."""
        plan = self.plan(network, population)
        return sim.Population(
            copies * population.size,
            model,
            label=population.name,
            additional_parameters={
                "max_expected_summed_weight": plan.max_expected_summed_weight,
                "neurons_per_core": self.per_core(network, population),
            },
        )

    def projection(
        self, sim: Any, network: Network, projection: Projection, pre: Any, post: Any,
        delay: Delay, copies: int,
    ) -> dict[str, Any]:
        """One PyNN projection a receptor that has weights, by the receptor's name."""
        plan = self.plan(network, network.population(projection.target))
        made = {}
        for receptor, weights in zip(RECEPTORS, plan.weights(projection), strict=True):
            rows = connection_list(weights, receptor, delay, copies, str(projection))
            if len(rows) > 0:
                made[receptor] = sim.Projection(
                    pre,
                    post,
                    sim.FromListConnector(rows),
                    sim.StaticSynapse(),
                    receptor_type=receptor,
                )
        return made

    def record_membrane(self, population: Any) -> Any:
        raise BackendError(
            f"population {population.label!r}: the board records a stock cell's membrane before "
            "its update, and a spike resets it; record spikes only."
        )

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        raise BackendError("no membrane was recorded; record spikes only.")


class SpinnakerStock(SpinnakerBackend):
    """Stock cells: the ``IF_curr_exp`` that sPyNNaker ships.

    V is computed from the synaptic currents, which decay after the comparison. Scales and
    thresholds are those of :mod:`export.fixed_point.stock`; a membrane is read out by nobody, since
    the board records it before the update.
    """

    cells = "stock"
    arithmetic = "stock"
    copies: int | None = 4  # a spike reaches the cores of every copy, and costs there

    def plan(self, network: Network, population: Population) -> StockPlan:
        return cast(StockPlan, super().plan(network, population))

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        cell = self.plan(network, population).cell
        parameters = {k: np.tile(v, copies).tolist() for k, v in asdict(cell).items()}
        made = self.place(sim, network, population, sim.IF_curr_exp(**parameters), copies)
        made.initialize(v=0.0)
        if (population.cell.theta < 0).any():
            # Silent before the first step, also where x = 0 is above the threshold.
            times = [0.0, first_step * network.timestep]
            hold = sim.StepCurrentSource(times=times, amplitudes=[HOLD, 0.0])
            hold.inject_into(made)
        return made
