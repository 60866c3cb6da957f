"""What fixed point costs a network: the tables of ``snn-ssm inspect --spinnaker``.

The numbers are those of :mod:`export.fixed_point.rows`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from export.description.inspection import quantiser_lines, table
from export.description.multiplicity import in_units
from export.description.network import INPUT_RECEPTOR, Network
from export.fixed_point.reach import reach_for_all
from export.fixed_point.registry import arithmetic_of
from export.fixed_point.rows import (
    ModeRow,
    PartRow,
    RingRow,
    SumRow,
    WeightRow,
    mode_row,
    part_rows,
    ring_row,
    sum_rows,
    weight_row,
)
from export.fixed_point.simulation import SpinnakerPlan


@dataclass(frozen=True)
class PlanTables:
    """The rows of :func:`describe_plan`."""

    projections: list[WeightRow]
    ring_buffers: list[RingRow]
    sums: list[SumRow]
    parts: list[PartRow]
    modes: list[ModeRow]


def plan_tables(network: Network, plan: SpinnakerPlan) -> PlanTables:
    """A row a projection, a receptor, a kind of sum, a part by which spikes act back, and a
    population with modes."""
    network = in_units(network)
    found = [(network.population(name), p) for name, p in plan.populations.items()]
    bounds = reach_for_all(network) if arithmetic_of(network).gated else {}
    return PlanTables(
        [weight_row(q, p) for population, p in found for q in network.incoming(population.name)],
        [ring_row(network, *pair, name) for pair in found for name in pair[1].names],
        [
            row
            for population, p in found
            if bounds
            for row in sum_rows(population, p, bounds[population.name])
        ],
        [row for pair in found for row in part_rows(*pair)],
        [row for row in (mode_row(network, *pair) for pair in found) if row],
    )


def plan_rows(network: Network, plan: SpinnakerPlan) -> dict[str, list[dict[str, Any]]]:
    """The rows of :func:`describe_plan`: ``projections``, ``ring_buffers``, ``sums``, ``parts``,
    ``modes``."""
    tables = plan_tables(network, plan)
    return {name: [asdict(row) for row in rows] for name, rows in vars(tables).items()}


def describe_plan(network: Network, plan: SpinnakerPlan) -> str:
    """The tables, as text: projections, ring buffers, sums of gated inputs, resets and histories,
    modes."""
    tables = plan_tables(network, plan)
    kind = "for the calibration samples" if plan.calibrated else "for all inputs in range"
    saturating = sum(row.can_saturate for row in tables.ring_buffers)
    limited = sum(row.saturates for row in tables.sums)
    lines = [
        f"SpiNNaker's arithmetic, planned {kind}: states never overflow, "
        + (f"the ring buffers of {saturating} neuron(s) may." if saturating
           else "ring buffers neither."),
        *quantiser_lines(network),
        *([f"Products have no bound for all inputs: {limited} sum(s) would saturate if they went "
           "beyond what is planned for."] if limited else []),
        "",
        table(
            ["projection", "synapses", "shift exc", "inh", "became zero", "saturated",
             "effective bits", "worst neuron"],
            [[w.projection, w.synapses, *(w.shifts or ("graded", "")), w.zero, w.saturated,
              f"{w.bits_median:.1f}", f"{w.bits_least:.1f}"] for w in tables.projections],
        ),
        "",
        table(
            ["ring buffers", "neurons", "scale 2^", "load exc", "inh", "can saturate", "slots"],
            [[_named(r), r.neurons, f"{r.scales[0]} .. {r.scales[1]}",
              *(f"{v:.0%}" for v in r.load), r.can_saturate, r.slots] for r in tables.ring_buffers],
        ),
        "",
        *([table(
            ["gated sums", "of", "number", "planned for", "bound for all inputs", "can saturate"],
            [[s.population, s.sums, s.number, f"{s.reach:.3g}", f"{s.bound:.3g}", s.saturates]
             for s in tables.sums],
        ), ""] if tables.sums else []),
        *([table(
            ["spikes act back", "by", "constants", "became zero", "effective bits", "worst neuron"],
            [[p.population, p.part, p.constants, p.zero, f"{p.bits_median:.1f}",
              f"{p.bits_least:.1f}"] for p in tables.parts],
        ), ""] if tables.parts else []),
        table(
            ["modes", "number", "drift of |abar|", "worst", "of arg (rad)", "worst",
             "state bits used", "headroom"],
            [[m.population, m.modes, f"{m.radius_drift:.2g}", list(m.radius_worst),
              f"{m.angle_drift:.2g}", list(m.angle_worst),
              f"{m.reach[0] + 1:.1f} .. {m.reach[1] + 1:.1f}", f"{m.headroom:.1f}"]
             for m in tables.modes],
        ),
        "",
        "load: all sources spiking at once, of 65535; worst: [neuron, mode]",
    ]  # fmt: skip
    note = arithmetic_of(network).note
    if note:
        lines.append(note)
    return "\n".join(lines)


def _named(row: RingRow) -> str:
    return row.population + ("" if row.receptor == INPUT_RECEPTOR else f" ({row.receptor})")
