"""How many cores of SpiNNaker 2 a network takes, by memory and by instructions a step.

A chip has 152 cores of 128 kB each. What is counted is the data of our own core
(``pynn_models/spinnaker2/c``) or of a leaky neuron: 4 bytes a parameter and state, 4 an input
accumulator, 1 a weight. Half of a core's memory is left to program, tables and buffers. Time: the
neurons' own instructions, as many as executed for an Arm Cortex-M4 under emulation, at 1 to 2
cycles an instruction and 150 MHz; synaptic events are not among them. An estimate, no measurement.
"""

from __future__ import annotations

import math
from typing import Any

from export.description.network import Network, Population

CORES, MEMORY = 152, 128 * 1024 // 2  # of a chip; bytes of a core for data
CLOCK = 150e6
CYCLES = (1, 2)  # an instruction
# Executed on an emulated Cortex-M4, tests/spinnaker2/test_spinnaker2_arm.py.
NEURON_INSTRUCTIONS, MODE_INSTRUCTIONS = 32, 22


def _words(population: Population) -> int:
    """32-bit words of a neuron: its parameters and states, and its input."""
    cell = population.kind.linear(population.cell)
    return 4 + cell.n_modes * (6 if cell.omega is not None else 3)


def _row(network: Network, population: Population) -> dict[str, Any]:
    sources = sum(len(p.weights) for p in network.incoming(population.name))
    neuron = 4 * _words(population) + sources
    cores = math.ceil(population.size / max(MEMORY // neuron, 1))
    modes = population.kind.linear(population.cell).n_modes
    each = math.ceil(population.size / cores)
    instructions = each * (NEURON_INSTRUCTIONS + MODE_INSTRUCTIONS * modes)
    return {
        "population": population.name,
        "neurons": population.size,
        "bytes_a_neuron": neuron,
        "cores": cores,
        "instructions": instructions,
        "microseconds": [1e6 * instructions * c / CLOCK for c in CYCLES],
    }


def budget(network: Network) -> list[dict[str, Any]]:
    """A row for each spiking population: bytes a neuron, cores, instructions and time of a step.

    ``instructions`` and ``microseconds`` (least, most) are those of its fullest core.
    """
    return [_row(network, population) for population in network.layers]


def describe_budget(network: Network) -> str:
    """The rows of :func:`budget` as text."""
    rows = budget(network)
    lines = [
        f"{row['population']}: {row['neurons']} neurons of {row['bytes_a_neuron']} bytes on "
        f"{row['cores']} core(s), {row['instructions']} instructions a step, "
        f"{row['microseconds'][0]:.0f} to {row['microseconds'][1]:.0f} us"
        for row in rows
    ]
    total = sum(row["cores"] for row in rows)
    lines.append(
        f"{total} of {CORES} cores, an estimate; without relays, synaptic events and the input."
    )
    return "\n".join(lines)
