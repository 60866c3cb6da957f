"""PyNN on SpiNNaker with leaky neurons: the ``IF_curr_delta`` that sPyNNaker ships."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network, Population
from export.fixed_point.lif import LifPlan
from export.pynn.spinnaker import RECEPTORS, SpinnakerBackend, connection_list


class SpinnakerLif(SpinnakerBackend):
    """LIF cells: sPyNNaker's own ``IF_curr_delta``; samples run side by side.

    Scales and thresholds are those of :mod:`export.fixed_point.lif`. The bias comes from a spike
    source of its own, as in :class:`export.pynn.nest_lif.NestLif`: one spike a step, from the
    population's first step on. No membrane is read, since the board records it before the update.
    """

    cells = "lif"
    arithmetic = "lif"
    copies: int | None = 4  # a spike reaches the cores of every copy, and costs there

    def driven(self, network: Network, population: Population) -> NDArray[np.bool_]:
        return np.asarray(population.kind.arrays(population.cell)["bias"] != 0)

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        plan = cast(LifPlan, self.plan(network, population))
        parameters = {k: np.tile(v, copies).tolist() for k, v in asdict(plan.cell).items()}
        made = self.place(sim, network, population, sim.IF_curr_delta(**parameters), copies)
        made.initialize(v=0.0)
        constant = plan.constant()
        if constant is not None:
            # Sent in the tick before the one in which it arrives.
            times = first_step - 1 + np.arange(network.steps)
            name = f"{population.name} bias"
            source = self.spike_sources(sim, [times], network.timestep, name)
            for receptor, stored, r in zip(RECEPTORS, constant, plan.shifts, strict=True):
                weights = np.ldexp(np.tile(stored, copies).astype(np.float64), r - 15)
                rows = connection_list(weights, receptor, network.timestep, where=name)
                if len(rows) > 0:
                    sim.Projection(
                        source, made, sim.FromListConnector(rows), sim.StaticSynapse(),
                        receptor_type=receptor,
                    )  # fmt: skip
        return made
