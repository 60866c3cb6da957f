"""NIR files that are broken somehow: cut short, with other bytes, values, types, edges, links."""

import io
import itertools

import h5py
import nir
import numpy as np

from export.interchange import to_nir
from support.looped_networks import looped_network_of
from support.nir_senders import of_two_layers
from support.random_networks import network_of

VALUES = (
    np.float64("nan"), np.float64("inf"), -1, 0, 2**62, "", "LIF", b"\xff\xfe", np.zeros(0),
    np.zeros((3, 0)), np.full((2, 2), 1e308), np.full(3, -(2**62)), np.array(3 + 1j),
    np.zeros((1,) * 9), np.array([b"a", b"b"]), True, np.arange(1000.0),
)  # fmt: skip


def files():
    """Good ones: of ours and of others."""
    graphs = [to_nir(network_of(0)), to_nir(looped_network_of(1)),
              of_two_layers("snntorch", "Synaptic")[0], convolutions()]  # fmt: skip
    found = []
    for graph in graphs:
        file = io.BytesIO()
        nir.write(file, graph)
        found.append(file.getvalue())
    return found


def convolutions():
    """A graph of nodes that the others do not have."""
    nodes = {
        "input": nir.Input(np.array([2, 6, 6])),
        "c": nir.Conv2d((6, 6), np.ones((2, 2, 3, 3)), (1, 1), "same", (1, 1), 1, np.zeros(2)),
        "f": nir.IF(np.ones((2, 6, 6)), np.ones((2, 6, 6))),
        "p": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "l": nir.Flatten(np.array([2, 3, 3]), 0, -1), "d": nir.Delay(np.full(18, 2e-4)),
        "a": nir.Linear(np.ones((3, 18))), "v": nir.LI(np.ones(3), np.ones(3), np.zeros(3)),
        "t": nir.Threshold(np.ones(3)), "output": nir.Output(np.array([3])),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(itertools.pairwise(names)), type_check=False)


def of_bytes(rng, data):
    """Cut short, or with some other bytes."""
    if rng.random() < 0.3:
        return data[: int(rng.integers(0, len(data)))]
    changed = bytearray(data)
    for at in rng.integers(0, len(data), int(rng.integers(1, 9))):
        changed[at] = int(rng.integers(0, 256))
    return bytes(changed)


def of_content(rng, data):
    """A value of another type or shape, one left out, one that is too many, a link."""
    file = io.BytesIO(data)
    with h5py.File(file, "r+") as graph:
        names = []
        graph.visit(names.append)
        name = str(rng.choice(names))
        kind = rng.choice(["value", "value", "value", "gone", "more", "link", "cycle", "scaled"])
        if kind == "gone":
            del graph[name]
        elif kind == "value":
            del graph[name]
            graph[name] = VALUES[int(rng.integers(len(VALUES)))]
        elif kind == "more":
            group = graph[name] if isinstance(graph[name], h5py.Group) else graph[name].parent
            group["extra"] = 1
        elif kind == "link":
            del graph[name]
            graph[name] = rng.choice([h5py.SoftLink("/version"),
                                      h5py.ExternalLink("/etc/hostname", "/x")])  # fmt: skip
        elif kind == "cycle":
            group = graph[name] if isinstance(graph[name], h5py.Group) else graph[name].parent
            group["again"] = graph["node"]
        elif isinstance(graph[name], h5py.Dataset) and graph[name].dtype.kind in "iuf":
            value = graph[name][()] * -(10 ** rng.integers(0, 9))
            del graph[name]
            graph[name] = value
    return file.getvalue()
