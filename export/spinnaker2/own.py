"""Our own core's populations, a batch of samples: each over the whole sequence before the next.

What arrives at a receptor is a sum of integers, exact in any order; a population is kept at rest
until its own first step, so that latencies shift steps and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network, Population
from export.spinnaker2.gated import graded_onto, is_gated
from export.spinnaker2.plan import Spinnaker2Plan, mapped
from pynn_models.spinnaker2 import Float32Array, Float32Error, gated_input, run_modes


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
    emitted = {network.source.name: encoded.astype(np.float32)}
    sends = {p.source for p in network.projections if p.graded} | set(membranes)
    ran, gated = Ran(), is_gated(network)
    for population in mapped(network):
        name = population.name
        parameters: Any = plan.parameters[name]
        sums = _sums(network, plan, population, emitted)
        try:
            u = sums[:, :, 0]
            if gated:
                values = [ran.membranes[p.source] for p in graded_onto(network, population)]
                u, parameters = gated_input(parameters, sums, values), parameters.cell
            fired, trace = run_modes(parameters, u, membrane=name in sends)
        except Float32Error as error:
            raise Float32Error(f"population {name!r}: {error}") from error
        ran.spikes[name], emitted[name] = fired, fired.astype(np.float32)
        if name in sends:
            ran.membranes[name] = trace
    return ran


def _sums(
    network: Network, plan: Spinnaker2Plan, population: Population,
    emitted: dict[str, Float32Array],
) -> Float32Array:
    """``S`` (B, L, R, H): integers below 2^24, exact in float32."""
    samples, steps = emitted[network.source.name].shape[:2]
    receptors = population.receptors
    total = np.zeros((samples, steps, len(receptors), population.size), np.float32)
    for projection in network.incoming(population.name):
        if not projection.graded:
            stored = plan.weights[projection].astype(np.float32)
            total[:, :, receptors.index(projection.receptor)] += emitted[projection.source] @ stored
    return total
