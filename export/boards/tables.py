"""What a board was given and what it takes, as text: the mapping, and instructions a tick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from export.boards import emulated
from export.boards.config import SPINNAKER_2, Board
from export.boards.cost import (
    ASSUMED_RATE,
    RATES,
    Budget,
    budgets,
    cycles,
    mean_rates,
    time_scale,
    traffic_of,
)
from export.description.inspection import table
from export.description.multiplicity import in_units
from export.description.network import Network
from export.pynn.registry import board_backend


def describe(
    network: Network, board: Board, report: Mapping[str, Any], samples: NDArray[Any] | None = None
) -> str:
    """The tables of ``inspect --board``: what sPyNNaker mapped, and what real time would need.

    At the spikes of the first 20 samples (B, C, L), or at an assumed rate without any.
    """
    network = in_units(network)
    machine, routing, weights = report["machine"], report["routing"], report["weights"]
    rows = []
    for row in report["populations"]:
        rows.append(
            [row["name"], row["neurons"], row["cores"], row["per_core"], len(row["chips"]),
             f"{row['sdram'] / 2**20:.2f}"]
        )  # fmt: skip
    used = {tuple(chip) for row in report["populations"] for chip in row["chips"]}
    cores = sum(row["cores"] for row in report["populations"])
    lines = [
        f"{board.address} board, machine version {board.machine_version}: {machine['chips']} "
        f"chip(s), {machine['cores']} cores, {machine['sdram'] / 2**20:.0f} MiB SDRAM a chip",
        f"used: {len(used)} chip(s), {cores} cores, and {machine['system_cores']} of sPyNNaker's "
        "own",
        "",
        table(["population", "neurons", "cores", "neurons a core", "chips", "SDRAM (MiB)"], rows),
        "",
        f"routing: {routing['entries']} entries on {routing['chips']} chip(s), at most "
        f"{routing['largest']} of {machine['router_entries']} on one",
        f"weights: {weights['synapses']} synapses read back from sPyNNaker, "
        f"{weights['differing']} differ from the planned ones",
        *(
            [f"parameters: {report['parameters']['words']} words read back from what sPyNNaker "
             f"would load, {report['parameters']['differing']} differ from the planned ones"]
            if "parameters" in report else []
        ),
        "",
    ]  # fmt: skip
    if "emulated" in report:
        lines += executed(network, report, samples)
    else:
        lines += _estimates(network, _budgets(network, report, samples), samples)
    if board.is_virtual:
        lines.append("The virtual board maps and does not run.")
    if board.machine_version in SPINNAKER_2:
        lines.append("SpiNNaker 2: mapping only; the cost model is SpiNNaker 1's.")
    return "\n".join(lines)


def _budgets(
    network: Network, report: Mapping[str, Any], samples: NDArray[Any] | None
) -> list[Budget]:
    """Of the cores as sPyNNaker filled them, with as many copies as there are."""
    placed = {row["name"]: row for row in report["populations"]}
    first = placed[network.layers[0].name]
    backend = board_backend(network, report["neurons_per_core"])
    copies = first["neurons"] // network.layers[0].size
    traffic = None if samples is None else traffic_of(network, samples[:RATES])
    return budgets(network, backend, copies, traffic)


def _estimates(
    network: Network, rows: list[Budget], samples: NDArray[Any] | None
) -> list[str]:
    """What real time would need, of a network that did not run."""
    known = samples is not None
    rates = mean_rates(traffic_of(network, samples[:RATES])) if samples is not None else {}
    hint = "A population behind each layer takes far fewer: export with --residual relayed."
    return [
        "Estimate for SpiNNaker 1, instructions a core and tick, and the time_scale_factor that "
        f"real time needs at {cycles()[1]} cycles an instruction:",
        table(
            ["population", "neurons a core", "mean", *(["longest tick"] if known else []),
             "all spiking", "factor", "all spiking"],
            [
                [row.population, row.per_core, f"{row.mean:,}",
                 *([f"{row.longest:,}"] if known else []), f"{row.most:,}",
                 time_scale(row.planned, network.timestep), time_scale(row.most, network.timestep)]
                for row in rows
            ],
        ),
        "spikes a neuron and step: " + ", ".join(
            f"{name} {rates.get(name, ASSUMED_RATE):.3f}"
            for name in (network.source.name, *(p.name for p in network.layers))
        ) + ("" if known else " (assumed)"),
        *([hint] if network.folded and any(time_scale(row.planned, network.timestep) > 1
                                           for row in rows) else []),
    ]  # fmt: skip


def executed(
    network: Network, report: Mapping[str, Any], samples: NDArray[Any] | None
) -> list[str]:
    """What the cores of an emulated board executed, by population, beside the estimate."""
    found, rows = report["emulated"], []
    estimated = {row.population: row for row in _budgets(in_units(network), report, samples)}
    for placed in report["populations"]:
        cores = [
            core for core in found["cores"] for x, y, p, *_ in placed["placed"]
            if core["core"].startswith(f"core {x}, {y}, {p} ")
        ]
        if not cores:
            continue
        row = estimated.get(placed["name"])
        if row is not None and row.cores != placed["cores"]:
            row = None  # below 1 ms sPyNNaker parts neurons from synapses
        busiest = max(cores, key=lambda core: core["most"])
        rows.append(
            [placed["name"], placed["cores"], f"{max(core['instructions'] for core in cores):,}",
             f"{busiest['most']:,}", busiest["factor"], "" if row is None else f"{row.planned:,}"]
        )  # fmt: skip
    least, most = cycles()
    return [
        f"Executed instructions of a population's busiest core, and the factor of time that its "
        f"longest tick needs at {least} to {most} cycles each (an estimate):",
        table(["population", "cores", "mean", "longest tick", "factor", "estimated"], rows),
        *emulated.lines(found),
    ]
