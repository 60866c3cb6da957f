"""What SpiNNaker would make of a network, as a section of the report."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from export.boards.cost import RATES, budgets, time_scale, traffic_of
from export.description.multiplicity import in_units
from export.description.network import Network
from export.fixed_point.report import describe_plan
from export.fixed_point.simulation import make_plan
from export.pages.page import Section
from export.pynn.registry import board_backend
from pynn_models.errors import SnnSsmError

_TITLE = "On SpiNNaker"


def board_section(network: Network, samples: NDArray[Any]) -> Section:
    """The plan for all inputs, and cores and instructions at the samples' spikes.

    ``samples`` (B, C, L). A network that cannot run there has the reason instead.
    """
    try:
        network = in_units(network)
        plan = describe_plan(network, make_plan(network))
        backend = board_backend(network)
        traffic = traffic_of(network, samples[:RATES])
        rows: list[dict[str, object]] = [
            {
                "population": row.population,
                "neurons": row.neurons,
                "cores": row.cores,
                "mean instructions a core and tick": f"{row.mean:,}",
                "longest tick": f"{row.longest:,}",
                "time scale factor": time_scale(row.planned, network.timestep),
                "all spiking": f"{row.most:,}",
                "factor, all spiking": time_scale(row.most, network.timestep),
            }
            for row in budgets(network, backend, 1, traffic)
        ]
    except SnnSsmError as refusal:
        return Section(_TITLE, [f"It does not run there: {refusal}"])
    return Section(
        _TITLE,
        [
            f"Estimated from who spikes when on the first {RATES} samples, and not measured: "
            "nothing has run on a real board. The factor is how many times slower than real time "
            "the simulation must run, so that the longest tick surely fits.",
            "Below: what fixed point costs, with scalings with which no input in range overflows.",
        ],
        [rows],
        [plan],
    )
