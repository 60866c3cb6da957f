"""PyNN on SpiNNaker with gated inputs: :mod:`pynn_models.spinnaker.gated_neuron`.

Spikes arrive at two receptor types a receptor, and membranes as payloads of multicast packets,
which need a route and no synapse: where no spikes go the same way, a projection of zero weights
makes it.
A core's memory bounds its neurons n as in :mod:`export.pynn.spinnaker_native`, with R receptor
types, b bytes a neuron and the packets' buffers besides::

    n (b + 12) + 2 S 2^ceil(log2 R) 2^ceil(log2 n) + 4 (shared words + slots * sources) <= 53850
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from export.description.network import FloatArray, Network, Population, Projection
from export.fixed_point.gated_plan import GatedPlan
from export.fixed_point.simulation import SpinnakerPlan
from export.pynn.backend import Delay, whole_segment
from export.pynn.spinnaker import (
    RECEPTORS,
    CoreSizeError,
    SpinnakerBackend,
    UInt32Array,
    check_delays,
    check_size,
    connection_list,
)
from export.pynn.spinnaker_native import SpinnakerNative, capacity
from pynn_models.spinnaker.gated_words import (
    Clock,
    SenderKeys,
    first_sources,
    gated_bytes,
    gated_words,
    shared_size,
    shared_words,
    slots,
)

_COLOUR_BITS = 4  # sPyNNaker's own default
_NEURONS_PER_CORE = 32


class SpinnakerGated(SpinnakerNative):
    """Native cells with gated inputs: a binary that the user builds; see
    ``docs/how-to/spinnaker.md``.

    Samples stream as native cells' do. The readout is on the board, and its membrane is read.
    """

    arithmetic = "gated"

    def __init__(
        self,
        neurons_per_core: int | None = None,
        planned: SpinnakerPlan | None = None,
        time_scale_factor: int | None = None,
    ) -> None:
        super().__init__(neurons_per_core, planned, time_scale_factor)
        self._made: dict[str, Any] = {}

    def gated(self, network: Network, population: Population) -> GatedPlan:
        """The population's plan."""
        return cast(GatedPlan, SpinnakerBackend.plan(self, network, population))

    def check(self, network: Network) -> None:
        super().check(network)
        for population in network.populations:
            slots(self.gated(network, population).parameters)

    def per_core(self, network: Network, population: Population) -> int:
        """The wanted number, or all that fit, in equal parts where a population has more."""
        plan = self.gated(network, population)
        p = plan.parameters
        types = 2 * p.n_receptors
        spikes = [q.longest_delay for q in network.incoming(population.name) if not q.graded]
        keys = sum(q.size for q in self._senders(network, population))  # a core each, at most
        fixed = 4 * (shared_size(p, keys) + slots(p) * sum(p.source_sizes.values()))
        most = capacity(gated_bytes(p), max(spikes, default=1), types, fixed)
        wanted = self.neurons_per_core
        if wanted is not None:
            check_size(wanted)
        check_delays(network, population.name, wanted or 1, types)
        if most < (wanted or 1):
            raise CoreSizeError(
                f"population {population.name!r}: {wanted or 1} neurons a core; expected at most "
                f"{most}: each takes {gated_bytes(p)} bytes of a core's 64 KiB, which also hold "
                "its ring buffers and tables. "
                + ("Choose fewer." if most else "Train with fewer modes, channels or layers.")
            )
        return wanted or min(most, _NEURONS_PER_CORE)

    def prepare(self, sim: Any, network: Network) -> None:
        from pynn_models.spinnaker.gated_neuron import GATED_BINARY
        from pynn_models.spinnaker.neuron import require_binary

        SpinnakerBackend.prepare(self, sim, network)
        require_binary(GATED_BINARY)
        self._made = {}

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        from pynn_models.spinnaker.gated_neuron import gated_model

        plan = self.gated(network, population)
        model = gated_model(
            plan.parameters,
            self._clock(network, population, first_step),
            lambda: self._keys(network, population),
            self._n_keys(network, population),
        )
        made = self.place(sim, network, population, model, copies)
        self._made[population.name] = made
        return made

    def region(
        self, network: Network, population: Population, first_step: int, neurons: slice
    ) -> UInt32Array:
        parameters = self.gated(network, population).parameters
        clock = self._clock(network, population, first_step)
        shared = shared_words(parameters, clock, self._keys(network, population))
        words = gated_words(parameters)[neurons]
        return np.concatenate([shared, words.ravel().view(np.uint32)])

    def _clock(self, network: Network, population: Population, first_step: int) -> Clock:
        return Clock(first_step, network.steps, sends(network, population))

    def _senders(self, network: Network, population: Population) -> list[Population]:
        names = dict.fromkeys(
            p.source for p in network.incoming(population.name) if p.graded
        )
        return [network.population(name) for name in names]

    def _n_keys(self, network: Network, population: Population) -> int:
        return sum(
            math.ceil(p.size / self.per_core(network, p))
            for p in self._senders(network, population)
        )

    def _keys(self, network: Network, population: Population) -> list[SenderKeys]:
        """As sPyNNaker gave them out, a core each, in order."""
        parameters = self.gated(network, population).parameters
        firsts = first_sources(parameters)
        return [
            SenderKeys(key, mask, firsts[source] + first, _COLOUR_BITS)
            for source, sender in enumerate(self._senders(network, population))
            for key, mask, first in _routing_keys(self._made[sender.name])
        ]

    def projection(
        self, sim: Any, network: Network, projection: Projection, pre: Any, post: Any,
        delay: Delay, copies: int,
    ) -> dict[str, Any]:
        from pynn_models.spinnaker.gated_neuron import receptor_names

        if projection.graded:
            self._route(sim, network, projection, pre, post, float(delay))
            return {}
        plan = self.gated(network, network.population(projection.target))
        at = receptor_names(plan.parameters.n_branches)[2 * plan.names.index(projection.receptor) :]
        made = {}
        for receptor, name, weights in zip(RECEPTORS, at, plan.weights(projection), strict=False):
            rows = connection_list(weights, receptor, delay, copies, str(projection))
            if len(rows) > 0:
                made[receptor] = sim.Projection(
                    pre, post, sim.FromListConnector(rows), sim.StaticSynapse(),
                    receptor_type=name,
                )  # fmt: skip
        return made

    def _route(
        self, sim: Any, network: Network, projection: Projection, pre: Any, post: Any, delay: float
    ) -> None:
        """Zero weights from each core to each to which no spikes of the source go."""
        ends = [network.population(n) for n in (projection.source, projection.target)]
        starts = [range(0, p.size, self.per_core(network, p)) for p in ends]
        plan, steps = self.gated(network, ends[1]), [r.step for r in starts]
        weights = np.zeros(projection.weights.shape)
        for other in network.incoming(projection.target):
            if other.source == projection.source and not other.graded:
                weights = weights + sum(plan.weights(other))
        missing = [
            (i, j, 0.0, delay)
            for i in starts[0]
            for j in starts[1]
            if not weights[i : i + steps[0], j : j + steps[1]].any()
        ]
        if missing:
            sim.Projection(
                pre, post, sim.FromListConnector(np.array(missing)), sim.StaticSynapse(),
                receptor_type=RECEPTORS[0],
            )  # fmt: skip

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        from pynn_models.spinnaker.neuron import MEMBRANE

        exponents = next(
            cast(GatedPlan, plan).parameters.cell.membrane_exponent
            for population, plan in self._plans.items()
            if population.name == recorder.label
        )
        segment = whole_segment(recorder.get_data(MEMBRANE), recorder.label)
        signal = segment.filter(name=MEMBRANE)[0]
        return np.ldexp(signal.magnitude[first_step:].astype(np.float64), -exponents)


def sends(network: Network, population: Population) -> bool:
    """Whether a graded projection begins here."""
    return any(p.graded and p.source == population.name for p in network.projections)


def _routing_keys(made: Any) -> Sequence[tuple[int, int, int]]:
    """Key and mask of each core of a PyNN population, and its first neuron."""
    from spynnaker.pyNN.data import SpynnakerDataView
    from spynnaker.pyNN.utilities.constants import SPIKE_PARTITION_ID

    routing = SpynnakerDataView.get_routing_infos()
    found = []
    for vertex in made._vertex.machine_vertices:
        info = routing.get_info_from(vertex, SPIKE_PARTITION_ID)
        found.append((int(info.key), int(info.mask), int(vertex.vertex_slice.lo_atom)))
    return sorted(found, key=lambda row: row[2])

