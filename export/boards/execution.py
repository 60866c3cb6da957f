"""Networks on SpiNNaker through sPyNNaker: map, check, run; what it takes, as tables.

sPyNNaker runs as a process of its own in a run's directory (:mod:`export.boards.process`).
"""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.boards import emulated
from export.boards import worker as spinnaker_worker
from export.boards.config import CORES, SPINNAKER_2, Board, BoardError
from export.boards.process import LOG, no_result, prepare, told_error
from export.boards.worker import RECORDING, RESULT, SAMPLES, DoesNotFitError
from export.description.inspection import table
from export.description.multiplicity import in_units
from export.description.network import Network
from export.fixed_point.registry import arithmetic_of
from export.pynn.backend import BackendError
from export.pynn.registry import board_backend
from export.pynn.spinnaker import SOURCES_PER_CORE, SpinnakerBackend
from export.samples.inputs import as_samples, encode
from export.samples.multiplicity import counted
from export.samples.readout import needed_membranes
from export.samples.recording import Recording
from snn_ssm.files import new_directory

_log = logging.getLogger("snn_ssm")

# Cost model in ARM instructions: measured under emulation, which counts instructions and not
# cycles; the neurons' own stand with their arithmetic.
_TICK = 504
_PER_SPIKE, _PER_TARGET = 811, 25
_PER_PACKET = 23  # a membrane that arrives as a payload
_PER_GRADED, _PER_SOURCE = 75, 6  # a neuron's sum of them
_CYCLES_PER_MS = 200_000
_INSTRUCTIONS_PER_CYCLE = 0.7
ASSUMED_RATE = 0.15


@dataclass(frozen=True)
class BoardRun:
    """``report``: what sPyNNaker mapped; ``recording``: None from the virtual board."""

    report: dict[str, Any]
    recording: Recording | None


def execute(
    network: Network, samples: NDArray[Any], board: Board, directory: Path | None = None
) -> BoardRun:
    """Map the network, and on a board run ``samples`` (B, C, L), in a process of its own.

    ``directory``: a new one that keeps configuration, log and reports; temporary if not given.
    The virtual board maps one sample and runs nothing. Raises :class:`BackendError` and
    :class:`BoardError` with their subclasses; ``InputError`` for samples that do not fit.
    """
    asked, network = network, in_units(network)
    backend = board_backend(network, board.neurons_per_core)
    samples = as_samples(network, samples)
    backend.check(network)
    if board.is_virtual:
        samples = samples[:1]
    check_fits(network, board, backend, min(len(samples), backend.copies or 1))
    if directory is not None:
        kept = new_directory(directory, "run's directory")
        return _counted(asked, _on_board(network, samples, board, kept))
    with tempfile.TemporaryDirectory(prefix="snn-ssm-") as temporary:
        return _counted(asked, _on_board(network, samples, board, Path(temporary)))


def _counted(network: Network, run: BoardRun) -> BoardRun:
    """Its recording as one of the network that was asked for, whose neurons may spike often."""
    found = run.recording
    return BoardRun(run.report, None if found is None else counted(network, found))


def check_fits(network: Network, board: Board, backend: SpinnakerBackend, copies: int) -> None:
    """Raise :class:`DoesNotFitError` for the first population that finds too few cores left.

    For one board or chip; what a spalloc server lends grows with the network.
    """
    if board.is_spalloc:
        return
    free = left = CORES[board.machine_version]
    needs = [(network.source.name, network.source.size, SOURCES_PER_CORE)]
    needs += [(p.name, p.size, backend.per_core(network, p)) for p in backend.mapped(network)]
    for name, size, per_core in needs:
        cores = math.ceil(copies * size / per_core)
        if cores > left:
            side = f" for {copies} samples side by side" if copies > 1 else ""
            raise DoesNotFitError(
                f"population {name!r} does not fit: it needs {cores} cores of "
                f"{per_core} neurons{side}, and {left} of the {free} cores of "
                f"machine version {board.machine_version} are left; {cores - left} too many. Put "
                "more neurons on a core, use a larger machine, or train fewer channels or layers."
            )
        left -= cores


def mean_rates(network: Network, samples: NDArray[Any]) -> dict[str, float]:
    """Spikes a neuron and step of the input and of each layer, by the software backend.

    Of a layer that sends several in a step, of each of those that stand for it on a board.
    """
    from export.software import simulation as software

    network = in_units(network)
    spikes = software.run(network, samples).spikes
    emitted = {network.source.name: encode(network, samples), **spikes}
    return {name: float(np.asarray(values).mean()) for name, values in emitted.items()}


def _on_board(network: Network, samples: NDArray[Any], board: Board, directory: Path) -> BoardRun:
    """On the board, or on an emulated one that is started for it."""
    with emulated.started(board) as (found, made):
        try:
            run = _execute(network, samples, found, directory)
        except BoardError as error:
            if made is None or not made.errors:
                raise
            said = "\n".join(made.errors)
            raise type(error)(f"{error} The emulated board says:\n{said}") from error
        if made is not None:
            run.report["emulated"] = emulated.told(made)
        return run


def _execute(network: Network, samples: NDArray[Any], board: Board, directory: Path) -> BoardRun:
    np.save(directory / SAMPLES, samples)
    environment = prepare(network, board, directory)
    command = [sys.executable, "-m", spinnaker_worker.__name__, os.fspath(directory.resolve())]
    with (directory / LOG).open("wb") as log:
        done = subprocess.run(
            command, cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, check=False,
        )
    if not (directory / RESULT).is_file():
        raise no_result(done.returncode, directory / LOG, "execute(..., directory) keeps its log.")
    result = json.loads((directory / RESULT).read_text())
    if "error" in result:
        raise told_error(result["error"], result["message"])
    found = directory / RECORDING
    return BoardRun(result, Recording.load(found) if found.is_file() else None)


def run(
    network: Network, samples: NDArray[Any], board: Board, *, membranes: Collection[str] = ()
) -> Recording:
    """The spikes of ``samples`` (B, C, L) on a board, and the membranes that logits need.

    Raises :class:`BoardError` for the virtual one, ``BackendError`` for other membranes, which are
    not read back, and what :func:`execute` raises.
    """
    if not set(membranes) <= set(needed_membranes(network)):
        raise BackendError("spikes only are read back from SpiNNaker here; record no membranes.")
    found = execute(network, samples, board)
    recording = found.recording
    for line in emulated.lines(found.report["emulated"]) if "emulated" in found.report else []:
        _log.info(line)
    if recording is None:
        raise BoardError(
            "the virtual board only maps: there are no spikes. Give --board an address or a "
            "spalloc URL, or use the backend spinnaker-software, which computes what a board would."
        )
    return recording


def estimate(
    network: Network, population: str, neurons: int, rates: Mapping[str, float]
) -> tuple[int, int]:
    """Instructions a core and tick: ``504 + 150 n + spikes (811 + 25 targets)``, an estimate.

    A native neuron takes ``67 + 19 N`` instead of 150, or ``67 + 11 N`` if its modes are real; one
    with gated inputs, a reset or a history what :mod:`export.fixed_point` says. A graded projection
    costs ``23 sources + n (75 + 6 sources)``, whatever the rate. ``neurons`` n on the core;
    ``rates``: spikes a neuron and step of every source. Returns them at these rates, and with every
    source spiking.
    """
    found = network.population(population)
    arithmetic = arithmetic_of(network)
    base = _TICK + arithmetic.instructions(found) * neurons
    own = arithmetic.a_spike(found) * neurons
    typical = base + rates.get(population, ASSUMED_RATE) * own
    worst = float(base + own)
    for projection in network.incoming(population):
        if projection.graded:
            sources = projection.weights.shape[0]
            packets = _PER_PACKET * sources + neurons * (_PER_GRADED + _PER_SOURCE * sources)
            typical, worst = typical + packets, worst + packets
            continue
        density = np.count_nonzero(projection.weights) / projection.weights.size
        spike = _PER_SPIKE + _PER_TARGET * neurons * density
        sources = projection.weights.shape[0]
        typical += rates.get(projection.source, ASSUMED_RATE) * sources * spike
        worst += sources * spike
    return round(typical), round(worst)


def time_scale(instructions: int, timestep: float) -> int:
    """The smallest whole slow-down at which a core keeps up, at 0.7 instructions a cycle."""
    return max(math.ceil(instructions / (_CYCLES_PER_MS * _INSTRUCTIONS_PER_CYCLE * timestep)), 1)


def describe(
    network: Network, board: Board, report: Mapping[str, Any], rates: Mapping[str, float]
) -> str:
    """The tables of ``inspect --board``: what sPyNNaker mapped, and what real time would need."""
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
    ]  # fmt: skip
    if "emulated" in report:
        found = report["emulated"]
        lines += ["", *emulated.loads(found), "", *emulated.lines(found)]
    else:
        lines += ["", *_estimates(network, report, rates)]
    if board.is_virtual:
        lines.append("The virtual board maps and does not run.")
    if board.machine_version in SPINNAKER_2:
        lines.append("SpiNNaker 2: mapping only; the cost model is SpiNNaker 1's.")
    return "\n".join(lines)


def _estimates(
    network: Network, report: Mapping[str, Any], rates: Mapping[str, float]
) -> list[str]:
    """What real time would need, of a network that did not run."""
    costs = []
    largest = {row["name"]: row["per_core"] for row in report["populations"]}
    mapped = board_backend(network).mapped(network)
    for name in (p.name for p in mapped):
        found = estimate(network, name, largest[name], rates)
        costs.append(
            [name, largest[name],
             *(f"{value:,}" for value in found), *(time_scale(v, network.timestep) for v in found)]
        )  # fmt: skip
    hint = "A population behind each layer takes far fewer: export with --residual relayed."
    return [
        "Estimate for SpiNNaker 1, instructions a core and tick, and the time_scale_factor that "
        "real time needs:",
        table(
            ["population", "neurons a core", "at rate", "all spiking", "factor", "all spiking"],
            costs,
        ),
        "rates: " + ", ".join(
            f"{name} {rates.get(name, ASSUMED_RATE):.3f}"
            for name in (network.source.name, *(p.name for p in network.layers))
        ) + ("" if rates else " (assumed)"),
        *([hint] if network.folded and any(row[-2] > 1 for row in costs) else []),
    ]  # fmt: skip
