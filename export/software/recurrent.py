"""Populations that send to each other in a circle: run together, a few steps at a time.

What goes back in a loop arrives ``lag`` >= 1 steps later, so that within the shortest of these lags
the members can be run one after another, each for as many steps, with their state carried on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.description.network import (
    INPUT_RECEPTOR,
    FloatArray,
    Network,
    Population,
    Projection,
    gate_receptor,
    value_receptor,
)
from export.samples.recording import Spikes
from export.software.loops import add_arriving, compiled
from export.software.order import chunk
from export.software.states import States
from pynn_models.branches import BRANCHES


class Arriving(NamedTuple):
    """What reaches a receptor, (B, L, H): the sum of what spikes and membranes bring, and to be
    added to it that of currents, and of differences from the start on, where there are any.

    ``held`` (B, H): the sum of the differences up to the step before the next one.
    """

    spikes: FloatArray
    currents: FloatArray | None
    differences: FloatArray | None
    held: FloatArray | None

    def place(self, differences: bool) -> FloatArray:
        """Where what a population sends is to be added."""
        of_differences = self.spikes if self.differences is None else self.differences
        return of_differences if differences else self.spikes

    def sum(self, at: slice, steps: slice) -> FloatArray:
        """``(spikes + differences so far) + currents`` of some samples and steps, a copy.

        To be called for the next steps each time, once: they are added to what is held.
        """
        total = self.spikes[at, steps].copy()
        if self.differences is not None and self.held is not None:
            so_far = self.differences[at, steps].cumsum(axis=1)
            so_far += self.held[at, None]
            total += so_far
            self.held[at] = so_far[:, -1]
        if self.currents is not None:
            total += self.currents[at, steps]
        return total


def changes(spikes: Spikes, before: NDArray[np.int16]) -> NDArray[np.int16]:
    """``s[k] - s[k-1]`` of spikes s (B, L, H), ``before`` (B, H) those of the step before."""
    counts = spikes.view(np.uint8).astype(np.int16)
    return np.diff(counts, axis=1, prepend=before[:, None])


Ran = dict[str, tuple[Spikes, FloatArray | None]]
"""Spikes (B, L, H) by population, and membranes where they are kept."""


def run_loop(
    network: Network,
    members: tuple[Population, ...],
    count: int,
    states: States,
    arriving: Callable[[Population, str], Arriving],
    kept: Collection[str],
    in_threads: Callable[[Callable[[slice], None], int], None],
) -> Ran:
    """The members of a loop, ``count`` steps of them, on from the ``states`` of all populations.

    ``arriving(population, receptor)``: what comes from outside the loop; ``kept``: the names of
    those whose membranes are wanted; ``in_threads(work, samples)``: runs work on slices of them.
    """
    receptors = {p.name: {r: arriving(p, r) for r in _receptors(p)} for p in members}
    shape = len(receptors[members[0].name][INPUT_RECEPTOR].spikes), count
    inner = {
        p.name: [q for q in network.projections if q.source == p.name and q.target in receptors]
        for p in members
    }
    sends = {name for name, sent in inner.items() if any(q.graded for q in sent)} | set(kept)
    ran: Ran = {
        p.name: (
            np.empty((*shape, p.size), np.bool_ if p.levels == 1 else np.uint8),
            np.empty((*shape, p.size)) if p.name in sends else None,
        )
        for p in members
    }
    length = chunk(network, members)

    def part(at: slice) -> None:
        neurons = [
            _Neurons(network, p, states, receptors[p.name], ran[p.name], at)
            for p in members
        ]
        for first in range(0, shape[1], length):
            steps = slice(first, min(first + length, shape[1]))
            for one in neurons:
                one.run(steps)
                one.send(inner[one.population.name], receptors, steps)

    in_threads(part, shape[0])
    return ran


def _receptors(population: Population) -> list[str]:
    count = 0 if population.branches is None else population.branches.count
    gated = [name for p in range(count) for name in (value_receptor(p), gate_receptor(p))]
    return [INPUT_RECEPTOR, *gated]


class _Neurons:
    """One population of some samples, and its state between chunks."""

    def __init__(
        self, network: Network, population: Population, states: States,
        receptors: Mapping[str, Arriving],
        ran: tuple[Spikes, FloatArray | None], at: slice,
    ) -> None:
        self.network, self.population, self.receptors, self.at = network, population, receptors, at
        cell, kind = population.cell, population.kind
        self.spikes, self.trace = ran[0][at], None if ran[1] is None else ran[1][at]
        self._loop = compiled(kind.loop(cell))
        self._constants = kind.constants(cell, network.timestep)
        self._state = tuple(array[at] for array in states.cells[population.name])
        before = states.sent.get(population.name)
        self._before = None if before is None else before[at].copy()
        self._sent: NDArray[Any] = self.spikes.view(np.uint8)
        if before is not None:
            self._sent = np.zeros(self.spikes.shape, np.int16)

    def run(self, steps: slice) -> None:
        """Its spikes and, where kept, membranes of these steps, the next ones."""
        u = self._input(steps)
        spikes = np.empty(u.shape, self.spikes.dtype)
        trace = np.empty((0, 0, 0) if self.trace is None else u.shape)
        self._loop(u, *self._constants, *self._state, spikes, trace)
        self.spikes[:, steps] = spikes
        if self.trace is not None:
            self.trace[:, steps] = trace

    def _input(self, steps: slice) -> FloatArray:
        u = self.receptors[INPUT_RECEPTOR].sum(self.at, steps)
        u += self.population.cell.bias
        branches = self.population.branches
        for p in range(branches.count if branches else 0):
            value = self.receptors[value_receptor(p)].sum(self.at, steps)
            gate = self.receptors[gate_receptor(p)].sum(self.at, steps)
            add_branch(branches, p, value, gate, u)
        return u

    def send(
        self, projections: list[Projection], receptors: Mapping[str, Mapping[str, Arriving]],
        steps: slice,
    ) -> None:
        """What these steps bring to the members of the loop, at once and later."""
        if self._before is not None:
            self._sent[:, steps] = changes(self.spikes[:, steps], self._before)
            self._before = self.spikes[:, steps.stop - 1].astype(np.int16)
        for q in projections:
            values = self.trace if q.graded and self.trace is not None else self._sent
            into = receptors[q.target][q.receptor].place(self._before is not None)
            add_arriving(into[self.at], values, q, self.network.lead(q), steps)


def add_branch(branches: Any, p: int, value: FloatArray, gate: FloatArray, u: FloatArray) -> None:
    """``u += b_p``; value and gate are what arrives there, and are changed."""
    value += branches.value_bias[:, p]
    gate += branches.gate_bias[:, p]
    shift, gain = (np.ascontiguousarray(m[:, p]) for m in (branches.shift, branches.gain))
    compiled(BRANCHES[branches.kind].loop)(value, gate, shift, gain, u)
