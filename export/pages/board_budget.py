"""What SpiNNaker would make of a network, as a section of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.boards.execution import estimate, time_scale
from export.description.multiplicity import in_units, unit_names
from export.description.network import Network
from export.fixed_point.report import describe_plan
from export.fixed_point.simulation import make_plan
from export.pages.page import Section
from export.pynn.registry import board_backend
from export.samples.inputs import encode
from pynn_models.errors import SnnSsmError

_TITLE = "On SpiNNaker"
_RATES = 20  # samples that the input's rate is taken from


def board_section(
    network: Network, samples: NDArray[Any], verification: Mapping[str, Any]
) -> Section:
    """The plan for all inputs, and cores and instructions at the spike rates that were found.

    ``samples`` (B, C, L). A network that cannot run there has the reason instead.
    """
    try:
        found = verification["layers"]
        rates = {
            name: float(found[population.name]["spike_rate"]) / population.levels
            for population in network.layers for name in unit_names(population)
        }
        network = in_units(network)
        plan = describe_plan(network, make_plan(network))
        backend = board_backend(network)
        rates[network.source.name] = float(np.mean(encode(network, samples[:_RATES])))
        rows: list[dict[str, object]] = []
        for population in backend.mapped(network):
            most = min(backend.per_core(network, population), population.size)
            typical, worst = estimate(network, population.name, most, rates)
            rows.append(
                {
                    "population": population.name,
                    "neurons": population.size,
                    "cores": math.ceil(population.size / most),
                    "instructions a core and tick": f"{typical:,}",
                    "time scale factor": time_scale(typical, network.timestep),
                    "all spiking": f"{worst:,}",
                    "factor, all spiking": time_scale(worst, network.timestep),
                }
            )
    except SnnSsmError as refusal:
        return Section(_TITLE, [f"It does not run there: {refusal}"])
    return Section(
        _TITLE,
        [
            "Estimated from the spike rates above, and not measured: nothing has run on a real "
            "board. The factor is how many times slower than real time the simulation must run.",
            "Below: what fixed point costs, with scalings with which no input in range overflows.",
        ],
        [rows],
        [plan],
    )
