"""A network of any size, and one measured run of it in NEST, in one process or in several of MPI.

    python benchmarks/_grown.py '{"layers": 8, "size": 64, "steps": 9, "recorded": 0, "threads": 1}'

prints what it counted and measured as JSON: neurons, synapses, spikes, events (spikes that arrive
at a synapse), recorded membrane values; processor seconds to build, to run and to read back, of the
slowest process, and the wall clock's; and the memory a process takes, of the largest. A digest of
spikes and membranes tells whether two such runs have the same results.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
import warnings
from typing import Any

import _timing  # noqa: F401  (first, see there)
import numpy as np

from export.description.network import Network, Population, Projection, Readout, Source
from export.pynn.built import build, setup_arguments, simulator
from pynn_models.cells import StateSpaceCell
from pynn_models.nest import install
from pynn_models.ranks import world

INPUTS, MODES, RATE = 64, 4, 0.1
_THETA = 2.6  # at which about a fifth spikes


def grown(layers: int, size: int, steps: int) -> Network:
    """Layers of ``size`` neurons of 4 real modes, each read by the next alone; a fifth spikes."""
    rng = np.random.default_rng(0)
    sizes = [INPUTS, *[size] * layers, 1]
    names = ["input", *(f"layer{i}" for i in range(layers)), "readout"]
    populations = []
    for i, name in enumerate(names[1:]):
        shape = (sizes[i + 1], MODES)
        silent = name == "readout"
        populations.append(Population(name, StateSpaceCell(
            tau=rng.uniform(1.0, 5.0, shape), c_re=np.full(shape, 1 / MODES),
            d=np.zeros(shape[0]), theta=np.full(shape[0], np.inf if silent else _THETA),
            bias=np.zeros(shape[0]),
        ), i + 1))  # fmt: skip
    projections = []
    for pre, post, n, m in zip(names, names[1:], sizes, sizes[1:], strict=False):
        weights = rng.normal(size=(n, m)) / np.sqrt(RATE * n)
        projections.append(Projection(pre, post, np.round(weights * 2**16) / 2**16, 1))
    return Network(
        1.0, steps, Source("input", "spikes", INPUTS), tuple(populations), tuple(projections),
        Readout("readout", "last"),
    )


def _memory() -> int:
    """The largest memory of this process so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measured(layers: int, size: int, steps: int, recorded: int, threads: int) -> dict[str, Any]:
    """One run: see the head of this file. ``recorded``: of how many layers the membrane."""
    warnings.filterwarnings("ignore", module=r"(nest|pyNN)\.")
    sim = simulator("nest")
    install()  # compiled before anything is measured
    before = _memory()
    network = grown(layers, size, steps)
    samples = (np.random.default_rng(1).random((1, INPUTS, steps)) < RATE).astype(np.uint8)
    membranes = [p.name for p in network.layers[:recorded]]
    marks = [(time.perf_counter(), time.process_time())]

    def mark() -> None:
        marks.append((time.perf_counter(), time.process_time()))

    sim.setup(**setup_arguments("nest", network) | {"threads": threads})
    built = build(sim, network, samples)
    built.record(membranes)
    mark()
    built.via.run(sim, built.duration)
    mark()
    found = built.recording(membranes)
    mark()
    digest = hashlib.sha256()
    for values in (*found.spikes.values(), *found.membranes.values()):
        digest.update(np.ascontiguousarray(values).tobytes())
    fan_out = {p.source: p.weights.shape[1] for p in network.projections}
    spikes = {name: int(s.sum()) for name, s in found.spikes.items()}
    spent = np.diff(np.array(marks), axis=0)  # (build, run, read), (wall, processor)
    return {
        "neurons": sum(p.size for p in network.populations),
        "populations": len(network.layers),
        "synapses": sum(p.weights.size for p in network.projections),
        "steps": steps,
        "spikes": sum(spikes.values()),
        "events": sum(n * fan_out[name] for name, n in spikes.items())
        + int(samples.sum()) * fan_out["input"],
        "values": sum(y.size for y in found.membranes.values()),
        "wall": spent[:, 0].tolist(),
        "cpu": [world().most(int(1e6 * seconds)) / 1e6 for seconds in spent[:, 1]],
        "bytes": world().most(_memory() - before),
        "ranks": world().size,
        "threads": threads,
        "digest": digest.hexdigest(),
    }


if __name__ == "__main__":
    result = measured(**json.loads(sys.argv[1]))
    if world().is_first:
        print(json.dumps(result))
