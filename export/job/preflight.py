"""Before a job is queued: whether the network runs on SpiNNaker, and what it needs there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.boards.config import Board
from export.boards.execution import check_fits, estimate, mean_rates, time_scale
from export.description.inspection import table
from export.description.multiplicity import in_units
from export.description.network import Network
from export.fixed_point.simulation import make_plan
from export.pynn.registry import board_backend

_RATES = 20  # samples that the spike rates are taken from
_VERSION = 5


@dataclass(frozen=True)
class Preflight:
    """``rows``: a population each; ``factor``: the time scale factor that its spikes need."""

    rows: tuple[dict[str, Any], ...]
    factor: int
    worst: int

    def __str__(self) -> str:
        """The table, and what it means."""
        lines = [
            table(
                ["population", "neurons", "cores", "spikes a step", "instructions", "factor"],
                [
                    [r["name"], r["neurons"], r["cores"], f"{r['rate']:.3f}",
                     f"{r['instructions']:,}", r["factor"]]
                    for r in self.rows
                ],
            ),
            f"{sum(r['cores'] for r in self.rows)} cores; time scale factor {self.factor} at these "
            f"spike rates, {self.worst} if every source spikes at every step: estimates, in "
            "instructions a core and tick, nothing was measured on a board",
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
    rates = mean_rates(network, np.asarray(samples)[:_RATES])
    rows: list[dict[str, Any]] = []
    factors, worst = [1], 1
    for population in backend.mapped(network):
        most = min(backend.per_core(network, population), population.size)
        typical, all_spike = estimate(network, population.name, most, rates)
        factors.append(time_scale(typical, network.timestep))
        worst = max(worst, time_scale(all_spike, network.timestep))
        rows.append(
            {
                "name": population.name,
                "neurons": population.size,
                "cores": math.ceil((backend.copies or 1) * population.size / most),
                "rate": rates.get(population.name, 0.0),
                "instructions": typical,
                "factor": factors[-1],
            }
        )
    return Preflight(tuple(rows), max(factors), worst)
