"""Random networks of event-based gated units, by hand and of checkpoints."""

import numpy as np

from export.description.network import Network, Population, Projection, Readout, Source
from export.description.readouts import POOLINGS
from pynn_models.cells import EgruCell
from support.random_networks import checkpoint_of

BIASES = ("bias", "update_bias", "reset_bias", "recurrent_bias")
RECEPTORS = ("input", "update", "reset", "recurrent")


def unit(rng, size, **changes):
    """Units of random thresholds and biases."""
    values = {"theta": rng.uniform(0.02, 0.7, size)}
    values |= {name: rng.normal(size=size) * 0.5 for name in BIASES}
    return EgruCell(**(values | changes))


def egru_checkpoint(seed=0, steps=24, **changes):
    return checkpoint_of(seed, steps, cells="egru", **changes)


def egru_network_of(seed, *, layers=2, steps=13, encoding="bits", late=3, back=0.6, cell=unit):
    """Layers that send their values forward, back, and to themselves, at any receptor, and spikes
    of the input to any of them. ``late``: by how many steps values may be late; ``back``: the share
    of the pairs that are joined against the order, or "own": each layer with itself alone."""
    rng = np.random.default_rng((seed, 21))
    source = Source("input", encoding, int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    latency, sizes, populations = {"input": 0}, {"input": source.size}, []
    for i in range(layers):
        name = f"layer{i}"
        latency[name] = max(latency.values()) + int(rng.integers(1, 3))
        sizes[name] = int(rng.integers(1, 6))
        populations.append(Population(name, cell(rng, sizes[name]), latency[name]))
    latency["readout"], sizes["readout"] = max(latency.values()) + 1, 2
    accumulator = POOLINGS["mean"].accumulator(np.zeros(2))
    populations.append(Population("readout", accumulator, latency["readout"]))
    projections = []
    for pre in sizes:
        for post in list(sizes)[1:]:
            if pre == "readout" or (post == "readout" and pre == "input"):
                continue
            lead = latency[post] - latency[pre]
            if lead <= 0 and (pre != post if back == "own" else rng.random() > back):
                continue
            receptors = ("input",) if post == "readout" else RECEPTORS
            for receptor in receptors:
                if rng.random() < 0.35 and post != "readout":
                    continue
                graded = pre != "input"
                delay = max(lead, 1) + int(rng.integers(0, late + 1) if graded else 0)
                weights = rng.normal(size=(sizes[pre], sizes[post]))
                projections.append(Projection(pre, post, weights, delay, receptor, graded))
    return Network(
        1.0, steps, source, tuple(populations), tuple(projections), Readout("readout", "mean"),
        cells="egru",
    )
