"""How large the sums of gated neurons get: bounds for all inputs, or what samples reach.

With spikes alone every sum is bounded by its weights. A gated spiking unit multiplies a sum of
spikes with one of membranes, and the bounds grow with each layer without end: 6, 251, 21,525,
489,722 on four random layers, where trained ones stay below 28. So its formats are chosen for what
calibration samples reach, or else for :data:`ASSUMED`, and what goes beyond saturates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.description.network import (
    INPUT_RECEPTOR,
    FloatArray,
    Network,
    Population,
    gate_receptor,
    value_receptor,
)
from export.fixed_point.weights import spike_bound
from pynn_models.branches import BRANCHES

ASSUMED = 4096.0  # of a sum without a useful bound, in the network's own units
_MARGIN = 2.0  # over what samples reach
_BATCH = 25  # samples at once


class Reach(NamedTuple):
    """The largest magnitudes of one population, in the network's units.

    ``total`` (H,): of u; ``value``, ``gate``, ``product`` (H, P): of a branch's sums, and of what
    GELU is taken of (0 for glu); ``membrane`` (H,).
    """

    total: FloatArray
    value: FloatArray
    gate: FloatArray
    product: FloatArray
    membrane: FloatArray

    def larger(self, other: Reach) -> Reach:
        """The larger of both, each."""
        return Reach(*(np.maximum(a, b) for a, b in zip(self, other, strict=True)))

    def smaller(self, other: Reach | float) -> Reach:
        """The smaller of both, or of a number, each."""
        if not isinstance(other, Reach):
            return Reach(*(np.minimum(a, other) for a in self))
        return Reach(*(np.minimum(a, b) for a, b in zip(self, other, strict=True)))


def reach_for_all(network: Network) -> dict[str, Reach]:
    """Bounds that no input exceeds, by the name of a population."""
    found: dict[str, Reach] = {}
    # What events carry has a bound of its own, also where it goes back in a loop.
    sent = {
        p.name: p.kind.kick(p.cell, network.timestep, network.steps)
        for p in network.populations if p.kind.events
    }
    for population in network.populations:
        found[population.name] = _bound(network, population, sent)
        sent.setdefault(population.name, found[population.name].membrane)
    return found


def _bound(network: Network, population: Population, sent: Mapping[str, FloatArray]) -> Reach:
    def arriving(receptor: str) -> FloatArray:
        total = spike_bound(network, population, receptor)
        for projection in network.incoming(population.name, receptor):
            if projection.graded:
                total = total + sent[projection.source] @ np.abs(projection.weights)
        return total

    total = arriving(INPUT_RECEPTOR) + np.abs(population.cell.bias)
    branches, size = population.branches, population.size
    count = 0 if branches is None else branches.count
    value, gate, product = (np.zeros((size, count)) for _ in range(3))
    if branches is not None:
        kind = BRANCHES[branches.kind]
        for p in range(count):
            v = arriving(value_receptor(p)) + np.abs(branches.value_bias[:, p])
            g = arriving(gate_receptor(p)) + np.abs(branches.gate_bias[:, p])
            shift, gain = np.abs(branches.shift[:, p]), branches.gain[:, p]
            value[:, p], gate[:, p] = v, g
            product[:, p] = v * g + shift if kind.graded else 0.0
            total = total + kind.bound(v, g, shift, gain)
    gain_ = population.kind.gain(population.cell, network.timestep, network.steps)
    kick = population.kind.kick(population.cell, network.timestep, network.steps)
    return Reach(total, value, gate, product, gain_ * total + kick)


def reach_of(network: Network, samples: NDArray[Any]) -> dict[str, Reach]:
    """Twice what these samples (B, C, L) reach in float64, by the name of a population."""
    from export.samples.inputs import encode
    from export.software import simulation as software

    graded = {p.source for p in network.projections if p.graded}
    found: dict[str, Reach] = {}
    for start in range(0, len(samples), _BATCH):
        part = samples[start : start + _BATCH]
        run = software.run(network, part, membranes=sorted(graded))
        emitted = {network.source.name: encode(network, part), **run.spikes}
        for population in network.populations:
            here = _observed(network, population, emitted, run.membranes)
            before = found.get(population.name)
            found[population.name] = here if before is None else here.larger(before)
    return found


def _observed(
    network: Network,
    population: Population,
    emitted: Mapping[str, NDArray[Any]],
    membranes: Mapping[str, FloatArray],
) -> Reach:
    samples, steps = emitted[network.source.name].shape[:2]

    def arriving(receptor: str) -> FloatArray:
        total = np.zeros((samples * steps, population.size))
        for projection in network.incoming(population.name, receptor):
            values = (membranes if projection.graded else emitted)[projection.source]
            total += values.reshape(len(total), -1).astype(np.float64) @ projection.weights
        return total

    total = arriving(INPUT_RECEPTOR) + population.cell.bias  # (B L, H)
    partial = np.abs(total).max(axis=0)  # every sum on the way counts, not only the last
    branches, size = population.branches, population.size
    count = 0 if branches is None else branches.count
    value, gate, product = (np.zeros((size, count)) for _ in range(3))
    if branches is not None:
        loop = BRANCHES[branches.kind].loop
        for p in range(count):
            v = arriving(value_receptor(p)) + branches.value_bias[:, p]
            g = arriving(gate_receptor(p)) + branches.gate_bias[:, p]
            shift, gain = branches.shift[:, p].copy(), branches.gain[:, p].copy()
            value[:, p], gate[:, p] = np.abs(v).max(axis=0), np.abs(g).max(axis=0)
            if BRANCHES[branches.kind].graded:
                product[:, p] = np.abs(v * g).max(axis=0) + np.abs(shift)
            _compiled(loop)(v[None], g[None], shift, gain, total[None])
            partial = np.maximum(partial, np.abs(total).max(axis=0))
    return Reach(
        _MARGIN * partial, _MARGIN * value, _MARGIN * gate, _MARGIN * product,
        np.zeros(size),
    )  # fmt: skip


def _compiled(loop: Any) -> Any:
    from export.software.loops import compiled

    return compiled(loop)


def planned_reach(
    network: Network, samples: NDArray[Any] | None = None
) -> dict[str, Reach]:
    """What the formats are made for: the bounds; of :func:`unbounded` populations, where it is
    less, what samples (B, C, L) reach or, without them, :data:`ASSUMED`."""
    found, free = reach_for_all(network), unbounded(network)
    observed = {} if samples is None or not free else reach_of(network, samples)
    return {
        name: bound.smaller(observed.get(name, ASSUMED)) if name in free else bound
        for name, bound in found.items()
    }


def unbounded(network: Network) -> set[str]:
    """The populations whose input holds a product of sums, or comes from such a one."""
    found: set[str] = set()
    for population in network.populations:
        branches = population.branches
        product = branches is not None and BRANCHES[branches.kind].graded
        if product or any(
            p.graded and p.source in found for p in network.incoming(population.name)
        ):
            found.add(population.name)
    return found
