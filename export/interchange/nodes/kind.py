"""What a kind of node means when a graph is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from export.description.network import FloatArray
from export.interchange.semantics import Sender
from export.interchange.signals import Signal
from pynn_models.cells import StateSpaceCell


class Stage(NamedTuple):
    """Neurons of a node: their cells, and what is appended to the node's name."""

    cell: StateSpaceCell
    suffix: str = ""


class Arriving(NamedTuple):
    """What arrives at neurons: how many values, and ``most()``, (H,): the largest sum that a step
    can bring, infinite where nobody knows."""

    size: int
    most: Callable[[], FloatArray]


Maps = Callable[[str, Any, Signal, Sender], Signal]
Neurons = Callable[[str, Any, Arriving, Sender], list[Stage]]


@dataclass(frozen=True)
class NodeRule:
    """How one type of node is read; ``name``: the type's.

    ``maps(name, node, signal, sender)``: what it sends of what arrives, of one without neurons;
    ``neurons(name, node, arriving, sender)``: its stages, each of which sends its membranes to the
    next one, the last its spikes or, where it is silent, its membrane. ``timed``: what it does in a
    step depends on who sends the graph.
    """

    name: str
    maps: Maps | None = None
    neurons: Neurons | None = None
    timed: bool = False
