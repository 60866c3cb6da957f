"""A graph without graphs in it: nodes by name, and what arrives at each; checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from export.interchange.errors import InterchangeError
from export.interchange.nodes import NODES

GRAPH, INPUT, OUTPUT = "NIRGraph", "Input", "Output"
_DEEPEST = 32  # graphs in graphs


@dataclass(frozen=True)
class Wiring:
    """``nodes``; ``before``: the names of those that send to each; ``source``, ``output``: names.

    The inputs and outputs of inner graphs are nodes, too, which hand on what arrives.
    """

    nodes: dict[str, Any]
    before: dict[str, list[str]]
    source: str
    output: str


def type_of(node: Any) -> str:
    """The type of a node, as NIR calls it."""
    return type(node).__name__


def wiring_of(graph: Any, where: str) -> Wiring:
    """The nodes and edges of a graph and of those in it.

    Raises :class:`InterchangeError` for an edge from or to nothing, one that stands twice, a node
    of an unknown type or at which nothing arrives, and unless there is one input and one output.
    """
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    for prefix, inner in _graphs(graph, "", 0):
        _take(nodes, edges, inner, prefix, where)
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        if source in before[target]:
            raise InterchangeError(
                f"{where}: the edge from {source!r} to {target!r} stands twice; expected it once. "
                "Say a double weight by the weight."
            )
        before[target].append(source)
    source, output = (_only(graph, kind, where) for kind in (INPUT, OUTPUT))
    for name in nodes:
        if name != source and not before[name]:
            raise InterchangeError(
                f"{where}: nothing arrives at node {name!r}; expected an edge to it. Leave it out, "
                "or join it to the input."
            )
    if before[source]:
        raise InterchangeError(f"{where}: an edge goes to the input {source!r}. Leave it out.")
    return Wiring(nodes, before, source, output)


def _graphs(graph: Any, prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    """A graph and all in it, each with what its nodes' names begin with."""
    if depth > _DEEPEST:
        raise InterchangeError(
            f"graphs stand in each other more than {_DEEPEST} deep at {prefix!r}. Write them flat."
        )
    yield prefix, graph
    for name, node in graph.nodes.items():
        if type_of(node) == GRAPH:
            yield from _graphs(node, f"{prefix}{name}.", depth + 1)


def _take(
    nodes: dict[str, Any], edges: list[tuple[str, str]], graph: Any, prefix: str, where: str
) -> None:
    ends: dict[str, tuple[str, str]] = {}
    for name, node in graph.nodes.items():
        full, kind = f"{prefix}{name}", type_of(node)
        if kind == GRAPH:
            inner = (_only(node, end, f"{where}, graph {full!r}") for end in (INPUT, OUTPUT))
            into, out = (f"{full}.{end}" for end in inner)
            ends[name] = into, out
            continue
        if kind not in (INPUT, OUTPUT) and kind not in NODES:
            raise InterchangeError(
                f"{where}: node {full!r} is a {kind}; expected one of {', '.join(NODES)}. Replace "
                "it by these."
            )
        if full in nodes:
            raise InterchangeError(f"{where}: the name {full!r} stands for two nodes. Rename one.")
        nodes[full] = node
        ends[name] = full, full
    for source, target in graph.edges:
        for name in (source, target):
            if name not in ends:
                raise InterchangeError(
                    f"{where}: an edge joins {source!r} to {target!r}, but there is no node "
                    f"{name!r}. Leave the edge out, or add the node."
                )
        edges.append((ends[source][1], ends[target][0]))


def _only(graph: Any, kind: str, where: str) -> str:
    found = [name for name, node in graph.nodes.items() if type_of(node) == kind]
    if len(found) != 1:
        raise InterchangeError(
            f"{where} has {len(found)} nodes {kind} ({', '.join(map(repr, found))[:80]}); expected "
            "one. Join what belongs together, or write a graph for each."
        )
    return str(found[0])
