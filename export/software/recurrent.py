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
from export.software.states import CURRENTS, DIFFERENCES, SPIKES, VALUES, States, brings
from pynn_models.branches import BRANCHES


class Arriving(NamedTuple):
    """What reaches a receptor, (B, L, H): the sum of what spikes bring, and to be added to it that
    of currents, of graded values, and of differences from the start on, where there are any.

    ``held`` (B, H): the sum of the differences up to the step before the next one.
    """

    parts: dict[str, FloatArray]
    held: FloatArray | None

    @property
    def plain(self) -> bool:
        """Whether spikes alone arrive, or what counts as such."""
        return len(self.parts) == 1

    def sum(self, at: slice, steps: slice) -> FloatArray:
        """``((spikes + differences so far) + currents) + values`` of samples and steps, a copy.

        To be called for the next steps each time, once: they are added to what is held.
        """
        total = self.parts[SPIKES][at, steps].copy()
        if self.held is not None:
            so_far = self.parts[DIFFERENCES][at, steps].cumsum(axis=1)
            so_far += self.held[at, None]
            total += so_far
            self.held[at] = so_far[:, -1]
        for what in (CURRENTS, VALUES):
            if what in self.parts:
                total += self.parts[what][at, steps]
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
    receptors = {p.name: {r: arriving(p, r) for r in p.receptors} for p in members}
    shape = len(receptors[members[0].name][INPUT_RECEPTOR].parts[SPIKES]), count
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
        self._values: FloatArray | None = None
        self._sent: NDArray[Any] = self.spikes.view(np.uint8)
        if before is not None:
            self._sent = np.zeros(self.spikes.shape, np.int16)

    def run(self, steps: slice) -> None:
        """Its spikes and, where kept, membranes of these steps, the next ones."""
        u = self._input(steps)
        shape = (*u.shape[:2], self.population.size)
        spikes = np.empty(shape, self.spikes.dtype)
        trace = np.empty((0, 0, 0) if self.trace is None else shape)
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
        others = (self.receptors[r].sum(self.at, steps) for r in self.population.kind.receptors)
        return side_by_side(u, *others)

    def send(
        self, projections: list[Projection], receptors: Mapping[str, Mapping[str, Arriving]],
        steps: slice,
    ) -> None:
        """What these steps bring to the members of the loop, at once and later."""
        if self._before is not None:
            self._sent[:, steps] = changes(self.spikes[:, steps], self._before)
            self._before = self.spikes[:, steps.stop - 1].astype(np.int16)
        values = None
        if self.trace is not None and any(q.graded for q in projections):
            if self._values is None:
                self._values = np.zeros(self.trace.shape)
            values = self._values
            now = self.trace[:, steps], self.spikes[:, steps]
            values[:, steps] = sent_values(self.population, *now)
        for q in projections:
            sent = self._sent if not q.graded or values is None else values
            into = receptors[q.target][q.receptor].parts[brings(self.network, q)]
            add_arriving(into[self.at], sent, q, self.network.lead(q), steps)


def side_by_side(u: FloatArray, *others: FloatArray) -> FloatArray:
    """The sums at a population's receptors, (B, L, H) each, as its loop takes them."""
    return np.concatenate([u, *others], axis=2) if others else u


def sent_values(population: Population, trace: FloatArray, spikes: Spikes) -> FloatArray:
    """What graded projections carry, of its membranes and spikes, (B, L, H) each."""
    sends = population.kind.sends
    return trace if sends is None else sends(trace, spikes)


def add_branch(branches: Any, p: int, value: FloatArray, gate: FloatArray, u: FloatArray) -> None:
    """``u += b_p``; value and gate are what arrives there, and are changed."""
    value += branches.value_bias[:, p]
    gate += branches.gate_bias[:, p]
    shift, gain = (np.ascontiguousarray(m[:, p]) for m in (branches.shift, branches.gain))
    compiled(BRANCHES[branches.kind].loop)(value, gate, shift, gain, u)
