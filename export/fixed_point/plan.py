"""What a population's plan must offer, whichever family its cells are of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.description.network import INPUT_RECEPTOR, FloatArray, Network, Population
from export.fixed_point.reach import Reach
from export.fixed_point.weights import Load, WeightPlan
from pynn_models.spinnaker.native_parameters import Int32Array
from pynn_models.spinnaker.synapses import UInt16Array


class Arriving(NamedTuple):
    """What reaches a population, (B, L, .): ``buffers``, the excitatory and inhibitory ring buffer
    of each receptor; ``graded``, what each graded projection brings, by its source and receptor;
    ``sends``: its own membranes are wanted, too."""

    buffers: Mapping[str, tuple[UInt16Array, UInt16Array]]
    graded: Mapping[tuple[str, str], Int32Array] = {}
    sends: bool = False

    @property
    def input(self) -> tuple[UInt16Array, UInt16Array]:
        """The buffers of the input."""
        return self.buffers[INPUT_RECEPTOR]


class Stepped(NamedTuple):
    """Spikes; the membrane in the network's units, if asked for and known; what is sent to graded
    projections; ``limited``: how many sums were cut to 32 bits; ``state``: after the last step."""

    spikes: NDArray[np.bool_]
    membrane: FloatArray | None = None
    sent: Int32Array | None = None
    limited: int = 0
    state: Any = None


@dataclass(frozen=True)
class Expected:
    """What a plan is made for. ``load``: of ring buffers, None for all inputs; ``reach``: of gated
    sums, by population; ``sent``: the exponents of what populations before it send."""

    load: Load | None = None
    reach: Mapping[str, Reach] = field(default_factory=dict)
    sent: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Plan(WeightPlan):
    """The integers of one population: how it steps, and what they cost its modes."""

    @property
    def sent(self) -> int:
        """The exponent of what it sends to graded projections, if it sends any."""
        return 0

    @abstractmethod
    def step(
        self, network: Network, arriving: Arriving, membrane: bool, state: Any = None
    ) -> Stepped:
        """A population over the steps of what arrives; ``state``: that before them, None: rest."""

    @abstractmethod
    def modes(
        self, network: Network, population: Population
    ) -> tuple[NDArray[np.complex128], FloatArray]:
        """abar as the board has it, and log2 of the largest state in units, (H, N) each."""

    def constant(self) -> tuple[UInt16Array, UInt16Array] | None:
        """What arrives at its input in every step, (1, H) as the board stores it, if anything."""
        return None

    def always(self, receptor: str) -> FloatArray | None:
        """The weights (H,) of what arrives at a receptor in every step, if anything does."""
        return None

    def sums(self) -> Mapping[str, tuple[FloatArray, FloatArray]]:
        """Of gated inputs, by the names of :class:`Reach`: what each sum holds in 32 bits, and what
        it was planned for, in the network's units."""
        return {}

    def parts(self, population: Population) -> Mapping[str, tuple[NDArray[Any], NDArray[Any]]]:
        """The constants by which spikes act back on the neurons, (H, n) each: as the cell has them
        and as the board does, in the network's units; by the part's name."""
        return {}

    @property
    def names(self) -> tuple[str, ...]:
        """The receptors that spikes reach, in the board's order."""
        return (INPUT_RECEPTOR,)


@dataclass(frozen=True)
class Arithmetic:
    """SpiNNaker's arithmetic for the populations of some networks, ``name``.

    ``takes(network)``: whether it is theirs; ``plan(network, population, expected)``: raises what
    the population cannot be; ``instructions(population)``: of a core, a neuron and tick;
    ``a_spike(population)``: what a spike of the neuron adds;
    ``note``: for the tables; ``whole``: the readout's neurons are on the board too; ``gated``: its
    plans need :class:`Expected`'s ``reach`` and ``sent``.
    """

    name: str
    takes: Callable[[Network], bool]
    plan: Callable[[Network, Population, Expected], Plan]
    instructions: Callable[[Population], int]
    a_spike: Callable[[Population], int] = lambda population: 0
    whole: bool = True
    note: str = ""
    gated: bool = False

    def mapped(self, network: Network) -> tuple[Population, ...]:
        """The populations that are on the board."""
        return network.populations if self.whole else network.layers
