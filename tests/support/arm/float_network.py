"""A whole network of SpiNNaker 2's own core for network_float_driver.c, and what comes back."""

import struct
import subprocess
from pathlib import Path

import numpy as np
from support.arm.runner import EMULATOR

from export.samples.inputs import encode
from export.spinnaker2.gated import graded_onto
from export.spinnaker2.plan import mapped, plan_network
from pynn_models.spinnaker2 import (
    ActingParameters,
    GatedFloats,
    acting_shared,
    gated_shared,
    gated_words,
    neuron_words,
)
from pynn_models.spinnaker2.tables import FLOAT_KINDS, SIGMOID

DRIVER = Path(__file__).with_name("network_float_driver.c")


def run(executable, network, samples, emulator_options=()):
    """Spikes (B, L, H) and membranes of each population by name, computed by C on ARM.

    The chip's order of time: each population in its own tick of a step, delays in ring buffers.
    """
    plan = plan_network(network)
    populations = mapped(network)
    fixed = _network(network, plan, populations)
    ends = [p.latency + network.steps for p in populations]
    head = struct.pack(
        "<5I", len(populations), fixed[0], network.source.size, network.steps, max(ends)
    )
    spikes = {p.name: np.zeros((len(samples), network.steps, p.size), bool) for p in populations}
    membranes = {name: np.zeros(s.shape, np.float32) for name, s in spikes.items()}
    for b, emitted in enumerate(encode(network, samples)):
        done = subprocess.run(
            [EMULATOR, "-cpu", "cortex-a15", *emulator_options, str(executable)],
            input=head + fixed[1] + emitted.astype("<u4").tobytes(),
            stdout=subprocess.PIPE, check=True,
        )
        words, at = np.frombuffer(done.stdout, "<u4"), 0
        for tick in range(max(ends)):
            for p in populations:
                k = tick - p.latency
                if 0 <= k < network.steps:
                    membranes[p.name][b, k] = words[at : at + p.size].view("<f4")
                    spikes[p.name][b, k] = words[at + p.size : at + 2 * p.size]
                    at += 2 * p.size
        assert at == len(words)
    return spikes, membranes


def _network(network, plan, populations):
    """The number of projections, and all populations and projections as bytes."""
    places = {network.source.name: 0} | {p.name: n for n, p in enumerate(populations, 1)}
    found = [_population(network, plan.parameters[p.name], p) for p in populations]
    projections = []
    for target in populations:
        for q in network.incoming(target.name):
            if q.graded:
                continue
            for delay, weights in q.by_lag(0, plan.weights[q]):
                receptor = target.receptors.index(q.receptor)
                projections.append(
                    struct.pack("<6I", places[q.source], places[target.name] - 1, receptor, delay,
                                len(weights), 0) + np.ascontiguousarray(weights).tobytes()
                )
        first = 0
        for q in graded_onto(network, target):
            projections.append(struct.pack(
                "<6I", places[q.source], places[target.name] - 1, first, q.delay, len(q.weights), 1
            ))
            first += len(q.weights)
    return len(projections), b"".join(found + projections)


def _population(network, parameters, population):
    gates = parameters if isinstance(parameters, GatedFloats) else None
    cell = parameters if gates is None else gates.cell
    acting = isinstance(cell, ActingParameters)
    kind, branches, *graded = (0, 0) if gates is None else gated_shared(gates)
    words = neuron_words(cell).ravel() if gates is None else np.concatenate(gated_words(gates))
    shared = acting_shared(cell) if acting else [cell.a_re.shape[1], cell.a_im.size > 0, 0, 0, 0]
    onto = network.incoming(population.name)
    longest = max((q.longest_delay for q in onto), default=1)
    values = 0 if gates is None else sum(len(g.weights) for g in gates.graded)
    branched = gates is not None and gates.branches is not None
    table = FLOAT_KINDS[gates.branches.kind].table if branched else SIGMOID
    head = struct.pack(
        "<16If", population.size, population.latency, 1 << longest.bit_length(),
        len(population.receptors), values, gates is not None, acting, len(words), len(graded),
        *shared, kind, branches, table.per_unit,
    )
    return (head + table.entries.astype("<f4").tobytes() + np.array(graded, "<u4").tobytes()
            + words.astype("<f4").tobytes())
