"""PyNN on SpiNNaker with the native cell: :mod:`pynn_models.spinnaker.neuron`, a plan a population.

A core's 64 KiB of data memory bounds its neurons n of b bytes (``neuron_bytes``). As measured on
cores that ran (4 to 64 modes), with S slots, the power of two that covers the delays::

    n (b + 12) + 4 S 2^ceil(log2 n) <= 55650 - 1800         b = 16 + 24 N for N complex modes

where 1800 bytes stay free, and n is a multiple of 8 where there are as many.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from export.description.network import FloatArray, Network, Population
from export.fixed_point.native import NativePlan
from export.pynn.backend import whole_segment
from export.pynn.spinnaker import (
    CORE_LIMIT,
    NEURONS_PER_CORE,
    CoreSizeError,
    SpinnakerBackend,
    UInt32Array,
    check_delays,
    check_size,
)
from pynn_models.spinnaker import neuron_bytes, neuron_words, population_words

_MEMORY = 55_650 - 1_800
_OVERHEAD = 12
_RING = 2  # bytes a neuron, slot and receptor type


def capacity(size: int, delay: int, types: int = 2, fixed: int = 0) -> int:
    """The neurons of ``size`` bytes that fit a core, at most 256, if spikes arrive ``delay`` steps
    late at most; with ``types`` receptor types and ``fixed`` bytes besides."""
    slots = max(2, 1 << (delay - 1).bit_length())
    ring = _RING * slots * (1 << (types - 1).bit_length())
    most = 0
    for n in range(1, CORE_LIMIT + 1):
        if n * (size + _OVERHEAD) + ring * (1 << (n - 1).bit_length()) + fixed <= _MEMORY:
            most = n
    return most if most < 8 else most - most % 8


class SpinnakerNative(SpinnakerBackend):
    """Native cells: a binary that the user builds; see ``docs/how-to/spinnaker.md``.

    Samples stream: a population zeroes its state at its first step and every ``steps`` after.
    Weights, shifts and parameters are those of :mod:`export.fixed_point.native`. The readout's
    accumulators are on the board; unless their membrane is recorded, logits come from the spikes,
    on the host.
    """

    cells = "native"
    arithmetic = "native"
    reads_parameters = True
    copies: int | None = None

    def plan(self, network: Network, population: Population) -> NativePlan:
        return cast(NativePlan, super().plan(network, population))

    def per_core(self, network: Network, population: Population) -> int:
        size = neuron_bytes(self.plan(network, population).parameters)
        delay = max((p.longest_delay for p in network.incoming(population.name)), default=1)
        most = capacity(size, delay)
        wanted = self.neurons_per_core
        if wanted is not None:
            check_size(wanted)
        check_delays(network, population.name, wanted or 1)
        if most < (wanted or 1):
            raise CoreSizeError(
                f"population {population.name!r}: {wanted or 1} neurons a core; expected at most "
                f"{most}: each takes {size} bytes of a core's 64 KiB, which also hold its ring "
                "buffers and tables. "
                + ("Choose fewer." if most else "Train with fewer modes.")
            )
        return wanted or min(most, NEURONS_PER_CORE)

    def prepare(self, sim: Any, network: Network) -> None:
        from pynn_models.spinnaker.neuron import require_binary

        super().prepare(sim, network)
        require_binary()

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        from pynn_models.spinnaker.neuron import state_space_model

        model = state_space_model(
            self.plan(network, population).parameters, first_step=first_step, period=network.steps
        )
        return self.place(sim, network, population, model, copies)

    def region(
        self, network: Network, population: Population, first_step: int, neurons: slice
    ) -> UInt32Array:
        """What a core's region of neuron parameters must hold, in 32-bit words."""
        parameters = self.plan(network, population).parameters
        head = population_words(parameters, first_step, network.steps)
        words = neuron_words(parameters)[neurons]
        return np.concatenate([np.array(head, np.uint32), words.ravel().view(np.uint32)])

    def record_membrane(self, population: Any) -> Any:
        from pynn_models.spinnaker.neuron import MEMBRANE

        population.record(MEMBRANE)
        return population

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        from pynn_models.spinnaker.neuron import MEMBRANE

        exponents = next(
            cast(NativePlan, plan).parameters.membrane_exponent
            for population, plan in self._plans.items()
            if population.name == recorder.label
        )
        segment = whole_segment(recorder.get_data(MEMBRANE), recorder.label)
        signal = segment.filter(name=MEMBRANE)[0]
        return np.ldexp(signal.magnitude[first_step:].astype(np.float64), -exponents)

