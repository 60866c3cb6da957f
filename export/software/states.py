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

SPIKES, CURRENTS, DIFFERENCES, VALUES = "spikes", "currents", "differences", "values"
"""What arrives at a receptor: what spikes bring, what currents, what differences, and, where spikes
arrive there too, what graded projections bring; where they do not, that counts as spikes."""


def lag(network: Network, projection: Projection) -> int:
    """The steps by which the last of what a step sends comes after that step."""
    return projection.longest_delay - network.lead(projection)


def brings(network: Network, projection: Projection) -> str:
    """What a projection brings: one of SPIKES, CURRENTS, DIFFERENCES, VALUES."""
    if projection.source == network.source.name:
        return CURRENTS if network.source.kind.currents else SPIKES
    if projection.graded:
        onto = network.incoming(projection.target, projection.receptor)
        return SPIKES if all(p.graded for p in onto) else VALUES
    return DIFFERENCES if network.population(projection.source).differences else SPIKES


@dataclass(frozen=True)
class States:
    """Of B samples: ``cells``, by population, and ``coming``, what earlier steps bring to the next.

    That is (B, longest lag, H) of what has a lag: by population, receptor and what it is. Where
    differences are sent, ``sent`` by population, the spikes of the last step, (B, H), and ``held``
    by population and receptor, the sum of all that has arrived, (B, H).
    """

    cells: dict[str, State]
    coming: dict[tuple[str, str, str], FloatArray] = field(default_factory=dict)
    sent: dict[str, NDArray[np.int16]] = field(default_factory=dict)
    held: dict[tuple[str, str], FloatArray] = field(default_factory=dict)

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """All of it, by a name."""
        for name, state in self.cells.items():
            for i, array in enumerate(state):
                yield f"{name}.{i}", array
        for (name, receptor, what), array in self.coming.items():
            yield f"{name}.{receptor}{'' if what == SPIKES else f'.{what}'}", array
        for name, array in self.sent.items():
            yield f"{name}.sent", array
        for (name, receptor), array in self.held.items():
            yield f"{name}.{receptor}.held", array

    def copy(self) -> States:
        """The same, which goes its own way."""
        return States(
            {name: tuple(a.copy() for a in state) for name, state in self.cells.items()},
            {key: array.copy() for key, array in self.coming.items()},
            {name: array.copy() for name, array in self.sent.items()},
            {key: array.copy() for key, array in self.held.items()},
        )

    def rest(self) -> None:
        """Go back to where a sample starts."""
        for _, array in self.arrays():
            array[...] = 0


def at_rest(network: Network, samples: int) -> States:
    """The state before the first step of that many samples."""
    longest: dict[tuple[str, str, str], int] = {}
    for p in network.projections:
        key = p.target, p.receptor, brings(network, p)
        longest[key] = max(longest.get(key, 0), lag(network, p))

    def zeros(name: str, *steps: int) -> FloatArray:
        return np.zeros((samples, *steps, network.population(name).size))

    return States(
        {p.name: p.kind.state(p.cell, samples) for p in network.populations},
        {key: zeros(key[0], steps) for key, steps in longest.items() if steps > 0},
        {p.name: zeros(p.name).astype(np.int16) for p in network.populations if p.differences},
        {key[:2]: zeros(key[0]) for key in longest if key[2] == DIFFERENCES},
    )
