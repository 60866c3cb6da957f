"""Simulating in NEST through PyNN, against a plain PyNEST script.

Compared: the time of ``sim.run`` for what ``export.pynn.build`` made, spikes recorded, and that of
``nest.Simulate`` for a hand-written PyNEST script with the same extension module, network, input
spikes and recorded spikes: 4 layers of 128 channels and 32 modes, 784 steps a sample. Both start
from a reset kernel each time. Every recorded spike must be the same.

Target: at most 1.2 x.
"""

from __future__ import annotations

import argparse
from typing import Any

import _timing  # first, see there
import numpy as np
from build import fresh, random_network, random_samples
from numpy.typing import NDArray

from export.description.network import Network, Population
from export.pynn.built import build
from export.samples.inputs import encode
from export.samples.recording import Recording
from pynn_models.nest import MODEL_NAME, build_module

TARGET = 1.2


def through_pynn(network: Network, samples: NDArray[Any]) -> tuple[_timing.Elapsed, Recording]:
    """The project's way: the time of ``sim.run``, and what was recorded."""
    sim = fresh(network)
    built = build(sim, network, samples)
    built.record()
    taken = _timing.stopwatch(lambda: sim.run(built.duration))
    return taken, built.recording()


def cell_parameters(population: Population, start: int, period: int) -> list[dict[str, Any]]:
    """The parameters of each neuron, under the names of the NEST model."""
    cell = population.state_space
    shared = {"first_step": start + population.latency, "period": period}
    complex_modes = {} if cell.omega is None else {"omega": cell.omega, "c_im": cell.c_im}
    vectors = {"tau": cell.tau, "c_re": cell.c_re} | complex_modes
    scalars = {"d": cell.d, "theta": cell.theta, "bias": cell.bias}
    return [
        shared
        | {name: value[i].tolist() for name, value in vectors.items() if value is not None}
        | {name: float(value[i]) for name, value in scalars.items()}
        for i in range(population.size)
    ]


def through_pynest(
    network: Network, samples: NDArray[Any]
) -> tuple[_timing.Elapsed, dict[str, NDArray[np.bool_]]]:
    """The plain script: the time of ``nest.Simulate``, and each layer's spikes (B, L, H)."""
    import nest

    h = network.timestep
    start = network.min_delay
    nest.ResetKernel()
    nest.set(
        resolution=h, min_delay=start * h, max_delay=network.max_delay * h, local_num_threads=1
    )
    nest.Install(str(build_module()))

    stream = encode(network, samples).reshape(-1, network.source.size)
    nodes = {
        network.source.name: nest.Create(
            "spike_generator",
            network.source.size,
            params=[{"spike_times": (np.flatnonzero(row) + start + 1) * h} for row in stream.T],
        )
    }
    for population in network.populations:
        parameters = cell_parameters(population, start, network.steps)
        nodes[population.name] = nest.Create(MODEL_NAME, population.size, params=parameters)
    for projection in network.projections:
        weights = np.ascontiguousarray(projection.weights.T)
        synapse = {"weight": weights, "delay": projection.delay * h}
        nest.Connect(nodes[projection.source], nodes[projection.target], "all_to_all", synapse)
    recorders = {p.name: nest.Create("spike_recorder") for p in network.layers}
    for name, recorder in recorders.items():
        nest.Connect(nodes[name], recorder)

    last = max(p.latency for p in network.populations)
    steps = start + last + len(stream) + 1 + start  # PyNN runs a min_delay longer than it says
    taken = _timing.stopwatch(lambda: nest.Simulate(steps * h))

    spikes = {}
    for population in network.layers:
        events = recorders[population.name].events
        k = np.rint(events["times"] / h).astype(int) - 1 - start - population.latency
        found = np.zeros((len(stream), population.size), dtype=np.bool_)
        inside = k < len(stream)
        found[k[inside], events["senders"][inside] - nodes[population.name][0].global_id] = True
        spikes[population.name] = found.reshape(len(samples), network.steps, -1)
    return taken, spikes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    network = random_network()
    samples = random_samples(network, options.samples)
    print(_timing.machine())
    print(f"{len(network.layers)} layers x {network.layers[0].size} channels, "
          f"{len(samples)} samples of {network.steps} steps, 1 thread")

    recording, plain = through_pynn(network, samples)[1], through_pynest(network, samples)[1]
    right = all(np.array_equal(recording.spikes[name], plain[name]) for name in plain)
    count = sum(int(spikes.sum()) for spikes in plain.values())
    total = sum(spikes.size for spikes in plain.values())
    _timing.require(right and count > 0, f"{count} spikes, {count / total:.0%} of the steps")

    times = _timing.interleave(
        {
            "project": lambda: through_pynn(network, samples)[0],
            "PyNEST": lambda: through_pynest(network, samples)[0],
        },
        options.repetitions,
    )
    value = _timing.ratio(times[0], times[1])
    _timing.verdict("times PyNEST's time", value, TARGET, " x", at_least=False)


if __name__ == "__main__":
    main()
