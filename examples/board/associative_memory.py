"""A content-addressable memory that learns by STDP, on SpiNNaker or in NEST.

``python associative_memory.py spiNNaker|nest``. Cues and contents shown together are bound; then a
cue recalls its content, and a part of a content recalls the cues whose content has it. After the
hippocampal memory of Casanueva-Morato and others (2022), the two directions of recall in
populations of their own.
"""

import importlib
import json
import sys
from typing import Any

sim: Any = importlib.import_module(f"pyNN.{sys.argv[1] if len(sys.argv) > 1 else 'spiNNaker'}")

CUES, BITS = 3, 6
MEMORIES = {0: (0, 1), 1: (2, 3), 2: (4, 5)}  # no two share a bit
SHOWN, APART = 3, 40  # ms: how long a memory is shown, and after which the next is
CELL = {
    "cm": 0.27, "tau_m": 3.0, "tau_syn_E": 0.3, "tau_syn_I": 0.3, "tau_refrac": 1.0,
    "v_rest": -60.0, "v_reset": -60.0, "v_thresh": -57.0,
}  # fmt: skip

recall_by_cue = APART * len(MEMORIES)
recall_by_bit = recall_by_cue + APART * CUES
cue_times: list[list[float]] = [[] for _ in range(CUES)]
bit_times: list[list[float]] = [[] for _ in range(BITS)]
for i, (cue, bits) in enumerate(MEMORIES.items()):
    shown = [float(10 + APART * i + t) for t in range(SHOWN)]
    cue_times[cue] += shown
    for bit in bits:
        bit_times[bit] += shown
for cue in range(CUES):
    cue_times[cue].append(float(recall_by_cue + APART * cue))
for bit in range(BITS):
    bit_times[bit].append(float(recall_by_bit + APART * bit))
run = recall_by_bit + APART * BITS

sim.setup(timestep=1.0, min_delay=1.0)
inputs = {
    "cues": sim.Population(CUES, sim.SpikeSourceArray(spike_times=cue_times)),
    "bits": sim.Population(BITS, sim.SpikeSourceArray(spike_times=bit_times)),
}


def direction(source: str, target: str) -> Any:
    """A pair of populations of which the first learns to recall the second; returns that."""
    pair = []
    for name in (source, target):
        made = sim.Population(inputs[name].size, sim.IF_curr_exp(**CELL), label=name)
        shown = sim.StaticSynapse(weight=6.0, delay=1.0)
        sim.Projection(inputs[name], made, sim.OneToOneConnector(), shown)
        pair.append(made)
    rule = sim.STDPMechanism(
        timing_dependence=sim.SpikePairRule(tau_plus=3.0, tau_minus=3.0, A_plus=6.0, A_minus=6.0),
        weight_dependence=sim.AdditiveWeightDependence(w_min=0.0, w_max=6.0),
        weight=0.0, delay=1.0, dendritic_delay_fraction=1.0,
    )  # fmt: skip
    sim.Projection(pair[0], pair[1], sim.AllToAllConnector(), rule)
    pair[1].record("spikes")
    return pair[1]


by_cue, by_bit = direction("cues", "bits"), direction("bits", "cues")
sim.run(float(run))


def recalled(population: Any, start: int, count: int) -> list[list[int]]:
    """Which neurons fire after each of ``count`` reminders."""
    trains = population.get_data("spikes").segments[0].spiketrains
    edges = [(start + APART * i, start + APART * (i + 1)) for i in range(count)]
    return [
        [n for n, train in enumerate(trains) if any(a <= float(t) < b for t in train)]
        for a, b in edges
    ]


result = {
    "bits_of_cues": recalled(by_cue, recall_by_cue, CUES),
    "cues_of_bits": recalled(by_bit, recall_by_bit, BITS),
}
sim.end()
print(json.dumps(result))
