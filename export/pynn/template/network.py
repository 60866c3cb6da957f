"""A spiking network in PyNN: runs samples through it, and says what it answers.

    python SCRIPT SIMULATOR SAMPLES.npz [--first N] [--out SPIKES.npz]

SIMULATOR: nest, brian2 or neuron. SAMPLES.npz: ``inputs`` (B, channels, steps) of whole numbers,
as the network reads them: encoded, where it was trained on recordings that were; real values for a
network that quantises them.
Needs numpy and PyNN with that simulator; every number is in the .npz of this script's name. There
``SIMULATOR/...`` is what PyNN gets there, in its own units (ms, mV, nA, nF): simulators differ in
the order of a step, and weights, thresholds and delays make up for it.
"""

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np


def sources(network: Any, sample: Any) -> Any:
    """Which sources of the input spike at each step of a sample (channels, steps): (steps, S)."""
    encoding, size = str(network["encoding"]), int(network["input_size"])
    if encoding == "token":  # a source a symbol
        return np.eye(size, dtype=bool)[sample[0].astype(int)]
    if encoding == "spikes":  # a source a channel
        return sample.T.astype(bool)
    bits = np.arange(int(network["bits"]))  # a source a bit of a channel
    if encoding == "quantised":  # real values, of which each channel's integers are signed
        top = 2 ** bits[-1]
        sample = np.clip(np.rint(sample / units(network)), -top, top - 1)
    return ((sample.T[:, :, None].astype(int) >> bits) & 1).reshape(len(sample.T), -1).astype(bool)


def units(network: Any) -> Any:
    """What the integers of a quantised input count in, (channels, 1)."""
    return 2.0 ** -network["fraction"].astype(float)[:, None]


def check(network: Any, samples: Any) -> None:
    """End here for samples that are none of this network."""
    expected = (int(network["channels"]), int(network["steps"]))
    if samples.ndim != 3 or samples.shape[1:] != expected:
        sys.exit(f"samples of shape {samples.shape}; expected (B, channels, steps) = (B, "
                 f"{expected[0]}, {expected[1]})")
    if str(network["encoding"]) == "quantised":
        check_range(network, samples)
        return
    limit = int(network["limit"])
    bad = ~((samples >= 0) & (samples < limit) & (samples == np.floor(samples)))
    if bad.any():
        where = tuple(np.argwhere(bad)[0].tolist())
        sys.exit(f"samples hold {samples[where]} at {list(where)}; expected whole numbers, 0 to "
                 f"{limit - 1}: encode them as for training")


def check_range(network: Any, samples: Any) -> None:
    """End here for values that are no numbers; say how many a quantised input cuts off."""
    if not np.isfinite(samples).all():
        sys.exit("samples hold values that are not finite; expected numbers")
    found, top = np.rint(samples / units(network)), 2 ** (int(network["bits"]) - 1)
    beyond = int(((found < -top) | (found >= top)).sum())
    if beyond:
        print(f"{beyond} of {samples.size} values are beyond the range that the input was "
              "quantised for, and are cut off", file=sys.stderr)


def setup(sim: Any, name: str, network: Any) -> None:
    """The simulator, empty, with its timestep; and what one of them needs beside."""
    step = float(network["timestep"]) / int(network[f"{name}/substeps"])
    longest = float(network[f"{name}/longest_delay"])
    more = {"spike_precision": "on_grid"} if name == "nest" else {}
    sim.setup(timestep=step, min_delay=step, max_delay=longest, **more)
    if name == "brian2":
        import brian2

        brian2.prefs.codegen.target = "numpy"  # compiles nothing
        brian2.defaultclock.dt = step * brian2.ms  # that of PyNN's spike sources
        if str(network["cell"]) == "lif":  # else what arrives in the step of a spike is lost
            order = ["start", "groups", "synapses", "thresholds", "resets", "end"]
            sim.simulator.state.network.schedule = order


def spike_sources(sim: Any, name: str, network: Any, steps: Any) -> Any:
    """A population of sources, each spiking at its steps (a list of arrays)."""
    from pyNN.parameters import Sequence

    # NEST takes a time one ulp above the grid for the next step: aim just below it.
    early = 1e-4 if name == "nest" else 0.0
    shift = float(network[f"{name}/stamp"]) - early
    times = [Sequence((s + shift) * float(network["timestep"])) for s in steps]
    spikes = times if len(times) > 1 else times[0]
    return sim.Population(len(times), sim.SpikeSourceArray(spike_times=spikes))


def connect(sim: Any, network: Any, key: str, pre: Any, post: Any) -> None:
    """Rows (i, j, weight, delay) -> a projection a sign."""
    for receptor in ("excitatory", "inhibitory"):
        if f"{key}/{receptor}" in network:
            rows = network[f"{key}/{receptor}"].tolist()
            sim.Projection(
                pre, post, sim.FromListConnector(rows), sim.StaticSynapse(), receptor_type=receptor
            )


def population(sim: Any, name: str, network: Any, layer: str) -> Any:
    """A layer's neurons, and what is theirs alone: start, bias, and currents that hold them."""
    key = f"{name}/{layer}/"
    cells = {
        k.rsplit("/", 1)[1]: network[k] for k in network if k.startswith(f"{key}cell/")
    }
    start = cells.pop("v")
    kind = getattr(sim, str(network[f"{name}/model"]))
    made = sim.Population(len(start), kind(**cells), label=layer)
    if name == "nest" and str(network["cell"]) == "lif":
        made.node_collection.set(V_m=0.0)  # PyNN has no name for it there
    else:
        made.initialize(v=start)
    if name == "neuron":
        for cell, v in zip(made.all_cells, start, strict=True):
            cell._cell.v = float(v)  # before its first step NEURON has -65 mV otherwise
    if f"{key}bias/steps" in network:  # one spike a step, whose weights are the biases
        constant = spike_sources(sim, name, network, [network[f"{key}bias/steps"]])
        connect(sim, network, f"{key}bias", constant, made)
    if f"{key}held/neurons" in network:  # those that would spike at rest, before they are to
        times = network[f"{key}held/times"].tolist()
        held = zip(network[f"{key}held/neurons"], network[f"{key}held/amplitudes"], strict=True)
        for neuron, amplitudes in held:
            current = sim.StepCurrentSource(times=times, amplitudes=amplitudes.tolist())
            current.inject_into([made[int(neuron)]])
    return made


def run(sim: Any, name: str, network: Any, sample: Any) -> dict[str, Any]:
    """The spikes of each layer in a sample (channels, steps): (steps, neurons)."""
    setup(sim, name, network)
    layers = network["layers"].tolist()
    first = {layer: int(network[f"{name}/{layer}/first_step"]) for layer in layers}
    made = {layer: population(sim, name, network, layer) for layer in layers}
    steps = [np.flatnonzero(s) + int(network[f"{name}/first_input"])
             for s in sources(network, sample).T]
    made[str(network["input"])] = spike_sources(sim, name, network, steps)
    for n, (pre, post) in enumerate(network["projections"].tolist()):
        connect(sim, network, f"{name}/projection{n}", made[pre], made[post])
    for layer in layers:
        made[layer].record("spikes")
    timestep, length = float(network["timestep"]), int(network["steps"])
    sim.run((max(first.values()) + length + 1) * timestep)
    found = {}
    for layer in layers:
        spikes = np.zeros((length, made[layer].size), bool)
        for train in made[layer].get_data("spikes").segments[0].spiketrains:
            stamps = np.asarray(train.magnitude) / timestep - float(network[f"{name}/stamp"])
            at = np.rint(stamps).astype(int) - first[layer]
            spikes[at[at < length], train.annotations["source_index"]] = True
        found[layer] = spikes
    sim.end()
    return found


def scores(network: Any, sample: Any, spikes: dict[str, Any]) -> Any:
    """What the readout makes of the spikes: (classes,), or (steps, classes) where each counts.

    x[k] = decay x[k-1] + u[k],  y[k] = c x[k] + d u[k]: u the weighted spikes, y over so many terms
    """
    sent = {**spikes, str(network["input"]): sources(network, sample)}
    u = np.zeros((int(network["steps"]), len(network["readout/bias"]))) + network["readout/bias"]
    for n, pre in enumerate(network["readout/from"].tolist()):
        lag = int(network[f"readout/lag{n}"])
        late = np.zeros_like(sent[pre])
        late[lag:] = sent[pre][: len(late) - lag]
        u += late.astype(float) @ network[f"readout/weights{n}"]
    x, y = np.zeros_like(network["readout/c"]), np.zeros_like(u)
    for k, value in enumerate(u):
        x = network["readout/decay"] * x + value[:, None]
        y[k] = (network["readout/c"] * x).sum(1).real + network["readout/d"] * value
    found = y / network["readout/terms"][:, None]
    return found if bool(network["readout/each_step"]) else found[-1]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("simulator", choices=["nest", "brian2", "neuron"])
    parser.add_argument("samples", type=Path, help="an .npz with inputs (B, channels, steps)")
    parser.add_argument("--first", type=int, metavar="N", help="the first N samples")
    parser.add_argument("--out", type=Path, metavar="SPIKES.npz", help="write spikes and scores")
    args = parser.parse_args()
    with np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False) as archive:
        network = dict(archive)
    with np.load(args.samples, allow_pickle=False) as archive:
        samples = archive["inputs"][: args.first]
    check(network, samples)
    sim = importlib.import_module(f"pyNN.{args.simulator}")
    all_spikes, all_scores = [], []
    for number, sample in enumerate(samples):
        all_spikes.append(run(sim, args.simulator, network, sample))
        all_scores.append(scores(network, sample, all_spikes[-1]))
        print(number, np.array2string(all_scores[-1], precision=4, threshold=20))
    if args.out is not None:
        stacked: dict[str, Any] = {k: np.stack([s[k] for s in all_spikes]) for k in all_spikes[0]}
        np.savez_compressed(args.out, scores=np.stack(all_scores), **stacked)


if __name__ == "__main__":
    main()
