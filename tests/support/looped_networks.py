"""Random networks of any graph: masks, a delay a synapse, taps, self-connections and feedback."""

import dataclasses

import numpy as np

from export.description.network import (
    Network,
    Population,
    Projection,
    Readout,
    Source,
    gate_receptor,
    value_receptor,
)
from pynn_models.cells import LeakyCell
from support.gated_networks import gated_network_of
from support.random_networks import cell_of


def _leaky(rng, size):
    return LeakyCell(
        tau=rng.uniform(0.5, 20, size), theta=rng.uniform(0.2, 2, size),
        bias=rng.integers(-(2**9), 2**9, size) / 2.0**10,
    )


def _weights(rng, shape):
    return rng.integers(-(2**10), 2**10, shape) / 2.0**10


def _delay(rng, lead, shape, late, spread):
    """A delay of at least ``lead`` and 1 steps, one for all or one a synapse."""
    least = max(lead, 1)
    kind = rng.choice(["least", "late", "each"] if spread else ["least", "late"])
    if kind == "least":
        return least
    if kind == "late":
        return least + int(rng.integers(0, late + 1))
    return least + rng.integers(0, late + 1, shape)


def looped_network_of(seed, *, cells="native", layers=3, steps=14, late=5, encoding="bits",
                      timestep=1.0, spread=True, back=0.5):
    """``back``: the share of the pairs of populations, each with itself too, that are joined
    against the network's order; ``late``: the most that a delay is longer than it must be;
    ``spread``: some projections have a delay a synapse."""
    rng = np.random.default_rng((seed, 11))
    source = Source("input", encoding, int(rng.integers(1, 4)), int(rng.integers(1, 5)))
    latency, sizes, populations = {"input": 0}, {"input": source.size}, []
    for i in range(layers + 1):
        name = f"layer{i}" if i < layers else "readout"
        latency[name] = max(latency.values()) + int(rng.integers(i == 0, 3))  # some alike
        sizes[name] = int(rng.integers(1, 6))
        silent = i == layers
        make = _leaky if cells == "lif" and not silent else cell_of
        cell = make(rng, sizes[name], **({"silent": silent} if make is cell_of else {}))
        populations.append(Population(name, cell, latency[name]))
    projections, names = [], list(sizes)
    for i, pre in enumerate(names[:-1]):
        for j, post in enumerate(names[1:], 1):
            if rng.random() > (0.8 if j > i else back):
                continue
            shape, lead = (sizes[pre], sizes[post]), latency[post] - latency[pre]
            mask = rng.random(shape) < 0.6 if rng.random() < 0.5 else None
            if mask is not None and not mask.any():
                mask = None
            current = pre == "input" and encoding == "current"
            if current:
                projections.append(Projection(pre, post, _weights(rng, shape), lead))
                continue
            delay = _delay(rng, lead, shape, late, spread)
            projections.append(Projection(pre, post, _weights(rng, shape), delay, mask=mask))
            first = projections[-1].delay
            if isinstance(first, int) and rng.random() < 0.3:  # another tap of the same pair
                projections.append(Projection(pre, post, _weights(rng, shape), first + 2))
    return Network(
        timestep, steps, source, tuple(populations), tuple(projections),
        Readout("readout", str(rng.choice(["mean", "last"]))), cells=cells,
    )


def is_looped(network):
    """Whether a projection goes against the order of the populations."""
    place = {p.name: i for i, p in enumerate(network.populations)} | {network.source.name: -1}
    return any(place[p.source] >= place[p.target] for p in network.projections)


def looped_gated_network(seed, kind):
    """A gated network whose layers also hear later ones, and themselves, at any receptor."""
    network = gated_network_of(seed, kind, layers=3, steps=15)
    rng = np.random.default_rng((seed, 41))
    more = []
    for i, pre in enumerate(network.layers):
        for post in network.layers[: i + 1]:
            receptors = ["input"]
            if post.branches is not None:
                receptors += [value_receptor(0)] + [gate_receptor(0)] * (kind == "glu")
            weights = rng.integers(-(2**9), 2**9, (pre.size, post.size)) / 2.0**10
            delay = int(rng.integers(1, 4))
            more.append(Projection(pre.name, post.name, weights, delay, str(rng.choice(receptors))))
    return dataclasses.replace(network, projections=(*network.projections, *more))
