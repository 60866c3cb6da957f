"""Network <-> a directory: ``network.json`` + ``arrays.safetensors``.

``network.json`` is the description with its arrays left out; it holds the schema version and the
SHA-256 of the arrays' file, whose metadata holds that of the description. A truncated or altered
file is found before it is used; nothing is unpickled.

Keys that only some networks need are left out of the others: ``symbols`` of an input of tokens,
``fraction`` of a quantised one;
``cell`` (its kind, where it is no state-space cell) and ``branches`` (their kind) of a population;
``receptor`` and ``graded`` of a projection, and its ``synapses``: how many there are of one that is
kept synapse by synapse, as arrays ``sources``, ``targets``, ``weights`` and, where they differ,
``delays``; ``output``, where it is no class, and ``each_step`` of the readout; of a population with
a reset ``reset`` (soft or hard) and ``refractory``, with a threshold history ``history`` (its
steps), with several levels ``levels``, and ``differences`` of one that sends these.

Schema 2 is schema 1 with such projections and populations, with delays that are longer than the
difference of the latencies, and with several projections between the same ends. A network without
any is written as schema 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.cells import KINDS, STATE_SPACE, Cell
from export.description.fields import check_fields
from export.description.network import (
    INPUT_RECEPTOR,
    Network,
    Population,
    Readout,
    Source,
)
from export.description.projection import Projection
from pynn_models.errors import SnnSsmError
from snn_ssm.files import (
    packed_parts,
    read_arrays,
    read_bytes,
    sha256,
    whole_directory,
    write_atomic,
)
from snn_ssm.kinds.outputs.classes import CLASSES
from snn_ssm.reading import LARGEST_TEXT, memory, parse_json

SCHEMA = 2
_FORWARD = 1  # the schema of networks of full matrices without lag, and of cells without parts
_PARTS = {"reset", "history", "levels", "differences"}  # keys of a population, not of schema 1
NETWORK_FILE = "network.json"
ARRAYS_FILE = "arrays.safetensors"
_BYTES = 17  # of a pair of neurons in memory: weight, delay, whether there is a synapse
_FIRST = ("name", "size", "modes", "latency")  # keys of a population, in the file's order


class StorageError(SnnSsmError):
    """A stored network that is truncated, altered or of another schema."""


def _describe(network: Network) -> dict[str, Any]:
    source: dict[str, Any] = {
        "name": network.source.name,
        "encoding": network.source.encoding,
        "channels": network.source.channels,
        "bits": network.source.bits,
    }
    if network.source.symbols:
        source["symbols"] = network.source.symbols
    if network.source.fraction:
        source["fraction"] = list(network.source.fraction)
    return {
        "schema": _schema(network),
        "timestep": network.timestep,
        "steps": network.steps,
        "source": source,
        "populations": [_describe_population(p) for p in network.populations],
        "projections": [_describe_projection(p) for p in network.projections],
        "readout": _describe_readout(network.readout),
        "origin": network.origin,
        "cells": network.cells,
    }


def _describe_readout(readout: Readout) -> dict[str, Any]:
    entry: dict[str, Any] = {"population": readout.population, "pooling": readout.pooling}
    entry |= {} if readout.output == CLASSES.name else {"output": readout.output}
    return entry | ({"each_step": True} if readout.each_step else {})


def _describe_population(population: Population) -> dict[str, Any]:
    entry = {"name": population.name, "size": population.size, "latency": population.latency}
    kind = population.kind
    named = {} if kind is STATE_SPACE else {"cell": kind.name}
    entry |= named | kind.entry(population.cell)
    first = [key for key in _FIRST if key in entry]
    return {key: entry[key] for key in [*first, *(key for key in entry if key not in first)]}


def _schema(network: Network) -> int:
    full = not any(p.sparse for p in network.projections) and network.max_lag == 0
    plain = not any(_PARTS & p.kind.entry(p.cell).keys() for p in network.populations)
    return _FORWARD if full and plain else SCHEMA


def _describe_projection(projection: Projection) -> dict[str, Any]:
    entry: dict[str, Any] = {"source": projection.source, "target": projection.target}
    if isinstance(projection.delay, int):
        entry["delay"] = projection.delay
    if projection.receptor != INPUT_RECEPTOR:
        entry["receptor"] = projection.receptor
    if projection.sparse:
        entry["synapses"] = projection.n_synapses
    return entry | ({"graded": True} if projection.graded else {})


def _arrays(network: Network) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for population in network.populations:
        for leaf, value in population.kind.arrays(population.cell).items():
            arrays[f"populations.{population.name}.{leaf}"] = value
    for p in network.projections:
        prefix = _prefix(network.key(p))
        if not p.sparse:
            arrays[f"{prefix}.weights"] = p.weights
            continue
        found = p.synapses()
        arrays[f"{prefix}.sources"] = found.sources.astype(np.uint32)
        arrays[f"{prefix}.targets"] = found.targets.astype(np.uint32)
        arrays[f"{prefix}.weights"] = found.weights
        if not isinstance(p.delay, int):
            arrays[f"{prefix}.delays"] = found.delays.astype(np.uint32)
    return arrays


def _prefix(key: tuple[str, ...]) -> str:
    """How the names of a projection's arrays begin."""
    return ".".join(("projections", *key))


def _canonical(description: Mapping[str, Any]) -> bytes:
    return json.dumps(description, sort_keys=True).encode()


def parts_of(network: Network) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """All that a network is: its description, as JSON has it, and its arrays by name."""
    return _describe(network), _arrays(network)


def digest(network: Network) -> str:
    """SHA-256 of all that a network is: equal for equal networks, wherever they are stored."""
    stamp = {"description_sha256": sha256(_canonical(_describe(network)))}
    return sha256(*packed_parts(_arrays(network), stamp))


def save_network(network: Network, directory: Path) -> None:
    """Write a network into a new directory; raises ``FileError`` where it exists already."""
    description = _describe(network)
    stamp = {"description_sha256": sha256(_canonical(description))}
    parts = packed_parts(_arrays(network), stamp)
    stamped = {**description, "arrays_sha256": sha256(*parts)}
    with whole_directory(Path(directory), "network directory") as new:
        write_atomic(new / ARRAYS_FILE, *parts)
        write_atomic(new / NETWORK_FILE, json.dumps(stamped, indent=1).encode())


def load_network(directory: Path) -> Network:
    """Read, check and validate a network; arrays are bit for bit those that were saved.

    Raises :class:`StorageError`, ``FileError``, ``NetworkError`` or ``CellParameterError``.
    """
    directory = Path(directory)
    path = directory / NETWORK_FILE
    try:
        description = parse_json(read_bytes(path, "network", LARGEST_TEXT))
        digest = str(description.pop("arrays_sha256"))
        schema = description["schema"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{path} was truncated or altered, or is no network ({error!r}). Export it anew."
        ) from error
    _check_schema(schema, str(path))
    arrays, metadata = read_arrays(directory / ARRAYS_FILE, "network arrays", digest)
    if metadata.get("description_sha256") != sha256(_canonical(description)):
        raise StorageError(
            f"{path} was altered: it is not the description that {ARRAYS_FILE} was written with. "
            "Export the network anew."
        )
    return network_of(description, arrays, f"{path} and {ARRAYS_FILE}")


def network_of(
    description: dict[str, Any], arrays: Mapping[str, NDArray[Any]], where: str
) -> Network:
    """The network of :func:`parts_of`; ``where`` they were found, for messages.

    Raises as :func:`load_network`.
    """
    try:
        schema = description["schema"]
        _check_schema(schema, where)
        check_fields(description)
        network = _rebuild(description, arrays)
        if _schema(network) > schema:
            raise ValueError(f"schema {schema} has no lag, no single synapse and no part of a cell")
        return network
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise StorageError(
            f"{where} lack a part of a network, or hold one of the wrong type ({error!r}). Export "
            "the network anew."
        ) from error


def _check_schema(schema: Any, where: str) -> None:
    if schema not in (_FORWARD, SCHEMA) or isinstance(schema, bool):
        raise StorageError(
            f"{where} has network schema {schema!r}; this version reads {_FORWARD} and {SCHEMA}. "
            "Export it anew, or install the version of snn-ssm that wrote it."
        )


def _rebuild(description: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Network:
    populations = [
        Population(entry["name"], _rebuild_cell(entry, arrays), entry["latency"])
        for entry in description["populations"]
    ]
    sizes = {p.name: p.size for p in populations}
    sizes[description["source"]["name"]] = Source(**description["source"]).size
    projections: list[Projection] = []
    numbers: dict[tuple[str, ...], int] = {}
    for entry in description["projections"]:
        receptor = entry.get("receptor", INPUT_RECEPTOR)
        ends = (entry["source"], entry["target"], *([receptor] if "receptor" in entry else []))
        number = numbers[ends] = numbers.get(ends, 0) + 1
        prefix = _prefix(ends if number == 1 else (*ends, str(number)))
        projections.append(_rebuild_projection(entry, receptor, prefix, sizes, arrays))
    return Network(
        timestep=description["timestep"],
        steps=description["steps"],
        source=Source(**description["source"]),
        populations=tuple(populations),
        projections=tuple(projections),
        readout=Readout(**description["readout"]),
        origin=description["origin"],
        cells=description["cells"],
    )


def _rebuild_projection(
    entry: Mapping[str, Any], receptor: str, prefix: str, sizes: Mapping[str, int],
    arrays: Mapping[str, NDArray[Any]],
) -> Projection:
    ends, graded = (entry["source"], entry["target"]), entry.get("graded", False)
    weights = arrays[f"{prefix}.weights"]
    if "synapses" not in entry:
        return Projection(*ends, weights, entry["delay"], receptor, graded)
    shape = (sizes[ends[0]], sizes[ends[1]])
    if _BYTES * shape[0] * shape[1] > memory():
        raise ValueError(f"{prefix} is a matrix of {shape}, which takes more memory than there is")
    at = tuple(_whole(arrays[f"{prefix}.{leaf}"], prefix) for leaf in ("sources", "targets"))
    delay = entry["delay"] if "delay" in entry else _whole(arrays[f"{prefix}.delays"], prefix)
    count = entry["synapses"]
    each = [*at, weights, *([] if isinstance(delay, int) else [delay])]
    if any(values.shape != (count,) for values in each):
        raise ValueError(f"{prefix} has not {count} values a synapse")
    if (np.diff(np.ravel_multi_index(at, shape)) <= 0).any():  # ValueError beyond the ends
        raise ValueError(f"{prefix} has not {count} synapses in order of their ends")
    full, mask = np.zeros(shape), np.zeros(shape, np.bool_)
    full[at], mask[at] = weights, True
    if not isinstance(delay, int):
        delays = np.zeros(shape, np.int64)
        delays[at] = delay
        delay = delays
    return Projection(*ends, full, delay, receptor, graded, mask)


def _whole(array: NDArray[Any], prefix: str) -> NDArray[np.int64]:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{prefix} has an array of {array.dtype} and shape {array.shape}")
    return array.astype(np.int64)


def _rebuild_cell(entry: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Cell:
    prefix = f"populations.{entry['name']}."
    own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    kind = KINDS[entry.get("cell", STATE_SPACE.name)]
    try:
        cell: Cell = kind.rebuild(entry, own)
    except KeyError as error:
        raise KeyError(f"{prefix}{error.args[0]}") from error
    return cell
