"""Our own core's populations, a batch of samples: each over the whole sequence before the next,
those of a loop together, a few steps at a time.

What arrives at a receptor is a sum of integers, exact in any order. A population is kept at rest
until its own first step, and what is sent before is nothing, so that latencies shift steps and
nothing else; what is left of a delay is its lag.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network, Population
from export.software.order import chunk, components
from export.spinnaker2.gated import graded_onto, is_gated
from export.spinnaker2.plan import Spinnaker2Plan, mapped
from pynn_models.spinnaker2 import Float32Array, Float32Error, GatedFloats, gated_input


@dataclass
class Ran:
    """By population: spikes (B, L, H) bool, membranes (B, L, H) float32 where they are kept."""

    spikes: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    membranes: dict[str, Float32Array] = field(default_factory=dict)


def run_own(
    network: Network, plan: Spinnaker2Plan, encoded: NDArray[Any], membranes: Collection[str]
) -> Ran:
    """Native populations; ``encoded`` (B, L, sources), what the input's sources send.

    Raises ``Float32Error``, naming the population, for a membrane beyond float32.
    """
    sends = {p.source for p in network.projections if p.graded} | set(membranes)
    known = {p.name for p in mapped(network)}
    ran = Ran({network.source.name: encoded.astype(np.bool_)})
    for members in components(network):
        running = [
            _Running(network, plan, p, ran, p.name in sends) for p in members if p.name in known
        ]
        length = chunk(network, members)
        for first in range(0, network.steps, length):
            for one in running:
                one.run(first, min(first + length, network.steps))
    return ran


class _Running:
    """One population, and its state between chunks of steps."""

    def __init__(
        self, network: Network, plan: Spinnaker2Plan, population: Population, ran: Ran, sends: bool
    ) -> None:
        self.network, self.plan, self.population, self.ran = network, plan, population, ran
        name, samples = population.name, len(ran.spikes[network.source.name])
        parameters: Any = plan.parameters[name]
        self.gates: GatedFloats | None = parameters if is_gated(network) else None
        self.cell: Any = parameters if self.gates is None else self.gates.cell
        self.state = self.cell.at_rest(samples)
        self.values = [p.source for p in graded_onto(network, population)]
        shape = samples, network.steps, population.size
        ran.spikes[name] = np.zeros(shape, np.bool_)
        self.sends = sends
        if sends:
            ran.membranes[name] = np.zeros(shape, np.float32)

    def run(self, first: int, stop: int) -> None:
        """The steps ``first`` to ``stop``, the next ones."""
        name, steps = self.population.name, slice(first, stop)
        try:
            u = self._input(first, stop)
            fired, trace = self.cell.run(u, self.state, membrane=self.sends)
        except Float32Error as error:
            raise Float32Error(f"population {name!r}: {error}") from error
        self.ran.spikes[name][:, steps] = fired
        if self.sends:
            self.ran.membranes[name][:, steps] = trace

    def _input(self, first: int, stop: int) -> Float32Array:
        sums = self._sums(first, stop)
        if self.gates is None:
            return sums[:, :, 0]
        values = [self.ran.membranes[source][:, first:stop] for source in self.values]
        return gated_input(self.gates, sums, values)

    def _sums(self, first: int, stop: int) -> Float32Array:
        """``S`` (B, steps, R, H): integers below 2^24, exact in float32."""
        receptors, size = self.population.receptors, self.population.size
        samples = len(self.ran.spikes[self.network.source.name])
        total = np.zeros((samples, stop - first, len(receptors), size), np.float32)
        for projection in self.network.incoming(self.population.name):
            if projection.graded:
                continue
            sent = self.ran.spikes[projection.source]
            into = total[:, :, receptors.index(projection.receptor)]
            stored = self.plan.weights[projection].astype(np.float32)
            for lag, weights in projection.by_lag(self.network.lead(projection), stored):
                skipped = min(max(lag - first, 0), stop - first)  # what came before step 0
                arriving = sent[:, first + skipped - lag : stop - lag]
                into[:, skipped:] += arriving.astype(np.float32) @ weights
        return total
