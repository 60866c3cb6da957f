"""What each process of an MPI run does in the tests: ``python -m support.mpi_worker OUT THREADS``.

Runs every one of :data:`KINDS` in NEST, one after the other in the same processes, and writes
spikes and membranes to OUT, an ``.npz``, in the first of them.
"""

import sys

import numpy as np

from export.lowering.network import lower
from export.pynn.built import run
from pynn_models.ranks import world
from support.gated_networks import lowered
from support.lif_networks import lif_network
from support.lif_networks import samples_of as lif_samples
from support.looped_networks import looped_network_of
from support.random_networks import checkpoint_of, network_samples, samples_of

# Some layers of these have fewer neurons than there are processes and threads.
KINDS = ("native", "currents", "real", "loops", "glu", "gsu", "integers", "lif", "in turn", "stock")


def made(kind):
    """A network and samples (B, C, L)."""
    if kind in ("native", "currents"):
        checkpoint = checkpoint_of(5, steps=30, channels=12)
        encoding = "current" if kind == "currents" else None
        return lower(checkpoint, delay=2, encoding=encoding), samples_of(checkpoint, 3)
    if kind == "real":  # whose sums are on no grid
        checkpoint = checkpoint_of(5, steps=30, input_bits=0, inputs=3, channels=20)
        return lower(checkpoint), np.random.default_rng(0).normal(size=(2, 3, 30))
    if kind == "loops":
        network = looped_network_of(3)
        return network, network_samples(network, 3)
    if kind == "in turn":
        network = lif_network(1, sizes=(9, 1, 9), timestep=0.5, steps=30)
        return network, lif_samples(network, 4)
    if kind == "stock":
        checkpoint = checkpoint_of(2, 30, cells="stock", mode_init="s4d-real", modes=1)
        return lower(checkpoint, delay=3, timestep=0.1), samples_of(checkpoint, 3)
    return lowered({"integers": "glu of integers"}.get(kind, kind), 3, steps=25, count=2)[1:]


def outcomes(threads=1):
    """Spikes and membranes of every kind, by kind, what, and population."""
    found = {}
    for kind in KINDS:
        network, samples = made(kind)
        some = network.populations if network.family.streams else network.layers
        recording = run(
            "nest", network, samples, membranes=[p.name for p in some], threads=threads
        )
        found |= {f"{kind}/spikes/{name}": s for name, s in recording.spikes.items()}
        found |= {f"{kind}/membranes/{name}": y for name, y in recording.membranes.items()}
    return found


def main(out, threads):
    found = outcomes(int(threads))
    if world().is_first:
        np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
