"""A graph that :func:`export.interchange.graph.to_nir` made -> the network, to the last bit.

The network is rebuilt of the description and parameters in ``metadata`` and of the weights in the
nodes. Then it is said once more: a graph that differs from that anywhere was changed since, in its
nodes or in its metadata, and is refused, since nobody knows which of them is meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network
from export.description.storage import network_of
from export.interchange.errors import InterchangeError
from export.interchange.graph import OURS, SCHEMA, to_nir
from export.interchange.packing import Arrays, unpacked
from snn_ssm.reading import parse_json


def is_ours(graph: Any) -> bool:
    """Whether a graph says that it has a whole network in its metadata."""
    return str(graph.metadata.get("written_by")) == OURS and "network" in graph.metadata


def network_of_graph(graph: Any, where: str) -> Network:
    """The network of a graph of ours; ``where`` it was found, for messages.

    Raises :class:`InterchangeError` for one that was altered, or of another schema, and as
    :func:`export.description.storage.network_of`.
    """
    metadata = graph.metadata
    schema = metadata.get("schema")
    if not isinstance(schema, int | np.integer) or schema != SCHEMA:
        raise InterchangeError(
            f"{where} has schema {schema!r} of our metadata; this version reads {SCHEMA}. Export "
            "it anew, or install the version of snn-ssm that wrote it."
        )
    try:
        description = parse_json(metadata["network"])
        arrays = unpacked(metadata)
        _add_weights(arrays, description, parse_json(metadata["projections"]), graph.nodes)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise InterchangeError(
            f"{where}: its metadata lacks a part of a network, or holds one of the wrong type "
            f"({error!r}). Export it anew."
        ) from error
    network = network_of(description, arrays, f"the nodes and metadata of {where}")
    changed = next(_differences(graph.to_dict(), to_nir(network).to_dict(), "graph"), None)
    if changed is not None:
        raise InterchangeError(
            f"{where} was altered since snn-ssm wrote it: {changed} is not what its metadata says. "
            "Export it anew; or remove the metadata of the graph, and import with --semantics "
            "what its nodes say."
        )
    return network


def _add_weights(
    arrays: Arrays, description: Any, written: list[list[tuple[int, str]]], nodes: Any
) -> None:
    """The weights of the projections, from the nodes that each is written as, a lag each."""
    count: dict[tuple[str, ...], int] = {}
    for entry, parts in zip(description["projections"], written, strict=True):
        ends = (entry["source"], entry["target"])
        ends += (entry["receptor"],) if "receptor" in entry else ()
        number = count[ends] = count.get(ends, 0) + 1
        prefix = ".".join(("projections", *ends, *([str(number)] if number > 1 else [])))
        matrices = [np.asarray(nodes[name].weight).T for _, name in parts]
        if "synapses" not in entry:
            (arrays[f"{prefix}.weights"],) = matrices
            continue
        at = tuple(arrays[f"{prefix}.{leaf}"] for leaf in ("sources", "targets"))
        weights = matrices[0][at]
        if len(parts) > 1:
            late = arrays[f"{prefix}.delays"].astype(np.int64)
            lead = int(late.min()) - min(lag for lag, _ in parts)
            for (lag, _), matrix in zip(parts, matrices, strict=True):
                weights = np.where(late - lead == lag, matrix[at], weights)
        arrays[f"{prefix}.weights"] = weights


def _differences(found: Any, expected: Any, where: str) -> Iterator[str]:
    """Where two graphs as dictionaries differ, the first key first."""
    if isinstance(expected, dict):
        if not isinstance(found, dict) or found.keys() != expected.keys():
            yield f"the list of what is in {where}"
            return
        for key, value in expected.items():
            yield from _differences(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):  # of edges
        if {tuple(edge) for edge in found} != {tuple(edge) for edge in expected}:
            yield where
    elif not _same(np.asarray(found), np.asarray(expected)):
        yield where


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if b.dtype.kind == "U":
        return str(a) == str(b)
    return a.dtype.kind == b.dtype.kind and a.shape == b.shape and a.tobytes() == b.tobytes()
