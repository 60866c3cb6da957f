"""Networks on SpiNNaker through sPyNNaker: map, check, run.

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
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.boards import emulated
from export.boards import worker as spinnaker_worker
from export.boards.config import CORES, EMULATED, Board, BoardError
from export.boards.cost import RATES, budgets, time_scale, traffic_of
from export.boards.process import LOG, no_result, prepare, told_error
from export.boards.tables import executed
from export.boards.worker import RECORDING, RESULT, SAMPLES, DoesNotFitError
from export.description.multiplicity import in_units
from export.description.network import Network
from export.pynn.backend import BackendError
from export.pynn.registry import board_backend
from export.pynn.spinnaker import SOURCES_PER_CORE, SpinnakerBackend
from export.samples.inputs import as_samples
from export.samples.multiplicity import counted
from export.samples.readout import needed_membranes
from export.samples.recording import Recording
from snn_ssm.files import new_directory

_log = logging.getLogger("snn_ssm")


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


def planned_factor(network: Network, samples: NDArray[Any], board: Board) -> int:
    """The time scale factor that the longest tick of the first samples needs, an estimate."""
    units = in_units(network)
    backend = board_backend(units, board.neurons_per_core)
    copies = min(len(samples), backend.copies or 1)
    rows = budgets(units, backend, copies, traffic_of(units, as_samples(units, samples[:RATES])))
    return max(time_scale(row.planned, network.timestep) for row in rows)


def source_cores(network: Network, backend: SpinnakerBackend, copies: int) -> int:
    """The cores of the spike sources: the input's, and one a population with constant inputs."""
    constant = sum(bool(backend.driven(network, p).any()) for p in backend.mapped(network))
    return math.ceil(copies * network.source.size / SOURCES_PER_CORE) + constant


def check_fits(network: Network, board: Board, backend: SpinnakerBackend, copies: int) -> None:
    """Raise :class:`DoesNotFitError` for the first population that finds too few cores left.

    For one board or chip; what a spalloc server lends grows with the network.
    """
    if board.is_spalloc:
        return
    free = left = CORES[board.machine_version]
    needs = [(network.source.name, source_cores(network, backend, copies), SOURCES_PER_CORE)]
    for p in backend.mapped(network):
        per_core = backend.per_core(network, p)
        needs.append((p.name, math.ceil(copies * p.size / per_core), per_core))
    for name, cores, per_core in needs:
        if cores > left:
            side = f" for {copies} samples side by side" if copies > 1 else ""
            raise DoesNotFitError(
                f"population {name!r} does not fit: it needs {cores} cores of "
                f"{per_core} neurons{side}, and {left} of the {free} cores of "
                f"machine version {board.machine_version} are left; {cores - left} too many. Put "
                "more neurons on a core, use a larger machine, or train fewer channels or layers."
            )
        left -= cores


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

    Warns, in the log, where a board with a clock is estimated to be late at its time scale factor.
    Raises :class:`BoardError` for the virtual one, ``BackendError`` for other membranes, which are
    not read back, and what :func:`execute` raises.
    """
    if not set(membranes) <= set(needed_membranes(network)):
        raise BackendError("spikes only are read back from SpiNNaker here; record no membranes.")
    if not board.is_virtual and board.address != EMULATED:
        needed = planned_factor(network, samples, board)
        if needed > board.time_scale_factor:
            _log.warning(
                f"time scale factor {board.time_scale_factor}: the longest tick of these samples "
                f"is estimated to need {needed}, and a core that is late loses spikes. Give "
                f"--time-scale-factor {needed}."
            )
    found = execute(network, samples, board)
    recording = found.recording
    if "emulated" in found.report:
        for line in executed(network, found.report, samples):
            _log.info(line)
    if recording is None:
        raise BoardError(
            "the virtual board only maps: there are no spikes. Give --board an address or a "
            "spalloc URL, or use the backend spinnaker-software, which computes what a board would."
        )
    return recording
