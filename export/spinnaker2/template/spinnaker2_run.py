"""Runs this directory's network with py-spinnaker2, a sample at a time: spinnaker2_spikes.npz.

    python spinnaker2_run.py SAMPLES.npz [ADDRESS] [COUNT]

SAMPLES.npz: ``inputs`` (B, channels, steps) of integers, as the network reads them (encoded, where
it was trained on recordings that were), or of the real values that it quantises, and, where they
are known, ``labels``.
ADDRESS: of the board's Ethernet interface. Needs py-spinnaker2 and numpy, nothing else.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from spinnaker2 import hardware, snn

FOLDER = Path(__file__).resolve().parent


def sources(network: Any, sample: Any) -> Any:
    """Which input neurons spike at each step of a sample (channels, steps): (steps, size)."""
    encoding, size = str(network["encoding"]), int(network["input_size"])
    if encoding == "token":
        return np.eye(size, dtype=np.uint8)[sample[0].astype(int)]
    if encoding == "spikes":
        return sample.T.astype(np.uint8)
    bits = np.arange(int(network["bits"]))
    if encoding == "quantised":  # real values, of which each channel's integers are signed
        top = 2 ** bits[-1]
        sample = np.clip(np.rint(sample / units(network)), -top, top - 1)
    return ((sample.T[:, :, None].astype(int) >> bits) & 1).reshape(len(sample.T), -1)


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
        sys.exit(f"samples hold {samples[where]} at {list(where)}; expected integers, 0 to "
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


def build(network: Any) -> tuple[dict[str, Any], list[Any]]:
    """The populations by name, the input first, and the projections between them."""
    name = str(network["input"])
    populations = {
        name: snn.Population(int(network["input_size"]), "spike_list", params={}, name=name)
    }
    layers = set(network["layers"].tolist())
    models = zip(network["populations"].tolist(), network["models"].tolist(), strict=True)
    for name, model in models:
        prefix = f"{name}/"
        parameters = {
            key.removeprefix(prefix): network[key].tolist()
            for key in network.files
            if key.startswith(prefix)
        }
        size = len(parameters["threshold"])
        parameters |= {"reset": "reset_to_v_reset", "v_reset": 0.0, "t_refrac": 0}
        record = ["spikes"] if name in layers else []
        populations[name] = snn.Population(size, model, params=parameters, name=name, record=record)
    projections = []
    for i, (source, target) in enumerate(network["hops"].tolist()):
        weights = network[f"weights/{i}"]
        connections = [
            [int(pre), int(post), int(weights[pre, post]), 0] for pre, post in np.argwhere(weights)
        ]
        projections.append(
            snn.Projection(populations[source], populations[target], connections=connections)
        )
    return populations, projections


def run(network: Any, sample: Any, board: Any) -> dict[str, Any]:
    """The spikes of each layer of one sample, (steps, size), each from its own first step on."""
    populations, projections = build(network)
    name = str(network["input"])
    emitted = sources(network, sample)
    populations[name].params = {
        i: np.flatnonzero(emitted[:, i]).tolist() for i in range(emitted.shape[1])
    }
    whole = snn.Network("snn-ssm")
    whole.add(*populations.values(), *projections)
    steps, layers = int(network["steps"]), network["layers"].tolist()
    latencies = dict(zip(layers, network["latencies"].tolist(), strict=True))
    board.run(whole, steps + max(latencies.values()) + 1)
    found = {name: emitted.astype(bool)}
    for layer in layers:
        spikes = np.zeros((steps, populations[layer].size), bool)
        for neuron, times in populations[layer].get_spikes().items():
            own = np.asarray(times, int) - latencies[layer]
            spikes[own[(own >= 0) & (own < steps)], neuron] = True
        found[layer] = spikes
    return found


def scores(network: Any, spikes: dict[str, Any]) -> Any:
    """The logits from pooled spikes: their mean over the steps, or the last ones."""
    total = network["readout/bias"].astype(float)
    for name, emitted in spikes.items():
        if f"readout/{name}" in network.files:
            pooled = emitted.mean(0) if str(network["pooling"]) == "mean" else emitted[-1]
            total = total + pooled @ network[f"readout/{name}"]
    return total


def main(arguments: list[str]) -> None:
    with np.load(FOLDER / "spinnaker2.npz", allow_pickle=False) as network:
        samples = np.load(arguments[0], allow_pickle=False)
        check(network, samples["inputs"])
        count = int(arguments[2]) if len(arguments) > 2 else len(samples["inputs"])
        board = hardware.SpiNNaker2Chip(eth_ip=arguments[1] if len(arguments) > 1 else None)
        all_spikes, classes = [], []
        for sample in samples["inputs"][:count]:
            spikes = run(network, sample, board)
            classes.append(int(np.argmax(scores(network, spikes))))
            all_spikes.append(spikes)
        layers = network["layers"].tolist()
        results: dict[str, Any] = {
            layer: np.stack([spikes[layer] for spikes in all_spikes]) for layer in layers
        }
        results["classes"] = np.array(classes)
        np.savez_compressed(FOLDER / "spinnaker2_spikes.npz", **results)
    if "labels" in samples.files:
        right = np.mean(np.array(classes) == samples["labels"][:count])
        print(f"accuracy {right:.2%}, {count} samples")
    else:
        print("classes:", *classes)


if __name__ == "__main__":
    main(sys.argv[1:])
