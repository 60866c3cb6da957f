"""Random networks some of whose populations send differences."""

from dataclasses import replace

from support.cell_parts import with_differences, with_parts
from support.gated_networks import gated_network_of, samples_for
from support.looped_networks import looped_network_of
from support.random_networks import network_of, network_samples


def of_counts(network):
    """The same network, all populations of which send counts."""
    return replace(network, populations=tuple(
        replace(p, cell=replace(p.cell, differences=False)) for p in network.populations
    ))


def drawn(seed, kind):
    """A network some of whose populations send differences, and samples for it."""
    if kind == "gated":
        network = gated_network_of(seed, layers=3, delay=1 + seed % 2)
    elif kind == "looped":
        network = looped_network_of(seed, encoding=["bits", "current"][seed % 2], back=0.6)
    else:
        network = network_of(seed, encoding=kind, layers=3, steps=15, tied=seed % 2 == 0)
    network = with_differences(with_parts(network, seed), seed)
    samples = samples_for(network, 3, seed) if kind == "gated" else network_samples(network, 3)
    return network, samples
