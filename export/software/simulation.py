"""Runs a Network in float64, a batch of samples at a time.

Where projections go forward each population is run over the whole sequence before the next: its
input is one matrix product a projection, its modes one compiled loop. Populations that send to each
other in a loop are run together, a few steps at a time (:mod:`export.software.recurrent`). The
products are exact in any order of summation (:mod:`export.lowering` puts the weights on a dyadic
grid), and the loop does what the cell does, in the cell's order, so the result equals a simulator's
bit for bit. Latencies shift a simulator's steps and nothing else; here they are already taken off,
and what is left of a delay is its lag.

A population's input is added up in this order, which a simulator must keep::

    u = ((((spikes + differences so far) + currents) + graded) + bias) + b_0 + b_1 + ...

one branch after another, and at a receptor of its own likewise. Sums of differences are exact
(:mod:`export.description.differences`). Currents of real values and what a graded projection brings
are sums of real values, source 0 first: on no grid, so that another order changes the last bits. Of
graded ones those that go forward come first, in order of the populations, then those of a loop.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from export.description.cells import Cell, kind_of
from export.description.network import (
    INPUT_RECEPTOR,
    FloatArray,
    Network,
    Population,
    gate_receptor,
    value_receptor,
)
from export.samples.inputs import as_samples, encode
from export.samples.recording import Recording, Spikes, concatenate
from export.software.loops import add_arriving, compiled
from export.software.order import components, is_loop
from export.software.recurrent import (
    Arriving,
    Ran,
    add_branch,
    changes,
    run_loop,
    sent_values,
    side_by_side,
)
from export.software.states import (
    CURRENTS,
    DIFFERENCES,
    SPIKES,
    VALUES,
    State,
    States,
    at_rest,
    brings,
)
from pynn_models.cells import Branches

_BATCH = 50  # samples at once: their membranes stay near the cache
_VALUES = 2**23  # of one population at once: 64 MiB


def _in_threads(work: Callable[[slice], None], samples: int) -> None:
    """``work`` on slices of the samples, a thread each; one sample needs none.

    Neither numba's parallel loop, which sets the number of threads of NEST's OpenMP and so crashes
    NEST, nor BLAS's threads, which spin and slow each other down on cores that have other work.
    """
    if samples == 1:
        work(slice(1))
        return
    size = -(-samples // numba.config.NUMBA_NUM_THREADS)
    with ThreadPoolExecutor(numba.config.NUMBA_NUM_THREADS) as threads:
        list(threads.map(work, [slice(i, i + size) for i in range(0, samples, size)]))


@functools.lru_cache(maxsize=64)
def _constants(cell: Cell, timestep: float) -> tuple[NDArray[Any], ...]:
    """A kind's constants, by the cell's identity: slow, and asked for at each step of a stream."""
    return kind_of(cell).constants(cell, timestep)


def run_cell(
    cell: Cell, u: FloatArray, timestep: float, *, membrane: bool, state: State | None = None
) -> tuple[Spikes, FloatArray | None]:
    """The cell's equation over a sequence: ``u`` (B, L, H), all of it -> spikes, membrane.

    Of a kind with receptors of its own ``u`` has the sums at all of them, side by side.

    ``state``: what ``CellKind.state`` gave or an earlier call left, changed in place; None: rest.

    The operations and their order are those of the cell's contract, modes ascending, so that the
    result does not depend on the backend. The membrane is what is compared with the threshold: of
    a cell with reset, v before the reset. Spikes are bool, of a cell of several levels uint8: how
    many.
    """
    shape = (*u.shape[:2], cell.n_neurons)
    spikes: Spikes = np.empty(shape, np.bool_ if cell.levels == 1 else np.uint8)
    trace = np.empty(shape if membrane else (0, 0, 0))
    kind = kind_of(cell)
    loop, constants = compiled(kind.loop(cell)), _constants(cell, timestep)
    before = kind.state(cell, len(u)) if state is None else state

    def part(at: slice) -> None:
        loop(u[at], *constants, *(s[at] for s in before), spikes[at], trace[at])

    _in_threads(part, len(u))
    return spikes, trace if membrane else None


def run(
    network: Network, samples: NDArray[Any], *, membranes: Collection[str] = ()
) -> Recording:
    """Spikes of every layer, (B, L, H), and the named populations' membranes.

    ``samples`` (B, channels, steps); each starts from rest. Raises ``InputError``, and
    ``NetworkError`` for a name that there is no population of.
    """
    for name in membranes:
        network.population(name)
    samples = as_samples(network, samples)
    largest = max(network.source.size, *(p.size for p in network.populations))
    batch = max(min(_BATCH, _VALUES // (network.steps * largest)), 1)
    parts = [samples[i : i + batch] for i in range(0, len(samples), batch)]
    return concatenate(
        [
            advance(network, at_rest(network, len(part)), encode(network, part), membranes)
            for part in parts
        ]
    )


@dataclass
class _Sent:
    """What has been computed so far, by population: (B, L, size) each.

    ``emitted``: spikes as uint8, their differences as int16, or the input's currents; ``traces``:
    membranes in float64; ``values``: what graded projections carry of them; ``coming``: what
    reaches a receptor that has a lag, (B, L + lag, H).
    """

    emitted: dict[str, NDArray[Any]]
    traces: dict[str, FloatArray]
    values: dict[str, FloatArray]
    coming: dict[tuple[str, str, str], FloatArray]


def advance(
    network: Network, states: States, encoded: NDArray[Any], membranes: Collection[str] = ()
) -> Recording:
    """The next steps of samples whose ``states`` are given, and changed in place.

    ``encoded`` (B, L, source size), what the input's sources emit, any number of steps. What is
    not needed for the spikes and the named membranes is not run, nor its state changed.
    """
    graded = {p.source for p in network.projections if p.graded}
    needed, kept = _needed(network, membranes), graded | set(membranes)
    sent = _Sent({network.source.name: encoded}, {}, {}, {})
    spikes: dict[str, Spikes] = {}
    for members in components(network):
        if not any(p.name in needed for p in members):
            continue
        for name, (fired, trace) in _run_members(network, members, states, sent, kept).items():
            population = network.population(name)
            if population.spikes:
                spikes[name] = fired
                sent.emitted[name] = _emitted(states, name, fired)
            if trace is not None:
                sent.traces[name] = trace
                if name in graded:
                    sent.values[name] = sent_values(population, trace, fired)
    for key, array in sent.coming.items():
        states.coming[key][...] = array[:, encoded.shape[1] :]
    traces = {name: sent.traces[name] for name in membranes}
    ordered = {p.name: spikes[p.name] for p in network.layers}
    return Recording("software", network.timestep, ordered, traces)


def _emitted(states: States, name: str, fired: Spikes) -> NDArray[Any]:
    """What a population sends, as it is or, where it sends differences, as these."""
    before = states.sent.get(name)
    if before is None:
        return fired.view(np.uint8)
    found = changes(fired, before)
    before[...] = fired[:, -1]
    return found


def _run_members(
    network: Network, members: tuple[Population, ...], states: States, sent: _Sent,
    kept: Collection[str],
) -> Ran:
    """One component: a population by itself, or a loop."""
    if is_loop(network, members):
        inside = {p.name for p in members}
        outside = functools.partial(_arriving, network, states, sent, inside)
        steps = sent.emitted[network.source.name].shape[1]
        return run_loop(network, members, steps, states, outside, kept, _in_threads)
    (population,) = members
    name, u = population.name, _input(network, population, states, sent)
    keep, state = name in kept, states.cells[name]
    return {name: run_cell(population.cell, u, network.timestep, membrane=keep, state=state)}


def _needed(network: Network, membranes: Collection[str]) -> set[str]:
    """What spikes or was asked for, and all that these read."""
    needed = {p.name for p in network.layers} | set(membranes)
    for population in reversed(network.populations):
        if population.name in needed:
            needed |= {p.source for p in network.incoming(population.name)}
    return needed


def _input(
    network: Network, population: Population, states: States, sent: _Sent
) -> FloatArray:
    """``u`` (B, L, H) of a population: its input, its bias, its branches in ascending order; and
    what arrives at receptors of its kind's own, beside it."""
    u = _sum(network, population, INPUT_RECEPTOR, states, sent)
    u += population.cell.bias
    if population.branches is not None:
        for p in range(population.branches.count):
            _add_branch(network, population, population.branches, p, states, sent, u)
    others = (_sum(network, population, r, states, sent) for r in population.kind.receptors)
    return side_by_side(u, *others)


def _sum(
    network: Network, population: Population, receptor: str, states: States, sent: _Sent
) -> FloatArray:
    """What arrives at a receptor, (B, L, H): the sum of :class:`Arriving`."""
    found = _arriving(network, states, sent, (), population, receptor)
    steps = sent.emitted[network.source.name].shape[1]
    if found.parts[SPIKES].shape[1] > steps or not found.plain:
        return found.sum(slice(None), slice(steps))
    return found.parts[SPIKES]


def _arriving(
    network: Network, states: States, sent: _Sent, without: Collection[str],
    population: Population, receptor: str,
) -> Arriving:
    """What arrives at a receptor, but for what the populations ``without`` send.

    Where it has a lag, the steps of it that are still to come stand behind those of now.
    """
    samples, steps = sent.emitted[network.source.name].shape[:2]

    def room(what: str) -> FloatArray:
        key = population.name, receptor, what
        before = states.coming.get(key)
        if before is None:
            return np.zeros((samples, steps, population.size))
        later = np.zeros((samples, steps, population.size))
        sent.coming[key] = np.concatenate([before, later], axis=1)
        return sent.coming[key]

    held = states.held.get((population.name, receptor))
    into = {SPIKES: room(SPIKES)}
    into |= {CURRENTS: room(CURRENTS)} if network.source.kind.currents else {}
    into |= {DIFFERENCES: room(DIFFERENCES)} if held is not None else {}
    onto = network.incoming(population.name, receptor)
    into |= {VALUES: room(VALUES)} if any(brings(network, p) == VALUES for p in onto) else {}
    whole = slice(0, steps)

    def part(at: slice) -> None:
        for projection in onto:
            source = projection.source
            if source in without:
                continue
            values = sent.values if projection.graded else sent.emitted
            sums, lead = into[brings(network, projection)], network.lead(projection)
            add_arriving(sums[at], values[source][at], projection, lead, whole)

    _in_threads(part, samples)
    return Arriving(into, held)


def _add_branch(
    network: Network, population: Population, branches: Branches, p: int, states: States,
    sent: _Sent, u: FloatArray,
) -> None:
    """``u += b_p``."""
    value = _sum(network, population, value_receptor(p), states, sent)
    gate = _sum(network, population, gate_receptor(p), states, sent)
    _in_threads(lambda at: add_branch(branches, p, value[at], gate[at], u[at]), len(u))
