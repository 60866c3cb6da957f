"""Network <-> a directory: ``network.json`` + ``arrays.safetensors``.

``network.json`` is the description with its arrays left out; it holds the schema version and the
SHA-256 of the arrays' file, whose metadata holds that of the description. A truncated or altered
file is found before it is used; nothing is unpickled.

Keys that only some networks need are left out of the others: ``symbols`` of an input of tokens;
``cell`` (its kind, where it is no state-space cell) and ``branches`` (their kind) of a population;
``receptor`` and ``graded`` of a projection; ``output``, where it is no class, and ``each_step`` of
the readout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from export.description.cells import KINDS, STATE_SPACE, Cell
from export.description.fields import check_fields
from export.description.network import (
    INPUT_RECEPTOR,
    FloatArray,
    Network,
    Population,
    Projection,
    Readout,
    Source,
)
from pynn_models.errors import SnnSsmError
from snn_ssm.files import (
    pack_arrays,
    read_arrays,
    read_bytes,
    sha256,
    whole_directory,
    write_atomic,
)
from snn_ssm.kinds.outputs.classes import CLASSES
from snn_ssm.reading import LARGEST_TEXT, parse_json

SCHEMA = 1
NETWORK_FILE = "network.json"
ARRAYS_FILE = "arrays.safetensors"
_FIRST = ("name", "size", "modes", "latency")  # keys of a population, in the file's order


class StorageError(SnnSsmError):
    """A stored network that is truncated, altered or of another schema."""


def _describe(network: Network) -> dict[str, Any]:
    source = {
        "name": network.source.name,
        "encoding": network.source.encoding,
        "channels": network.source.channels,
        "bits": network.source.bits,
    }
    return {
        "schema": SCHEMA,
        "timestep": network.timestep,
        "steps": network.steps,
        "source": source | ({"symbols": network.source.symbols} if network.source.symbols else {}),
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


def _describe_projection(projection: Projection) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "source": projection.source, "target": projection.target, "delay": projection.delay
    }
    if projection.receptor != INPUT_RECEPTOR:
        entry["receptor"] = projection.receptor
    return entry | ({"graded": True} if projection.graded else {})


def _arrays(network: Network) -> dict[str, FloatArray]:
    arrays = {}
    for population in network.populations:
        for leaf, value in population.kind.arrays(population.cell).items():
            arrays[f"populations.{population.name}.{leaf}"] = value
    for p in network.projections:
        arrays[_weights(p.source, p.target, p.receptor)] = p.weights
    return arrays


def _weights(source: str, target: str, receptor: str) -> str:
    """The name of a projection's array."""
    at = "" if receptor == INPUT_RECEPTOR else f".{receptor}"
    return f"projections.{source}.{target}{at}.weights"


def _canonical(description: Mapping[str, Any]) -> bytes:
    return json.dumps(description, sort_keys=True).encode()


def save_network(network: Network, directory: Path) -> None:
    """Write a network into a new directory; raises ``FileError`` where it exists already."""
    description = _describe(network)
    data = pack_arrays(_arrays(network), {"description_sha256": sha256(_canonical(description))})
    stamped = {**description, "arrays_sha256": sha256(data)}
    with whole_directory(Path(directory), "network directory") as new:
        write_atomic(new / ARRAYS_FILE, data)
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
    if schema != SCHEMA:
        raise StorageError(
            f"{path} has network schema {schema!r}; this version reads {SCHEMA}. Export it anew, "
            "or install the version of snn-ssm that wrote it."
        )
    arrays, metadata = read_arrays(directory / ARRAYS_FILE, "network arrays", digest)
    if metadata.get("description_sha256") != sha256(_canonical(description)):
        raise StorageError(
            f"{path} was altered: it is not the description that {ARRAYS_FILE} was written with. "
            "Export the network anew."
        )
    try:
        check_fields(description)
        return _rebuild(description, arrays)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise StorageError(
            f"{path} and {ARRAYS_FILE} lack a part of a network, or hold one of the wrong type "
            f"({error!r}). Export the network anew."
        ) from error


def _rebuild(description: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Network:
    populations = [
        Population(entry["name"], _rebuild_cell(entry, arrays), entry["latency"])
        for entry in description["populations"]
    ]
    projections = []
    for entry in description["projections"]:
        receptor = entry.get("receptor", INPUT_RECEPTOR)
        weights = arrays[_weights(entry["source"], entry["target"], receptor)]
        graded = entry.get("graded", False)
        projections.append(
            Projection(
                entry["source"], entry["target"], weights, entry["delay"], receptor, graded
            )
        )
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


def _rebuild_cell(entry: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Cell:
    prefix = f"populations.{entry['name']}."
    own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    kind = KINDS[entry.get("cell", STATE_SPACE.name)]
    try:
        cell: Cell = kind.rebuild(entry, own)
    except KeyError as error:
        raise KeyError(f"{prefix}{error.args[0]}") from error
    return cell
