"""What a network remembers between steps: the state of its cells, and what is still on its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Projection

State = tuple[NDArray[Any], ...]
"""Of a cell, (B, ...) each."""


def lag(network: Network, projection: Projection) -> int:
    """The steps by which the last of what a step sends comes after that step."""
    return projection.longest_delay - network.lead(projection)


@dataclass(frozen=True)
class States:
    """Of B samples: ``cells``, by population, and ``coming``, what earlier steps bring to the next.

    That is (B, longest lag, H) of what has a lag: by population, receptor and whether it is
    currents.
    """

    cells: dict[str, State]
    coming: dict[tuple[str, str, bool], FloatArray] = field(default_factory=dict)

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """All of it, by a name."""
        for name, state in self.cells.items():
            for i, array in enumerate(state):
                yield f"{name}.{i}", array
        for (name, receptor, currents), array in self.coming.items():
            yield f"{name}.{receptor}{'.currents' if currents else ''}", array

    def copy(self) -> States:
        """The same, which goes its own way."""
        return States(
            {name: tuple(a.copy() for a in state) for name, state in self.cells.items()},
            {key: array.copy() for key, array in self.coming.items()},
        )

    def rest(self) -> None:
        """Go back to where a sample starts."""
        for _, array in self.arrays():
            array[...] = 0


def at_rest(network: Network, samples: int) -> States:
    """The state before the first step of that many samples."""
    longest: dict[tuple[str, str, bool], int] = {}
    source = network.source
    for p in network.projections:
        key = p.target, p.receptor, p.source == source.name and source.kind.currents
        longest[key] = max(longest.get(key, 0), lag(network, p))
    return States(
        {p.name: p.kind.state(p.cell, samples) for p in network.populations},
        {
            key: np.zeros((samples, steps, network.population(key[0]).size))
            for key, steps in longest.items()
            if steps > 0
        },
    )
