"""What fixed point costs each part of a network, in numbers.

Weights, a neuron j of a projection::

    bits_j = log2(sqrt(sum_i w_ij^2 / sum_i (held_ij - w_ij)^2)),    held = stored 2^(r - 15) / g_j

the signal over the rounding; a graded projection's are signed, in the core's own memory, and have
no shift. What a spike takes from modes, and what a history adds to thresholds, likewise, of each
neuron. Gated sums, of what the formats are made for and of what they hold,

    bits = log2(what a sum holds / what it reaches)

Modes, abar as trained and as the
board has it (Q0.31 in a native cell, the u0.32 decay in a stock one)::

    drift = | |abar'| - |abar| |,  | arg abar' - arg abar |
    reach = log2(largest |X| over all inputs, in units of its last place)

so that a state uses ``reach`` + 1 of its 32 bits and has 31 - ``reach`` bits of headroom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.description.network import (
    INPUT_RECEPTOR,
    FloatArray,
    Network,
    Population,
    Projection,
)
from export.fixed_point.plan import Plan
from export.fixed_point.reach import Reach
from export.fixed_point.weights import stored_load
from pynn_models.cells import propagator
from pynn_models.spinnaker.synapses import RING_MAX


@dataclass(frozen=True)
class WeightRow:
    """A projection: ``zero``, weights that became 0; ``saturated``, that are cut to 65535;
    effective bits of the median and the worst neuron (inf: exact). ``shifts``: None if graded."""

    projection: str
    synapses: int
    shifts: tuple[int, int] | None
    zero: int
    saturated: int
    bits_median: float
    bits_least: float


@dataclass(frozen=True)
class RingRow:
    """A receptor's ring buffers: ``load``, the largest sum when all sources spike, over 65535
    (excitatory, inhibitory); ``can_saturate``, neurons of a load above 1; log2 of the scales;
    ``slots``, the power of two that covers its longest delay, in steps: a core has 16,384 for all
    its neurons (a power of two) and receptors, two each."""

    population: str
    receptor: str
    neurons: int
    load: tuple[float, float]
    can_saturate: int
    scales: tuple[int, int]
    slots: int


@dataclass(frozen=True)
class ModeRow:
    """A population's modes: the largest drifts and the [neuron, mode] they belong to; the least
    and largest reach of a state."""

    population: str
    modes: int
    radius_drift: float
    radius_worst: tuple[int, int]
    angle_drift: float
    angle_worst: tuple[int, int]
    reach: tuple[float, float]

    @property
    def headroom(self) -> float:
        """Bits between the largest state and 2^31."""
        return 31 - self.reach[1]


@dataclass(frozen=True)
class PartRow:
    """The constants of a population's reset or history: ``zero``, that became 0; effective bits of
    the median and the worst neuron (inf: exact)."""

    population: str
    part: str
    constants: int
    zero: int
    bits_median: float
    bits_least: float


@dataclass(frozen=True)
class SumRow:
    """A population's sums of one kind (input, value, gate, product of all branches).

    ``reach``: the largest that the formats are made for, in the network's units; ``bound``: what
    inputs could make of it at most; ``saturates``: neurons (times branches) whose sum could leave
    its 32 bits.
    """

    population: str
    sums: str
    number: int
    reach: float
    bound: float
    saturates: int


def _bits(wanted: NDArray[np.inexact], held: NDArray[np.inexact]) -> FloatArray:
    """The signal over the rounding, in bits, of each neuron that has any signal: (H, n) both."""
    error = (np.abs(held - wanted) ** 2).sum(axis=1)
    signal = (np.abs(wanted) ** 2).sum(axis=1)
    with np.errstate(divide="ignore"):
        ratio = np.where(error > 0, signal / np.where(error > 0, error, 1), np.inf)
        bits = np.log2(ratio) / 2
    return np.asarray(bits[signal > 0] if (signal > 0).any() else np.array([np.inf]))


def weight_row(projection: Projection, plan: Plan) -> WeightRow:
    """The row of one projection; ``plan``: of its target."""
    weights, held = projection.weights, plan.held(projection)  # (pre, post)
    bits = _bits(weights.T, held.T)
    shifts, saturated = None, 0
    if not projection.graded:
        found = plan.at(projection.receptor)
        shifts = found.shifts
        unit = np.where(weights > 0, *(2.0 ** (r - 15) for r in shifts)) / found.scale
        saturated = int((np.rint(np.abs(weights) / unit) > RING_MAX).sum())
    at = "" if projection.receptor == INPUT_RECEPTOR else f" ({projection.receptor})"
    return WeightRow(
        projection=f"{projection.source} -> {projection.target}{at}",
        synapses=projection.n_synapses,
        shifts=shifts,
        zero=int(((weights != 0) & (held == 0)).sum()),
        saturated=saturated,
        bits_median=float(np.median(bits)),
        bits_least=float(bits.min()),
    )


def ring_row(
    network: Network, population: Population, plan: Plan, receptor: str = INPUT_RECEPTOR
) -> RingRow:
    """The ring buffers of one receptor of a population."""
    found = plan.at(receptor)
    load = stored_load(
        network, population, found, receptor=receptor, constant=plan.always(receptor)
    )  # (2, H)
    scales = np.rint(np.log2(found.scale)).astype(int)
    exc, inh = (float(v) for v in load.max(axis=1) / RING_MAX)
    arriving = network.incoming(population.name, receptor)
    delays = [p.longest_delay for p in arriving if not p.graded]
    return RingRow(
        population=population.name,
        receptor=receptor,
        neurons=population.size,
        load=(exc, inh),
        can_saturate=int((load > RING_MAX).any(axis=0).sum()),
        scales=(int(scales.min()), int(scales.max())),
        slots=max(2, 1 << (max(delays, default=1) - 1).bit_length()),
    )


def part_rows(population: Population, plan: Plan) -> list[PartRow]:
    """The constants by which spikes act back on one population, a row a part."""
    rows = []
    for name, (wanted, held) in plan.parts(population).items():
        bits = _bits(wanted, held)
        rows.append(
            PartRow(
                population=population.name,
                part=name,
                constants=wanted.size,
                zero=int(((wanted != 0) & (held == 0)).sum()),
                bits_median=float(np.median(bits)),
                bits_least=float(bits.min()),
            )
        )
    return rows


def sum_rows(population: Population, plan: Plan, bound: Reach) -> list[SumRow]:
    """The gated sums of one population; none of one that has no products nor graded inputs."""
    rows = []
    for name, (held, reach) in plan.sums().items():
        most = getattr(bound, name)
        if not most.size or not most.any():
            continue
        rows.append(
            SumRow(
                population=population.name,
                sums="input" if name == "total" else name,
                number=most.size,
                reach=float(np.minimum(reach, most).max()),
                bound=float(most.max()),
                saturates=int((most > held).sum()),
            )
        )
    return rows


def mode_row(network: Network, population: Population, plan: Plan) -> ModeRow | None:
    """The modes of one population; None if it has none."""
    cell = population.kind.linear(population.cell)
    if cell.n_modes == 0:
        return None
    a_re, a_im = propagator(cell.tau, cell.omega, network.timestep)
    trained = a_re + 1j * a_im
    found, reach = plan.modes(network, population)
    radius = np.abs(np.abs(found) - np.abs(trained))
    angle = np.abs(np.angle(found * trained.conj()))
    return ModeRow(
        population=population.name,
        modes=cell.tau.size,
        radius_drift=float(radius.max()),
        radius_worst=_where(radius),
        angle_drift=float(angle.max()),
        angle_worst=_where(angle),
        reach=(float(reach.min()), float(reach.max())),
    )


def _where(values: FloatArray) -> tuple[int, int]:
    h, n = np.unravel_index(int(values.argmax()), values.shape)
    return int(h), int(n)
