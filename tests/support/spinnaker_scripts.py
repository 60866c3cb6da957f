"""Scripts on a board that keep what the backend does not: membranes, and cells of any parameters.

``python spinnaker_scripts.py network|cells DIR`` in a process of its own; ``DIR`` holds
``spynnaker.cfg`` and what the script reads, and is left with ``found.npz``.
"""

import os
import sys
from pathlib import Path

import numpy as np

from export.boards.config import use_configuration
from export.boards.worker import check_weights
from export.description.storage import load_network
from export.pynn.built import build, setup_arguments, simulator
from export.pynn.registry import board_backend
from export.pynn.spinnaker import connection_list


def membrane(population):
    """V before each tick's update, (ticks, H) in s16.15."""
    signal = population.get_data("v").segments[0].analogsignals[0]
    rows = np.ldexp(np.asarray(signal.magnitude, np.float64), 15)
    assert (rows == np.rint(rows)).all()
    return rows.astype(np.int64)


def network():
    """Spikes (B, L, H) of ``network/`` for ``samples.npy``, and membranes (ticks, B H)."""
    loaded, samples = load_network(Path("network")), np.load("samples.npy")
    sim, backend = simulator("spinnaker"), board_backend(loaded)
    sim.setup(**setup_arguments("spinnaker", loaded))
    built = build(sim, loaded, samples, backend=backend)
    built.record()
    for layer in loaded.layers:
        built.populations[layer.name].record("v")
    sim.run(built.duration)
    found = {f"spikes_{name}": spikes for name, spikes in built.recording().spikes.items()}
    for layer in loaded.layers:
        found[f"v_{layer.name}"] = membrane(built.populations[layer.name])
    found["synapses"] = check_weights(built, backend)["synapses"]
    sim.end()
    return found


def cells():
    """Spikes (L, H) and membranes (L, H) of ``IF_curr_exp`` cells as ``cells.npz`` describes."""
    given = np.load("cells.npz")
    spikes, current = given["spikes"], given["current"]
    sim = simulator("spinnaker")
    sim.setup(timestep=1.0, min_delay=1.0)
    parameters = {k[2:]: given[k].tolist() for k in given.files if k.startswith("p_")}
    target = sim.Population(
        given["v"].size, sim.IF_curr_exp(**parameters), label="cells",
        additional_parameters={
            "max_expected_summed_weight": given["summed"].tolist(), "neurons_per_core": 16
        },
    )  # fmt: skip
    target.initialize(v=given["v"].tolist())
    times = [np.flatnonzero(row).tolist() for row in spikes.T]
    source = sim.Population(len(times), sim.SpikeSourceArray(spike_times=times), label="source")
    for receptor in ("excitatory", "inhibitory"):
        for delay, weights in zip(given["delays"], given[receptor], strict=True):
            rows = connection_list(weights, receptor, float(delay))
            sim.Projection(
                source, target, sim.FromListConnector(rows), sim.StaticSynapse(),
                receptor_type=receptor,
            )
    injected = sim.StepCurrentSource(
        times=list(map(float, range(len(current)))), amplitudes=current.tolist()
    )
    injected.inject_into(target)
    target.record(["spikes", "v"])
    sim.run(float(len(spikes)))
    fired = np.zeros((len(spikes), given["v"].size), bool)
    for train in target.get_data("spikes").segments[0].spiketrains:
        steps = np.rint(train.magnitude).astype(int)
        fired[steps, train.annotations["source_index"]] = True
    found = {"spikes": fired, "v": membrane(target)}
    sim.end()
    return found


if __name__ == "__main__":
    directory = Path(sys.argv[2]).resolve()
    use_configuration(directory, os.environ)
    os.chdir(directory)
    np.savez("found.npz", **{"network": network, "cells": cells}[sys.argv[1]]())
