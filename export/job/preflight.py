"""Before a job is queued: whether the network runs on SpiNNaker, and what it needs there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.boards.config import Board
from export.boards.cost import RATES, budgets, mean_rates, time_scale, traffic_of
from export.boards.execution import check_fits, source_cores
from export.description.inspection import table
from export.description.multiplicity import in_units
from export.description.network import Network
from export.fixed_point.simulation import make_plan
from export.pynn.registry import board_backend

_VERSION = 5


@dataclass(frozen=True)
class Preflight:
    """``rows``: a population each; ``sources``: cores that the input, and constant inputs, take.

    ``factor``: the time scale factor that the samples' busiest tick needs; ``worst``: that of one
    in which every source spikes.
    """

    rows: tuple[dict[str, Any], ...]
    sources: int
    factor: int
    worst: int

    @property
    def cores(self) -> int:
        """All that it takes, but sPyNNaker's own."""
        return self.sources + sum(int(row["cores"]) for row in self.rows)

    def __str__(self) -> str:
        """The table, and what it means."""
        lines = [
            table(
                ["population", "neurons", "cores", "spikes a neuron and step", "longest tick",
                 "factor"],
                [
                    [r["name"], r["neurons"], r["cores"], f"{r['rate']:.3f}",
                     f"{r['instructions']:,}", r["factor"]]
                    for r in self.rows
                ],
            ),
            f"{self.cores} cores, {self.sources} of them of the input; time scale factor "
            f"{self.factor} for the longest tick, {self.worst} if every source spikes at once: "
            "estimates, in instructions a core and tick, nothing was measured on a board",
        ]  # fmt: skip
        return "\n".join(lines)


def preflight(
    network: Network,
    samples: NDArray[Any],
    neurons_per_core: int | None = None,
    calibration: NDArray[Any] | None = None,
) -> Preflight:
    """What a network needs on a board of 48 chips, at the spike rates of its samples (B, C, L).

    Raises what refuses the network there, with its remedy: ``SpinnakerUnsupportedError`` (gates,
    other cells), ``SpinnakerInputError`` (real values, currents), ``CoreSizeError``,
    ``DelayLimitError``, ``DoesNotFitError``, and the errors of a plan.
    """
    network = in_units(network)
    plan = make_plan(network, calibration)
    backend = board_backend(network, neurons_per_core, plan)
    backend.check(network)
    check_fits(network, Board(machine_version=_VERSION), backend, backend.copies or 1)
    copies = backend.copies or 1
    traffic = traffic_of(network, np.asarray(samples)[:RATES])
    rates = mean_rates(traffic)
    rows: list[dict[str, Any]] = []
    worst = 1
    for row in budgets(network, backend, copies, traffic):
        worst = max(worst, time_scale(row.most, network.timestep))
        rows.append(
            {
                "name": row.population,
                "neurons": row.neurons,
                "cores": row.cores,
                "rate": rates[row.population],
                "instructions": row.planned,
                "factor": time_scale(row.planned, network.timestep),
            }
        )
    sources = source_cores(network, backend, copies)
    return Preflight(tuple(rows), sources, max(row["factor"] for row in rows), worst)
