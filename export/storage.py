"""Network <-> a directory: ``network.json`` + ``arrays.safetensors``.

``network.json`` is the description with its arrays left out; it holds the schema version and the
SHA-256 of the arrays' file, whose metadata holds that of the description. A truncated or altered
file is found before it is used; nothing is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import Network, Population, Projection, Readout, Source
from pynn_models.cells import StateSpaceCell
from pynn_models.errors import SnnSsmError
from snn_ssm.files import (
    new_directory,
    pack_arrays,
    read_arrays,
    read_bytes,
    sha256,
    write_atomic,
)

SCHEMA = 1
NETWORK_FILE = "network.json"
ARRAYS_FILE = "arrays.safetensors"
_CELL_ARRAYS = ("tau", "omega", "c_re", "c_im", "d", "theta", "bias")
_COMPLEX_ONLY = ("omega", "c_im")


class StorageError(SnnSsmError):
    """A stored network that is truncated, altered or of another schema."""


def _describe(network: Network) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "timestep": network.timestep,
        "steps": network.steps,
        "source": {
            "name": network.source.name,
            "encoding": network.source.encoding,
            "channels": network.source.channels,
            "bits": network.source.bits,
        },
        "populations": [
            {"name": p.name, "size": p.size, "modes": p.cell.n_modes, "latency": p.latency}
            for p in network.populations
        ],
        "projections": [
            {"source": p.source, "target": p.target, "delay": p.delay}
            for p in network.projections
        ],
        "readout": {
            "population": network.readout.population,
            "pooling": network.readout.pooling,
        },
        "origin": network.origin,
        "cells": network.cells,
    }


def _arrays(network: Network) -> dict[str, NDArray[np.float64]]:
    arrays = {}
    for population in network.populations:
        for leaf in _CELL_ARRAYS:
            value = getattr(population.cell, leaf)
            if value is not None:
                arrays[f"populations.{population.name}.{leaf}"] = value
    for p in network.projections:
        arrays[f"projections.{p.source}.{p.target}.weights"] = p.weights
    return arrays


def _canonical(description: Mapping[str, Any]) -> bytes:
    return json.dumps(description, sort_keys=True).encode()


def save_network(network: Network, directory: Path) -> None:
    """Write a network into a new directory; raises ``FileError`` where it exists already."""
    directory = new_directory(Path(directory), "network directory")
    description = _describe(network)
    data = pack_arrays(_arrays(network), {"description_sha256": sha256(_canonical(description))})
    stamped = {**description, "arrays_sha256": sha256(data)}
    write_atomic(directory / ARRAYS_FILE, data)
    write_atomic(directory / NETWORK_FILE, json.dumps(stamped, indent=1).encode())


def load_network(directory: Path) -> Network:
    """Read, check and validate a network; arrays are bit for bit those that were saved.

    Raises :class:`StorageError`, ``FileError``, ``NetworkError`` or ``CellParameterError``.
    """
    directory = Path(directory)
    path = directory / NETWORK_FILE
    try:
        description = json.loads(read_bytes(path, "network"))
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
        return _rebuild(description, arrays)
    except (KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{path} and {ARRAYS_FILE} lack a part of a network, or hold one of the wrong type "
            f"({error!r}). Export the network anew."
        ) from error


def _rebuild(description: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Network:
    populations = []
    for entry in description["populations"]:
        prefix = f"populations.{entry['name']}."
        parameters = {
            leaf: arrays[prefix + leaf]
            for leaf in _CELL_ARRAYS
            if leaf not in _COMPLEX_ONLY or prefix + leaf in arrays
        }
        populations.append(
            Population(entry["name"], StateSpaceCell(**parameters), entry["latency"])
        )
    projections = [
        Projection(
            entry["source"],
            entry["target"],
            arrays[f"projections.{entry['source']}.{entry['target']}.weights"],
            entry["delay"],
        )
        for entry in description["projections"]
    ]
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
