"""How many cores of SpiNNaker 2 a network takes, by memory and by instructions a step.

A chip has 152 cores of 128 kB each. What is counted is the data of our own cores
(``pynn_models/spinnaker2/c``) or of a leaky neuron: 4 bytes a parameter, state, sum of a receptor
and link of a graded projection, 1 a weight of spikes; what neurons of a gated core share, once a
core. Half of a core's memory is left to program and buffers. Time: instructions, as many as
executed for an Arm Cortex-M4 under emulation, at 1 to 2 cycles each and 150 MHz: the neurons' own,
those of graded values, and of the spikes' weights if every source spikes in a step. As many cores
as memory asks for, and as let the slowest step end within the timestep. An estimate, no
measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.description.network import Network, Population
from export.spinnaker2.plan import Spinnaker2Plan, mapped, plan_network
from pynn_models.spinnaker2 import (
    ActingParameters,
    Cell,
    CurrentParameters,
    GatedFloats,
    LeakyParameters,
    ModeParameters,
    gated_shared,
    gated_words,
    neuron_words,
)
from pynn_models.spinnaker2.tables import INTERVALS

CORES, MEMORY = 152, 128 * 1024 // 2  # of a chip; bytes of a core for data
CLOCK = 150e6
CYCLES = (1, 2)  # an instruction
# Executed on an emulated Cortex-M4: tests/spinnaker2/test_*_arm.py. A neuron and its modes; one on
# which spikes act back, its modes, a step of its history; what gated inputs add, a branch of each
# kind, a graded projection and one source of it; a core's step; a receptor's sum, kept and
# cleared; a graded value that is received; a spike's row of weights, and one target of it.
INSTRUCTIONS: Mapping[str, int] = {
    "neuron": 33, "mode": 22, "real mode": 11,
    "acting": 66, "acting mode": 32, "acting real mode": 17, "history": 10,
    "gated": 20, "glu": 65, "gsu": 69, "graded": 26, "link": 12,
    "step": 90, "sum": 8, "value": 13, "spike": 18, "target": 7,
}


@dataclass(frozen=True)
class _Neuron:
    """The largest of a population: ``bytes``, ``instructions`` a step; of a core ``shared`` bytes,
    and the ``values`` that it receives in each step."""

    bytes: int
    instructions: int
    shared: int = 0
    values: int = 0


def _plain(p: ModeParameters) -> int:
    mode = INSTRUCTIONS["mode" if p.a_im.size else "real mode"]
    return INSTRUCTIONS["neuron"] + p.a_re.shape[1] * mode


def _acting(p: ActingParameters) -> int:
    m = p.modes
    mode = INSTRUCTIONS["acting mode" if m.a_im.size else "acting real mode"]
    history = p.history.shape[1] * INSTRUCTIONS["history"]
    return INSTRUCTIONS["acting"] + m.a_re.shape[1] * mode + history


_CELLS: Mapping[type[Any], Callable[[Any], int]] = {
    ModeParameters: _plain, ActingParameters: _acting,
}


def _own(p: Cell) -> _Neuron:
    words = neuron_words(p).shape[1] + 1  # and its sum of spikes
    return _Neuron(4 * words, _CELLS[type(p)](p) + INSTRUCTIONS["sum"])


def _standard(p: Any) -> _Neuron:
    """A leaky neuron, counted as one of ours of one real mode: its own program is not ours."""
    count = (INSTRUCTIONS[name] for name in ("neuron", "real mode", "sum"))
    return _Neuron(4 * 7, sum(count))


def _gated(p: GatedFloats) -> _Neuron:
    links = sum((np.count_nonzero(g.weights, axis=0) for g in p.graded), np.zeros(1, np.int64))
    instructions = _CELLS[type(p.cell)](p.cell) + INSTRUCTIONS["gated"]
    instructions += INSTRUCTIONS["graded"] * len(p.graded) + INSTRUCTIONS["link"] * int(links.max())
    if p.branches is not None:
        instructions += INSTRUCTIONS[p.branches.kind] * p.branches.count
    receptors = p.scale.shape[1]
    instructions += INSTRUCTIONS["sum"] * receptors
    words = max(len(w) for w in gated_words(p)) + receptors
    values = sum(len(g.weights) for g in p.graded)
    shared = INTERVALS + 1 + gated_shared(p).size + values
    return _Neuron(4 * words, instructions, 4 * shared, values)


_NEURONS: Mapping[type[Any], Callable[[Any], _Neuron]] = {
    ModeParameters: _own, ActingParameters: _own, GatedFloats: _gated,
    CurrentParameters: _standard, LeakyParameters: _standard,
}


def _row(network: Network, plan: Spinnaker2Plan, population: Population) -> dict[str, Any]:
    parameters = plan.parameters[population.name]
    neuron = _NEURONS[type(parameters)](parameters)
    spikes = [p for p in network.incoming(population.name) if not p.graded]
    sources = sum(len(p.weights) for p in spikes)
    size = neuron.bytes + sources

    def step(cores: int) -> tuple[int, int]:
        each = math.ceil(population.size / cores)
        targets = INSTRUCTIONS["spike"] + each * INSTRUCTIONS["target"]
        own = INSTRUCTIONS["step"] + each * neuron.instructions
        return own + neuron.values * INSTRUCTIONS["value"], sources * targets

    cores = math.ceil(population.size / max((MEMORY - neuron.shared) // size, 1))
    most = network.timestep * 1e-3 * CLOCK / CYCLES[1]
    while cores < population.size and sum(step(cores)) > most:
        cores += 1
    own, spiking = step(cores)
    return {
        "population": population.name,
        "neurons": population.size,
        "bytes_a_neuron": size,
        "bytes_shared": neuron.shared,
        "cores": cores,
        "instructions": own,
        "instructions_all_spike": spiking,
        "microseconds": [1e6 * own / CLOCK * CYCLES[0], 1e6 * (own + spiking) / CLOCK * CYCLES[1]],
    }


def budget(network: Network) -> list[dict[str, Any]]:
    """A row for each population that has neurons there: bytes a neuron, cores, time of a step.

    ``instructions`` are those of its fullest core's neurons and of the graded values that it
    receives, ``instructions_all_spike`` what comes to them if every source spikes;
    ``microseconds``: the least, with no spike, and the most.
    Raises as :func:`plan_network`.
    """
    plan = plan_network(network)
    return [_row(network, plan, population) for population in mapped(network)]


def describe_budget(network: Network) -> str:
    """The rows of :func:`budget` as text."""
    rows = budget(network)
    lines = [
        f"{row['population']}: {row['neurons']} neurons of {row['bytes_a_neuron']} bytes on "
        f"{row['cores']} core(s), {row['instructions']} instructions a step and up to "
        f"{row['instructions_all_spike']} of spikes, {row['microseconds'][0]:.0f} to "
        f"{row['microseconds'][1]:.0f} us"
        for row in rows
    ]
    total = sum(row["cores"] for row in rows)
    lines.append(
        f"{total} of {CORES} cores, an estimate; without relays, the input, and what sends packets."
    )
    return "\n".join(lines)
