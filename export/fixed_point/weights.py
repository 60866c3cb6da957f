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

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Population, Projection
from pynn_models.spinnaker import split_weights
from pynn_models.spinnaker.synapses import RING_MAX, UInt16Array

Load = Callable[[Sequence[FloatArray]], FloatArray]
"""Matrices (pre, post), one a projection onto a population -> the largest sum a neuron, (post,)."""

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

    @property
    def max_expected_summed_weight(self) -> list[float]:
        """What sPyNNaker turns into just these shifts: ``2^(r-1) < m < 2^r``."""
        return [0.75 * 2.0**r for r in self.shifts]


def worst_case(matrices: Sequence[FloatArray]) -> FloatArray:
    """``sum_i w_ij``: the load when every source spikes."""
    return np.sum([m.sum(axis=0) for m in matrices], axis=0)


def observed(emitted: Sequence[NDArray[np.uint8]]) -> Load:
    """``max_{b,k} sum_i s_i w_ij``, and at least every single weight, so that each can be stored.

    emitted: what each projection's source emits, (B, L, pre), in the order of the matrices.
    """
    from pynn_models.spinnaker.buffers import add_weighted

    def load(matrices: Sequence[FloatArray]) -> FloatArray:
        largest = np.max([m.max(axis=0) for m in matrices], axis=0)
        for b in range(len(emitted[0])):
            total = np.zeros((1, emitted[0].shape[1], len(largest)))
            for spikes, matrix in zip(emitted, matrices, strict=True):
                add_weighted(total, spikes[b : b + 1], matrix)
            largest = np.maximum(largest, total[0].max(axis=0))
        return largest

    return load


def stored_load(
    network: Network, population: Population, plan: WeightPlan, load: Load = worst_case
) -> FloatArray:
    """The load of a plan in ring-buffer units, (2, H): excitatory, inhibitory; unsaturated."""
    return np.stack(
        [
            _part(network, population, receptor, load, plan.scale, plan.shifts[receptor])
            for receptor in (0, 1)
        ]
    )


def _part(
    network: Network,
    population: Population,
    receptor: int,
    load: Load,
    scale: FloatArray,
    shift: int | None,
) -> FloatArray:
    """The load of one receptor, (H,): of the scaled weights, rounded to the shift's unit if any."""
    sign = (1.0, -1.0)[receptor]
    parts = [np.maximum(sign * p.weights * scale, 0) for p in network.incoming(population.name)]
    if not parts:
        return np.zeros(population.size)
    return load(parts if shift is None else [np.rint(np.ldexp(w, 15 - shift)) for w in parts])


def plan_weights(
    network: Network,
    population: Population,
    top: int,
    *,
    load: Load = worst_case,
    limit: FloatArray | float = np.inf,
) -> WeightPlan:
    """The largest g for which the ring buffer holds the load at shift ``top``, then the least r.

    ``limit``: of g, scalar or (H,). A neuron without weights has g = 1, or less by the limit.
    """
    one = np.ones(population.size)
    largest = np.maximum(*(_part(network, population, i, load, one, None) for i in (0, 1)))
    room = RING_MAX * 2.0 ** (top - 15)
    scale = 2.0 ** np.floor(np.log2(room / np.maximum(largest, _TINY)))
    scale[largest == 0] = 1.0
    scale = np.minimum(scale, 2.0 ** np.floor(np.log2(limit)))
    full = stored_load(network, population, WeightPlan(scale, (top, top)), load).max(axis=0)
    scale = np.where(full > RING_MAX, scale / 2, scale)  # each rounded up, a sum may grow too large
    shifts = [_shift(network, population, scale, receptor, top, load) for receptor in (0, 1)]
    return WeightPlan(scale, (shifts[0], shifts[1]))


def _shift(
    network: Network,
    population: Population,
    scale: FloatArray,
    receptor: int,
    top: int,
    load: Load,
) -> int:
    """The smallest shift with which this receptor's ring buffer holds the load of every neuron."""
    exact = float(_part(network, population, receptor, load, scale, None).max())
    least = int(np.ceil(np.log2(max(exact, _TINY) / RING_MAX))) + 15
    for shift in range(min(max(least - 1, 0), top), top):
        if _part(network, population, receptor, load, scale, shift).max() <= RING_MAX:
            return shift
    return top
