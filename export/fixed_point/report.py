"""What fixed point costs a network: the tables of ``snn-ssm inspect --spinnaker``.

Weights, a neuron j of a projection::

    bits_j = log2(sqrt(sum_i w_ij^2 / sum_i (stored_ij 2^(r - 15) / g_j - |w_ij|)^2))

the signal over the rounding. Modes, abar as trained and as the
board has it (Q0.31 in a native cell, the u0.32 decay in a stock one)::

    drift = | |abar'| - |abar| |,  | arg abar' - arg abar |
    reach = log2(largest |X| over all inputs, in units of its last place)

so that a state uses ``reach`` + 1 of its 32 bits and has 31 - ``reach`` bits of headroom.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from export.description.inspection import table
from export.description.network import FloatArray, Network, Population, Projection
from export.fixed_point.plan import Plan
from export.fixed_point.registry import ARITHMETIC
from export.fixed_point.simulation import SpinnakerPlan
from export.fixed_point.weights import stored_load
from pynn_models.cells import propagator
from pynn_models.spinnaker.synapses import RING_MAX


@dataclass(frozen=True)
class WeightRow:
    """A projection: ``zero``, weights that became 0; ``saturated``, that are cut to 65535;
    effective bits of the median and the worst neuron (inf: exact)."""

    projection: str
    synapses: int
    shifts: tuple[int, int]
    zero: int
    saturated: int
    bits_median: float
    bits_least: float


@dataclass(frozen=True)
class RingRow:
    """A population's ring buffers: ``load``, the largest sum when all sources spike, over 65535
    (excitatory, inhibitory); ``can_saturate``, neurons of a load above 1; log2 of the scales."""

    population: str
    neurons: int
    load: tuple[float, float]
    can_saturate: int
    scales: tuple[int, int]


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


def weight_row(projection: Projection, plan: Plan) -> WeightRow:
    """The row of one projection; ``plan``: of its target."""
    signs = np.stack([np.maximum(projection.weights, 0), np.maximum(-projection.weights, 0)])
    stored = np.stack(plan.stored(projection)).astype(np.float64)  # (2, pre, post)
    unit = 2.0 ** (np.array(plan.shifts) - 15)[:, None, None] / plan.scale
    error = ((stored * unit - signs) ** 2).sum(axis=(0, 1))
    signal = (signs**2).sum(axis=(0, 1))
    with np.errstate(divide="ignore"):
        ratio = np.where(error > 0, signal / np.where(error > 0, error, 1), np.inf)
        bits = np.log2(ratio) / 2
    bits = bits[signal > 0] if (signal > 0).any() else np.array([np.inf])
    return WeightRow(
        projection=f"{projection.source} -> {projection.target}",
        synapses=projection.weights.size,
        shifts=plan.shifts,
        zero=int(((signs > 0) & (stored == 0)).sum()),
        saturated=int((np.rint(signs / unit) > RING_MAX).sum()),
        bits_median=float(np.median(bits)),
        bits_least=float(bits.min()),
    )


def ring_row(network: Network, population: Population, plan: Plan) -> RingRow:
    """The ring buffers of one population."""
    load = stored_load(network, population, plan)  # (2, H)
    scales = np.rint(np.log2(plan.scale)).astype(int)
    exc, inh = (float(v) for v in load.max(axis=1) / RING_MAX)
    return RingRow(
        population=population.name,
        neurons=population.size,
        load=(exc, inh),
        can_saturate=int((load > RING_MAX).any(axis=0).sum()),
        scales=(int(scales.min()), int(scales.max())),
    )


def mode_row(network: Network, population: Population, plan: Plan) -> ModeRow | None:
    """The modes of one population; None if it has none."""
    cell = population.state_space
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


def _rows(
    network: Network, plan: SpinnakerPlan
) -> tuple[list[WeightRow], list[RingRow], list[ModeRow]]:
    found = [(network.population(name), p) for name, p in plan.populations.items()]
    weights = [
        weight_row(projection, p)
        for population, p in found
        for projection in network.incoming(population.name)
    ]
    modes = [row for row in (mode_row(network, *pair) for pair in found) if row]
    return weights, [ring_row(network, *pair) for pair in found], modes


def plan_rows(network: Network, plan: SpinnakerPlan) -> dict[str, list[dict[str, Any]]]:
    """The rows of :func:`describe_plan`: ``projections``, ``ring_buffers``, ``modes``."""
    weights, rings, modes = _rows(network, plan)
    return {
        "projections": [asdict(row) for row in weights],
        "ring_buffers": [asdict(row) for row in rings],
        "modes": [asdict(row) for row in modes],
    }


def describe_plan(network: Network, plan: SpinnakerPlan) -> str:
    """The tables, as text: projections, ring buffers, modes."""
    weights, rings, modes = _rows(network, plan)
    kind = "for the calibration samples" if plan.calibrated else "for all inputs in range"
    saturating = sum(row.can_saturate for row in rings)
    lines = [
        f"SpiNNaker's arithmetic, planned {kind}: states never overflow, "
        + (f"the ring buffers of {saturating} neuron(s) may." if saturating
           else "ring buffers neither."),
        "",
        table(
            ["projection", "synapses", "shift exc", "inh", "became zero", "saturated",
             "effective bits", "worst neuron"],
            [[w.projection, w.synapses, *w.shifts, w.zero, w.saturated, f"{w.bits_median:.1f}",
              f"{w.bits_least:.1f}"] for w in weights],
        ),
        "",
        table(
            ["ring buffers", "neurons", "scale 2^", "load exc", "inh", "can saturate"],
            [[r.population, r.neurons, f"{r.scales[0]} .. {r.scales[1]}",
              *(f"{v:.0%}" for v in r.load), r.can_saturate] for r in rings],
        ),
        "",
        table(
            ["modes", "number", "drift of |abar|", "worst", "of arg (rad)", "worst",
             "state bits used", "headroom"],
            [[m.population, m.modes, f"{m.radius_drift:.2g}", list(m.radius_worst),
              f"{m.angle_drift:.2g}", list(m.angle_worst),
              f"{m.reach[0] + 1:.1f} .. {m.reach[1] + 1:.1f}", f"{m.headroom:.1f}"]
             for m in modes],
        ),
        "",
        "load: all sources spiking at once, of 65535; worst: [neuron, mode]",
    ]  # fmt: skip
    note = ARITHMETIC[network.cells].note
    if note:
        lines.append(note)
    return "\n".join(lines)
