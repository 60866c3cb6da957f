"""What it takes to say a kind of cell in NIR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from export.description.network import Population

if TYPE_CHECKING:
    from export.interchange.graph import Draft


@dataclass(frozen=True)
class Ports:
    """The nodes by which a population's graph is joined to others.

    ``inputs``: all that what arrives goes to; ``spikes``: what sends them, if there are any;
    ``membrane``: what sends the membrane, None where no node has it.
    """

    inputs: tuple[str, ...]
    spikes: str | None
    membrane: str | None


@dataclass(frozen=True)
class CellRule:
    """How cells of one kind (:data:`export.description.cells.KINDS`, its ``name``) are said.

    ``fault(cell)``: what of it NIR has no node for, in words; empty where there is nothing.
    ``write(draft, population)``: adds its nodes, and the edges between them.
    """

    name: str
    fault: Callable[[Any], str]
    write: Callable[[Draft, Population], Ports]
