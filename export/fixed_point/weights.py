"""Weights on SpiNNaker: 16 bits a synapse, a shift a receptor, a scale a neuron.

::

    stored w = rint(|w_ij| g_j 2^(15 - r))         one matrix a sign, r its receptor's shift

A neuron may be scaled by a power of two g, weights, state and threshold together. What arrives in a
step is a sum of stored weights, which a ring buffer of 16 bits holds or saturates. The load of a
neuron is the largest such sum: exactly, over all inputs, that of all its weights of a sign, since
every source may spike in the same step; or the largest in a run of calibration samples. g and r
are the ones that leave weights the most bits without the load going beyond 65535.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.description.network import (
    INPUT_RECEPTOR,
    FloatArray,
    Network,
    Population,
    Projection,
    Source,
)
from pynn_models.spinnaker import split_weights
from pynn_models.spinnaker.synapses import RING_MAX, UInt16Array

Load = Callable[[Sequence[Projection], Sequence[FloatArray]], FloatArray]
"""Projections onto a receptor and a matrix (pre, post) of each -> the largest sums, (post,)."""

_TINY = 2.0**-100


@dataclass(frozen=True, eq=False)
class WeightPlan:
    """One population's ``scale`` g (H,), and ``shifts`` r (excitatory, inhibitory)."""

    scale: FloatArray
    shifts: tuple[int, int]

    def stored(self, projection: Projection) -> tuple[UInt16Array, UInt16Array]:
        """A projection's weights as the board holds them, excitatory and inhibitory."""
        return split_weights(projection.weights * self.scale, self.shifts)

    def weights(self, projection: Projection) -> tuple[FloatArray, FloatArray]:
        """The same as numbers: magnitudes, which sPyNNaker stores without rounding."""
        pairs = zip(self.stored(projection), self.shifts, strict=True)
        exc, inh = (np.ldexp(stored.astype(np.float64), r - 15) for stored, r in pairs)
        return exc, inh

    def held(self, projection: Projection) -> FloatArray:
        """The signed weights that the stored ones stand for, in the network's units."""
        exc, inh = WeightPlan.weights(self, projection)
        return np.asarray((exc - inh) / self.scale)

    @property
    def max_expected_summed_weight(self) -> list[float]:
        """What sPyNNaker turns into just these shifts: ``2^(r-1) < m < 2^r``."""
        return [0.75 * 2.0**r for r in self.all_shifts]

    @property
    def all_shifts(self) -> tuple[int, ...]:
        """Of every receptor type, in the board's order."""
        return self.shifts

    def at(self, receptor: str) -> WeightPlan:
        """The weights of one receptor."""
        return self


def worst_case(source: Source) -> Load:
    """``sum_i w_ij``: the load when every source spikes; of a network's input, what one step can
    bring: of symbols, the largest weight."""

    def load(projections: Sequence[Projection], matrices: Sequence[FloatArray]) -> FloatArray:
        return np.sum(
            [
                source.kind.reach(source, m.T) if p.source == source.name else m.sum(axis=0)
                for p, m in zip(projections, matrices, strict=True)
            ],
            axis=0,
        )

    return load


def observed(emitted: Mapping[str, NDArray[np.uint8]]) -> Load:
    """``max_{b,k} sum_i s_i w_ij``, and at least every single weight, so that each can be stored.

    emitted: what each source emits, (B, L, pre), by its name.
    """
    from pynn_models.spinnaker.buffers import add_weighted

    def load(projections: Sequence[Projection], matrices: Sequence[FloatArray]) -> FloatArray:
        largest = np.max([m.max(axis=0) for m in matrices], axis=0)
        spikes = [emitted[p.source] for p in projections]
        for b in range(len(spikes[0])):
            total = np.zeros((1, spikes[0].shape[1], len(largest)))
            for sent, matrix in zip(spikes, matrices, strict=True):
                add_weighted(total, sent[b : b + 1], matrix)
            largest = np.maximum(largest, total[0].max(axis=0))
        return largest

    return load


@dataclass(frozen=True, eq=False)
class _Arriving:
    """The spikes that reach one receptor of a population, and the load of its ring buffers;
    ``constant`` (H,): the weights of one that comes in every step."""

    population: Population
    projections: tuple[Projection, ...]
    load: Load
    constant: FloatArray

    def of(self, sign: int, scale: FloatArray, shift: int | None) -> FloatArray:
        """The load of one sign (0 excitatory, 1 inhibitory), (H,): of the scaled weights, rounded
        to the shift's unit if one is given."""
        matrices = [*(p.weights for p in self.projections), self.constant]
        parts = [np.maximum((1.0, -1.0)[sign] * w * scale, 0) for w in matrices]
        if shift is not None:
            parts = [np.rint(np.ldexp(w, 15 - shift)) for w in parts]
        always = parts.pop()
        return self.load(self.projections, parts) + always if parts else always

    def stored(self, plan: WeightPlan) -> FloatArray:
        """The load of a plan in ring-buffer units, (2, H); unsaturated."""
        return np.stack([self.of(i, plan.scale, plan.shifts[i]) for i in (0, 1)])

    def least_shift(self, sign: int, scale: FloatArray, top: int) -> int:
        """The smallest shift with which this ring buffer holds the load of every neuron."""
        exact = float(self.of(sign, scale, None).max())
        least = int(np.ceil(np.log2(max(exact, _TINY) / RING_MAX))) + 15
        for shift in range(min(max(least - 1, 0), top), top):
            if self.of(sign, scale, shift).max() <= RING_MAX:
                return shift
        return top


def _arriving(
    network: Network, population: Population, receptor: str, load: Load | None,
    constant: FloatArray | None = None,
) -> _Arriving:
    found = tuple(p for p in network.incoming(population.name, receptor) if not p.graded)
    always = np.zeros(population.size) if constant is None else constant
    return _Arriving(population, found, load or worst_case(network.source), always)


def stored_load(
    network: Network,
    population: Population,
    plan: WeightPlan,
    load: Load | None = None,
    receptor: str = INPUT_RECEPTOR,
    constant: FloatArray | None = None,
) -> FloatArray:
    """The load of a plan in ring-buffer units, (2, H): excitatory, inhibitory; unsaturated.

    ``load``: for all inputs if not given; ``constant`` (H,): what arrives in every step.
    """
    return _arriving(network, population, receptor, load, constant).stored(plan)


def spike_bound(network: Network, population: Population, receptor: str) -> FloatArray:
    """The largest magnitude of what spikes can bring to a receptor in one step, (H,)."""
    found = _arriving(network, population, receptor, None)
    one = np.ones(population.size)
    return np.maximum(found.of(0, one, None), found.of(1, one, None))


def plan_weights(
    network: Network,
    population: Population,
    top: int,
    *,
    load: Load | None = None,
    limit: FloatArray | float = np.inf,
    receptor: str = INPUT_RECEPTOR,
    unweighted: FloatArray | float = 1.0,
    constant: FloatArray | None = None,
) -> WeightPlan:
    """The largest g for which the ring buffer holds the load at shift ``top``, then the least r.

    ``load``: for all inputs if not given. ``limit``: of g, scalar or (H,); ``unweighted``: g of a
    neuron without weights, or less by the limit; ``constant`` (H,): what arrives in every step.
    """
    found = _arriving(network, population, receptor, load, constant)
    one = np.ones(population.size)
    largest = np.maximum(*(found.of(i, one, None) for i in (0, 1)))
    room = RING_MAX * 2.0 ** (top - 15)
    scale = 2.0 ** np.floor(np.log2(room / np.maximum(largest, _TINY)))
    scale = np.where(largest == 0, unweighted, scale)
    scale = np.minimum(scale, 2.0 ** np.floor(np.log2(limit)))
    full = found.stored(WeightPlan(scale, (top, top))).max(axis=0)
    scale = np.where(full > RING_MAX, scale / 2, scale)  # each rounded up, a sum may grow too large
    shifts = [found.least_shift(sign, scale, top) for sign in (0, 1)]
    return WeightPlan(scale, (shifts[0], shifts[1]))
