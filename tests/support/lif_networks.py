"""Random LIF networks on a dyadic grid, samples for them, and the plain loop that they equal."""

import math

import numpy as np

from export.description.network import Network, Population, Projection, Readout, Source
from export.samples.inputs import encode
from pynn_models.cells import LeakyCell, StateSpaceCell

SOURCES = {
    "bits": Source("input", "bits", 2, bits=3),
    "token": Source("input", "token", 1, symbols=5),
    "spikes": Source("input", "spikes", 4),
    "current": Source("input", "current", 2),
}


def dyadic(rng, shape):
    return rng.integers(-(2**10), 2**10, shape) / 2.0**11


def readout_cell(classes, bias):
    one = np.ones((classes, 1))
    return StateSpaceCell(
        tau=np.inf * one, c_re=one, d=np.zeros(classes), theta=np.full(classes, np.inf), bias=bias
    )


def lif_network(seed=0, encoding="bits", sizes=(5, 6, 4), delay=1, timestep=1.0, steps=40):
    """Random LIF layers, each reading from all before it; biases of both signs and none."""
    rng = np.random.default_rng(seed)
    source = SOURCES[encoding]
    populations, size, latency = [], {"input": source.size}, {"input": 0}
    for i, count in enumerate((*sizes, 3)):
        name = f"layer{i}" if i < len(sizes) else "readout"
        latency[name], size[name] = (i + 1) * delay, count
        cell = readout_cell(count, dyadic(rng, count))
        if i < len(sizes):
            bias = dyadic(rng, count) * rng.integers(0, 2, count)
            theta = rng.uniform(0.1, 1.0, count)
            cell = LeakyCell(tau=rng.uniform(0.3, 50, count) * timestep, theta=theta, bias=bias)
        populations.append(Population(name, cell, latency[name]))
    projections = [
        Projection(pre, post, dyadic(rng, (size[pre], size[post])), latency[post] - latency[pre])
        for j, post in enumerate(size) for pre in list(size)[:j]
    ]
    return Network(
        timestep, steps, source, tuple(populations), tuple(projections),
        Readout("readout", "mean"), cells="lif",
    )


def with_cell(network, cell, weights=None):
    """A network of one layer, with that cell, and those weights from the input."""
    first, *others = network.projections
    if weights is not None:
        first = Projection("input", "layer0", weights, 1)
    return Network(
        network.timestep, network.steps, network.source,
        (Population("layer0", cell, 1), network.populations[1]), (first, *others),
        network.readout, cells="lif",
    )


def samples_of(network, count=3, seed=0):
    rng, source = np.random.default_rng((seed, 5)), network.source
    top = {"bits": 2**source.bits, "token": source.symbols, "spikes": 2, "current": 9}
    return rng.integers(0, top[source.encoding], (count, source.channels, network.steps))


def plain(network, samples):
    """Spikes and membranes after the reset of each layer, (B, L, H), neuron by neuron."""
    emitted = {"input": encode(network, samples).astype(float)}
    membranes = {}
    for population in network.layers:
        cell, shape = population.cell, (*emitted["input"].shape[:2], population.size)
        u = np.zeros(shape) + cell.bias
        for projection in network.incoming(population.name):
            u = u + emitted[projection.source] @ projection.weights
        spikes, membrane = np.zeros(shape), np.zeros(shape)
        for b in range(shape[0]):
            for h in range(shape[2]):
                decay, v = math.exp(-network.timestep / cell.tau[h]), 0.0
                for k in range(shape[1]):
                    v = decay * v + u[b, k, h]
                    spikes[b, k, h] = v > cell.theta[h]
                    v = 0.0 if v > cell.theta[h] else v
                    membrane[b, k, h] = v
        emitted[population.name], membranes[population.name] = spikes, membrane
    return {p.name: emitted[p.name].astype(bool) for p in network.layers}, membranes
