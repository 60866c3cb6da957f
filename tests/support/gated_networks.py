"""Small random networks of gated, ternary, leaky and token parts, and samples that fit them."""

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
from export.lowering.network import lower
from pynn_models.cells import Branches, LeakyCell, StateSpaceCell
from support.random_networks import cell_of, checkpoint_of

TERNARY = {"activation": "ternary-constant"}
GSU = TERNARY | {"mixing": "gsu", "gsu_norm": "batch"}
INTEGER = {"activation": "integer", "spike_levels": 3}
DIFFERENCES = INTEGER | {"messages": "differences"}
TOKEN = {"encoder": "embedding", "inputs": 7, "input_bits": 0}
EVENTS = {"inputs": 3, "input_bits": 1, "input_scale": 1.0}

# What a checkpoint of each kind has that those of random_networks do not.
KINDS = {
    "glu": {"mixing": "glu"},
    "gsu": GSU,
    "gsu of two matrices": GSU | {"gsu_weights": 2},
    "gsu without norm": GSU | {"gsu_norm": "none"},
    "gsu of normed membranes": GSU | {"membrane_norm": True},
    "ternary": TERNARY,
    "integer": INTEGER | {"membrane_norm": True},
    "glu of integers": INTEGER | {"mixing": "glu"},
    "differences": DIFFERENCES | {"membrane_norm": True},
    "glu of differences": DIFFERENCES | {"mixing": "glu"},
    "soft reset": {"reset": "soft"},
    "soft reset of real modes": {"reset": "soft", "refractory": 2, "mode_init": "s4d-real"},
    "hard reset": {"reset": "hard", "refractory": 1},
    "history": {"history": 5},
    "glu with reset": {"mixing": "glu", "reset": "soft"},
    "glu with history": {"mixing": "glu", "history": 2},
    "lif": {"cells": "lif"},
    "token": TOKEN,
    "token glu": TOKEN | {"mixing": "glu"},
    "token lif": TOKEN | {"cells": "lif"},
    "events": EVENTS,
    "events gsu": EVENTS | GSU,
}


def checkpoint_of_kind(kind, seed=0, steps=20, **changes):
    """A random checkpoint of one of the ``KINDS``, with ``changes`` to its model."""
    return checkpoint_of(seed, steps, **(KINDS[kind] | changes))


def lowered(kind, seed=0, steps=20, count=3, residual="folded", **changes):
    """A checkpoint of one of the ``KINDS``, its network and samples (B, C, L).

    Kinds of events are lowered to the encoding ``spikes``.
    """
    checkpoint = checkpoint_of_kind(kind, seed, steps, **changes)
    encoding = "spikes" if kind.startswith("events") else None
    network = lower(checkpoint, encoding=encoding, residual=residual)
    return checkpoint, network, samples_for(network, count, seed)


def samples_for(network, count=3, seed=0):
    """Random samples (B, C, L) that fit the network's input: symbols, events or integers."""
    source, rng = network.source, np.random.default_rng((seed, 3))
    limit = {"token": source.symbols, "spikes": 2}.get(source.encoding, 2**source.bits)
    return rng.integers(0, limit, (count, source.channels, network.steps)).astype(np.uint16)


def branches_of(rng, kind, size, count):
    """Random constants of ``count`` branches, those of spikes on a dyadic grid."""
    shape, gsu = (size, count), kind == "gsu"
    return Branches(
        kind=kind,
        value_bias=rng.integers(-(2**10), 2**10, shape) / 2.0**10,
        gate_bias=rng.integers(-(2**10), 2**10, shape) / 2.0**10,
        shift=rng.normal(size=shape) * 0.3 if gsu else np.zeros(shape),
        gain=rng.normal(size=shape) if gsu else np.ones(shape),
    )


def _dyadic(rng, pre, post):
    return rng.integers(-(2**10), 2**10, (pre, post)) / 2.0**10


def gated_network_of(
    seed=0, kind="glu", *, encoding="bits", layers=2, delay=1, timestep=1.0, steps=9
):
    """A random network, not of a checkpoint: every layer gates all earlier ones.

    Layer l has a branch for each layer before it: a value of its spikes and a gate of its spikes
    (``glu``) or, graded, of its membrane (``gsu``). A silent population gathers all branches, as
    lowering has it, and its membrane goes to the readout. Cells are mixed; weights of spikes are
    dyadic.
    """
    rng = np.random.default_rng((seed, 4))
    symbols = 5 if encoding == "token" else 0
    bits = 3 if encoding in ("bits", "current") else 0
    source = Source("input", encoding, 1 if symbols else 2, bits, symbols)
    sizes, latency = {"input": source.size}, {"input": 0}
    populations, projections = [], []
    for i, name in enumerate([*(f"layer{i}" for i in range(layers)), "stream"]):
        size, earlier = int(rng.integers(1, 5)), [p.name for p in populations]
        sizes[name], latency[name] = size, (i + 1) * delay
        weights = _dyadic(rng, source.size, size)
        projections.append(Projection("input", name, weights, latency[name]))
        for p, pre in enumerate(earlier):
            wait = latency[name] - latency[pre]
            value = _dyadic(rng, sizes[pre], size)
            gate = _dyadic(rng, sizes[pre], size) if kind == "glu" else rng.normal(
                size=(sizes[pre], size)
            )
            projections += [
                Projection(pre, name, value, wait, value_receptor(p)),
                Projection(pre, name, gate, wait, gate_receptor(p), kind == "gsu"),
            ]
        cell = cell_of(rng, size, silent=name == "stream")
        branches = branches_of(rng, kind, size, len(earlier)) if earlier else None
        populations.append(Population(name, _with_branches(cell, branches), latency[name]))
    classes, end = 2, (layers + 2) * delay
    populations.append(Population("readout", cell_of(rng, classes, silent=True), end))
    logits = rng.normal(size=(sizes["stream"], classes))
    projections.append(Projection("stream", "readout", logits, delay, graded=True))
    return Network(
        timestep, steps, source, tuple(populations), tuple(projections),
        Readout("readout", str(rng.choice(["mean", "last"]))), {"seed": seed},
    )


def _with_branches(cell, branches):
    leaves = ("tau", "c_re", "d", "theta", "bias", "omega", "c_im")
    return StateSpaceCell(**{leaf: getattr(cell, leaf) for leaf in leaves}, branches=branches)


def leaky_network_of(seed=0, *, encoding="bits", layers=2, delay=1, timestep=1.0, steps=12):
    """A random network of leaky neurons with reset, projections from all earlier layers."""
    rng = np.random.default_rng((seed, 5))
    source = Source("input", encoding, 2, 3 if encoding in ("bits", "current") else 0)
    sizes, populations, projections = {"input": source.size}, [], []
    for i in range(layers + 1):
        name = f"layer{i}" if i < layers else "readout"
        size = int(rng.integers(1, 5))
        if i < layers:
            cell = LeakyCell(
                tau=rng.uniform(0.3, 20, size),
                theta=rng.uniform(-0.2, 1.0, size),
                bias=rng.integers(-(2**8), 2**9, size) / 2.0**10,
            )
        else:
            cell = cell_of(rng, size, silent=True)
        for j, pre in enumerate(sizes):
            weights = _dyadic(rng, sizes[pre], size)
            projections.append(Projection(pre, name, weights, (i + 1 - j) * delay))
        sizes[name] = size
        populations.append(Population(name, cell, (i + 1) * delay))
    return Network(
        timestep, steps, source, tuple(populations), tuple(projections),
        Readout("readout", "mean"), {"seed": seed}, "lif",
    )
