"""Maps (and on a board runs) a network in a process of its own: sPyNNaker's state is global.

``python -m export.boards.worker DIR`` reads ``request.json``, ``network/`` and ``samples.npy``
of a directory and leaves ``result.json`` there, and ``recording.safetensors`` if a board ran.
:mod:`export.boards.execution` writes the one and reads the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.boards.config import BoardError, use_configuration
from export.description.network import Network
from export.description.storage import load_network
from export.pynn.built import Built, build, setup_arguments, simulator
from export.pynn.registry import board_backend
from export.pynn.spinnaker import RECEPTORS, SpinnakerBackend, read_weights
from export.samples.readout import needed_membranes
from export.samples.recording import concatenate
from pynn_models.errors import SnnSsmError
from snn_ssm.files import write_atomic

REQUEST, RESULT = "request.json", "result.json"
NETWORK, SAMPLES, RECORDING = "network", "samples.npy", "recording.safetensors"
_REGION = "SELECT content FROM region WHERE x=? AND y=? AND p=? AND region_label='neuron_params'"
_SYSTEM = "SYSTEM"  # what labels of sPyNNaker's own vertices start with


class DoesNotFitError(BoardError):
    """A network that needs more cores or memory than the machine has."""


class WeightMismatchError(BoardError):
    """sPyNNaker would store other weights than those planned."""


class ParameterMismatchError(BoardError):
    """sPyNNaker would load other neuron parameters than those planned."""


def _placements() -> Iterator[Any]:
    from spynnaker.pyNN.data import SpynnakerDataView

    yield from SpynnakerDataView.iterate_placemements()


def read_board(built: Built) -> dict[str, Any]:
    """Chips, cores, memory and routing entries as sPyNNaker mapped them; after ``sim.run``."""
    from spynnaker.pyNN.data import SpynnakerDataView

    machine = SpynnakerDataView.get_machine()
    steps = round(built.duration / built.network.timestep)
    rows: dict[str, dict[str, Any]] = {}
    system = 0
    for placement in _placements():
        vertex = placement.vertex
        if vertex.label.startswith(_SYSTEM):
            system += 1
            continue
        name = vertex.app_vertex.label
        row = rows.setdefault(
            name, {"name": name, "cores": 0, "neurons": 0, "per_core": 0, "sdram": 0, "chips": [],
                   "placed": []}
        )
        size = int(vertex.vertex_slice.n_atoms)
        row["cores"] += 1
        row["placed"].append([placement.x, placement.y, placement.p, *_held(vertex)])
        row["neurons"] += size
        row["per_core"] = max(row["per_core"], size)
        row["sdram"] += int(vertex.sdram_required.get_total_sdram(steps))
        if [placement.x, placement.y] not in row["chips"]:
            row["chips"].append([placement.x, placement.y])
    tables = [int(t.number_of_entries) for t in SpynnakerDataView.get_uncompressed()]
    chip = next(iter(machine.chips))
    return {
        "machine": {
            "chips": int(machine.n_chips),
            "cores": int(machine.total_available_user_cores),
            "system_cores": system,
            "sdram": int(chip.sdram),
            "router_entries": int(chip.router.n_available_multicast_entries),
        },
        "populations": _in_order(rows, built.network),
        "routing": {
            "chips": len(tables), "entries": sum(tables), "largest": max(tables, default=0)
        },
    }


def _held(vertex: Any) -> list[int]:
    """The first neuron on a core, and how many there are."""
    held = vertex.vertex_slice
    return [int(held.lo_atom), int(held.n_atoms)]


def _in_order(rows: dict[str, dict[str, Any]], network: Network) -> list[dict[str, Any]]:
    """The input, the populations, then what sPyNNaker added, such as delay extensions."""
    names = [network.source.name, *(p.name for p in network.populations)]
    return [rows[name] for name in (*names, *(n for n in rows if n not in names)) if name in rows]


def check_weights(built: Built, backend: SpinnakerBackend) -> dict[str, int]:
    """Compare sPyNNaker's own projections with the plan, bit for bit.

    Raises :class:`WeightMismatchError`, naming the projection.
    """
    projections = synapses = 0
    for projection in built.network.projections:
        made = built.projections_of(projection)
        if made is None:
            continue
        plan = backend.plan(built.network, built.network.population(projection.target))
        wanted = plan.weights(projection)
        shape = (built.copies * wanted[0].shape[0], built.copies * wanted[0].shape[1])
        found = read_weights(made, shape)
        for receptor, ours, theirs in zip(RECEPTORS, wanted, found, strict=True):
            full = np.kron(np.eye(built.copies), ours)
            if not np.array_equal(full, theirs):
                i, j = (int(v) for v in np.argwhere(full != theirs)[0])
                raise WeightMismatchError(
                    f"{projection}, {receptor}: sPyNNaker holds {theirs[i, j]!r} at [{i}, {j}], "
                    f"expected {full[i, j]!r}. Install sPyNNaker 7.4.1, for which it was checked."
                )
            synapses += int(np.count_nonzero(full))
        projections += 1
    return {"projections": projections, "synapses": synapses, "differing": 0}


def check_parameters(built: Built, backend: SpinnakerBackend) -> dict[str, int]:
    """Compare what sPyNNaker would load as native neurons with the plan, bit for bit.

    Read from the database in which it keeps every core's memory regions, until ``sim.end``.
    Raises :class:`ParameterMismatchError`, naming the population.
    """
    from spynnaker.pyNN.data import SpynnakerDataView

    native = {p.name: p for p in backend.mapped(built.network)}
    words = 0
    with contextlib.closing(sqlite3.connect(SpynnakerDataView.get_ds_database_path())) as database:
        for placement in _placements():
            vertex = placement.vertex
            if vertex.label.startswith(_SYSTEM) or vertex.app_vertex.label not in native:
                continue
            name, part = vertex.app_vertex.label, vertex.vertex_slice
            wanted = backend.region(
                built.network, native[name], built.first_steps[name],
                slice(part.lo_atom, part.hi_atom + 1),
            )  # fmt: skip
            row = database.execute(_REGION, (placement.x, placement.y, placement.p)).fetchone()
            found = np.frombuffer(row[0] if row and row[0] else b"", "<u4")
            if not np.array_equal(found, wanted):
                raise ParameterMismatchError(
                    f"population {name!r}, neurons {part.lo_atom} to {part.hi_atom}: sPyNNaker "
                    f"would load {found.size} words, expected {wanted.size} planned ones, bit for "
                    "bit. Install sPyNNaker 7.4.1, for which it was checked."
                )
            words += wanted.size
    return {"words": words, "differing": 0}


def explain(error: Exception, board: str) -> BoardError:
    """sPyNNaker's failure as one of ours: a network that does not fit, or its own words."""
    said = f"on {board}: {type(error).__name__}: {error}"
    if "Place" in type(error).__name__:
        return DoesNotFitError(
            f"the network was not placed {said}. The cores suffice, so a chip lacks memory, or "
            "cores that belong on one chip. Put fewer neurons on a core, or train fewer channels."
        )
    return BoardError(
        f"sPyNNaker failed {said}. Check the board's address and state; "
        "export.boards.execution.execute(..., directory) keeps its log."
    )


def work(directory: Path) -> dict[str, Any]:
    """Map, check the weights, and run on a board if there is one; returns ``result.json``."""
    request = json.loads((directory / REQUEST).read_text())
    use_configuration(directory, os.environ)
    os.chdir(directory)
    network = load_network(directory / NETWORK)
    samples = np.load(directory / SAMPLES, allow_pickle=False)
    sim = simulator("spinnaker")
    backend = board_backend(network, request["neurons_per_core"])
    result: dict[str, Any] = {}
    parts = []
    chunk = backend.samples_a_run(network) or len(samples)
    for start in range(0, len(samples), chunk):
        part = samples[start : start + chunk]
        built = _run(sim, network, part, backend, request["board"])
        if not result:
            result = read_board(built) | {"weights": check_weights(built, backend)}
            result["neurons_per_core"] = request["neurons_per_core"]
            if backend.reads_parameters:
                result["parameters"] = check_parameters(built, backend)
        if not request["virtual"]:
            parts.append(built.recording(needed_membranes(network)))
        sim.end()
    if parts:
        concatenate(parts).save(directory / RECORDING)
    return result


def _run(
    sim: Any, network: Network, samples: NDArray[Any], backend: SpinnakerBackend, board: str
) -> Built:
    arguments = setup_arguments("spinnaker", network)
    try:
        sim.setup(**arguments)
        built = build(sim, network, samples, backend=backend)
        built.record(needed_membranes(network))
        sim.run(built.duration)
    except SnnSsmError:
        raise
    except Exception as error:
        raise explain(error, board) from error
    return built


def main(directory: Path) -> int:
    """Run :func:`work`; whatever is refused goes into ``result.json``, too."""
    try:
        result = work(directory)
    except SnnSsmError as error:
        result = {"error": type(error).__name__, "message": str(error)}
    write_atomic(directory / RESULT, json.dumps(result).encode())
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
