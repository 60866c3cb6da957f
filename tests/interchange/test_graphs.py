"""What a graph leaves open, or says that no network can do, is refused by name."""

import itertools
import json

import nir
import numpy as np
import pytest
from support.random_networks import network_of

from export.description.storage import StorageError
from export.interchange import InterchangeError, Options, from_nir, to_nir
from export.interchange import package as package_module
from pynn_models.registry import RegistryError


def lif(size=2, **changes):
    one = np.ones(size)
    given = {"tau": one * 1e-3, "r": one, "v_leak": 0 * one, "v_threshold": one * 0.5,
             "v_reset": 0 * one}  # fmt: skip
    return nir.LIF(**(given | changes))


def chain(*nodes, size=2, **metadata):
    names = {"input": nir.Input(np.array([size]))}
    names |= {f"n{i}": node for i, node in enumerate(nodes)}
    names["output"] = nir.Output(np.array([size]))
    order = list(names)
    edges = list(itertools.pairwise(order))
    return nir.NIRGraph(names, edges, metadata=metadata, type_check=False)


def changed(graph, edges=(), without=(), **nodes):
    """A graph with other nodes and edges, and without some nodes."""
    kept = {k: v for k, v in graph.nodes.items() if k not in without}
    return nir.NIRGraph(kept | nodes, [*graph.edges, *edges], type_check=False)


OPTIONS = Options("snn-ssm", dt=1e-4, steps=4, encoding="spikes")
PLAIN = chain(lif())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(steps=4), "does not say what node 'n0', a LIF, does in a step.*--semantics: snnt"),
        (Options("snntorch"), "does not say how many steps a sample has. Give --steps"),
        (Options("snn-ssm", steps=4), "does not say how long a step is.*Give --dt"),
        (Options("snn-ssm", dt=0.0, steps=4), "dt is 0.0 s; expected a positive number"),
        (Options("snn-ssm", dt=float("nan"), steps=4), "dt is nan s"),
        (Options("norse", steps=4, timestep=-1.0), "timestep is -1.0 ms"),
        (Options("norse", steps=4, encoding="bits"), "input 'bits' is unknown; use one of current"),
        (Options("snntorch", dt=1.0, steps=4), "keeps -999 of its state; expected 0 to 1"),
    ],
)
def test_options(options, message):
    with pytest.raises(InterchangeError, match=message):
        from_nir(PLAIN, options)


def test_semantics_of_nobody():
    with pytest.raises(RegistryError, match="semantics 'brian' is unknown; use one of snntorch"):
        from_nir(PLAIN, Options("brian", steps=4))


def test_metadata_are_options():
    said = from_nir(chain(lif(), semantics="snn-ssm", dt=1e-4, steps=4))
    given = from_nir(PLAIN, Options("snn-ssm", dt=1e-4, steps=4))
    assert said.steps == 4 and np.array_equal(
        said.populations[0].cell.theta, given.populations[0].cell.theta
    )


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"steps": "many"}, "steps in its metadata is 'many'; expected one number"),
        ({"semantics": 3}, "semantics in its metadata is 3; expected one name"),
        ({"dt": np.ones(3)}, "dt in its metadata is array"),
        ({"steps": 5}, "says steps 5, and 4 was given. Leave that out"),
        ({"semantics": "norse"}, "says semantics 'norse', and 'snn-ssm' was given"),
    ],
)
def test_metadata_that_are_wrong(metadata, message):
    with pytest.raises(InterchangeError, match=message):
        from_nir(chain(lif(), **metadata), OPTIONS)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (changed(PLAIN, [("n0", "gone")]), "joins 'n0' to 'gone', but there is no node 'gone'"),
        (changed(PLAIN, [("gone", "n0")]), "joins 'gone' to 'n0'"),
        (changed(PLAIN, [("input", "n0")]), "'input' to 'n0' stands twice"),
        (changed(PLAIN, x=nir.Scale(np.ones(2))), "nothing arrives at node 'x'"),
        (changed(PLAIN, [("n0", "input")]), "an edge goes to the input 'input'"),
        (changed(PLAIN, [("x", "y"), ("y", "x")], x=lif(), y=lif()), "'x' is not reached from"),
        (changed(PLAIN, second=nir.Input(np.array([2]))), "has 2 nodes Input .'input', 'second'"),
        (changed(PLAIN, [("n0", "o")], o=nir.Output(np.array([2]))), "has 2 nodes Output"),
        (nir.NIRGraph({"input": nir.Input(np.array([2]))}, [], type_check=False), "0 nodes Output"),
        (changed(PLAIN, [("n0", "x"), ("x", "n0")], x=nir.Scale(np.ones(2))),
         "'n0' sends to itself without a Delay"),
        (changed(PLAIN, [("n0", "x"), ("x", "y"), ("y", "x"), ("x", "output")],
                 x=nir.Scale(np.ones(2)), y=nir.Scale(np.ones(2))),
         "is in a cycle without neurons"),
        (changed(PLAIN, [("n0", "x"), ("x", "y"), ("y", "n0")], x=lif(), y=nir.Scale(np.ones(2))),
         "circle that takes fewer steps than it has"),
        (changed(PLAIN, [("input", "x"), ("x", "n0")], x=nir.Linear(np.ones((3, 2)))),
         r"what arrives from 'x' has shape \(3,\), and from 'input' \(2,\)"),
    ],
)  # fmt: skip
def test_wires(graph, message):
    with pytest.raises(InterchangeError, match=message):
        from_nir(graph, OPTIONS)


class Resonator(nir.ir.NIRNode):
    def __init__(self):
        self.metadata = {}


def test_nodes_of_nobody():
    with pytest.raises(InterchangeError, match="node 'n0' is a Resonator; expected one of Linear"):
        from_nir(chain(Resonator()), OPTIONS)


def test_graphs_within_graphs_without_end():
    graph = PLAIN
    for _ in range(40):
        graph = nir.NIRGraph(
            {"input": nir.Input(np.array([2])), "g": graph, "output": nir.Output(np.array([2]))},
            [("input", "g"), ("g", "output")], type_check=False,
        )
    with pytest.raises(InterchangeError, match="more than 32 deep"):
        from_nir(graph, OPTIONS)


def test_nodes_behind_one_another_without_end():
    with pytest.raises(InterchangeError, match="too many nodes stand behind one another"):
        from_nir(chain(*[nir.Scale(np.ones(2)) for _ in range(2000)]), OPTIONS)
    far = from_nir(chain(*[lif() for _ in range(100)]), OPTIONS)
    assert far.populations[-1].latency == 101


def test_names_of_inner_nodes_that_are_taken():
    inner = chain(lif())
    graph = changed(inner, [("input", "g"), ("g", "g.n0"), ("g.n0", "output")],
                    without=["n0"], **{"g": inner, "g.n0": lif()})  # fmt: skip
    graph.edges = [e for e in graph.edges if "n0" not in e]
    with pytest.raises(InterchangeError, match="the name 'g.n0' stands for two nodes"):
        from_nir(graph, OPTIONS)


@pytest.mark.parametrize("size", [0, -3, 2**40])
def test_inputs_of_impossible_shapes(size):
    graph = chain(lif())
    graph.nodes["input"].input_type["input"] = np.array([size])
    with pytest.raises(InterchangeError, match="the input has the shape"):
        from_nir(graph, OPTIONS)


@pytest.mark.parametrize(
    ("node", "semantics", "message"),
    [
        (lif(tau=np.array([1e-3, -1e-3])), "snn-ssm", "tau is -0.001 s; expected above 0"),
        (lif(tau=np.full(2, np.nan)), "snn-ssm", "tau holds nan"),
        (lif(tau=np.full(3, 1.0), r=np.ones(3), v_leak=np.ones(3), v_threshold=np.ones(3),
             v_reset=np.ones(3)), "snn-ssm", "has 3 values for the 2 that arrive"),
        (lif(v_threshold=np.full(2, np.inf)), "snn-ssm", "v_threshold holds inf"),
        (lif(v_reset=np.full(2, 0.1)), "snntorch", "at 0, and its reset is to v_reset 0.1"),
        (lif(v_leak=np.full(2, 0.1)), "norse", "v starts at 0.1, and its reset is to v_reset 0"),
        (lif(tau=np.full(2, 1e-4)), "snntorch", "no state is left to subtract a threshold from"),
        (lif(r=np.zeros(2), v_leak=np.ones(2)), "snn-ssm", "r is 0 and v_leak is not"),
        (lif(v_threshold=np.array([0.5, -0.5])), "sinabs", "threshold is -0.5; expected above 0"),
        (lif(v_threshold=np.full(2, 1e-6)), "sinabs-sum", "may send .* spikes in a step; expected"),
        (nir.Delay(np.full(2, 1.5e-4)), "snn-ssm", "a delay of 1.5 steps of 0.0001 s"),
        (nir.Delay(np.full(2, -1e-4)), "snn-ssm", "a delay of -1"),
        (nir.Delay(np.full(2, 1e9)), "snn-ssm", "a delay of"),
        (nir.LI(tau=np.ones(2), r=np.ones(2), v_leak=np.ones(2)), "norse", "v starts at v_leak, 1"),
    ],
)  # fmt: skip
def test_neurons_that_are_none_of_ours(node, semantics, message):
    dt = 1e-4 if semantics == "snn-ssm" else None
    with pytest.raises(InterchangeError, match=message):
        from_nir(chain(node), Options(semantics, dt, 4, "spikes"))


def test_what_cannot_be_sent_later():
    late, li = nir.Delay(np.full(2, 1e-4)), nir.LI(np.ones(2), np.ones(2), np.zeros(2))
    biased = nir.Affine(np.eye(2), np.ones(2))
    for nodes in ((li, late), (biased, late)):
        with pytest.raises(InterchangeError, match="constant or is a membrane; expected weighted"):
            from_nir(chain(*nodes), OPTIONS)
    with pytest.raises(InterchangeError, match="a value of 'input' arrives 1 steps later"):
        from_nir(chain(late, lif()), Options("snn-ssm", 1e-4, 4, "current"))


def test_the_output_of_later_membranes():
    """Of a loop: its own membrane, one step later."""
    graph = changed(PLAIN, [("n0", "x"), ("x", "d"), ("d", "x")], x=nir.I(np.ones(2)),
                    d=nir.Delay(np.full(2, 1e-4)))  # fmt: skip
    with pytest.raises(InterchangeError, match="node 'd': what arrives has a constant or is a"):
        from_nir(graph, OPTIONS)


def test_a_network_of_ours_says_all_itself():
    graph = to_nir(network_of(1))
    assert from_nir(graph, Options("snn-ssm")).steps == 12
    for options in (Options("norse"), Options(steps=3)):
        with pytest.raises(InterchangeError, match="which says its (semantics|steps) itself"):
            from_nir(graph, options)


def test_a_graph_of_ours_that_was_altered():
    def weights(graph):
        graph.nodes["input_to_layer0"].weight[0, 0] += 1

    def tau(graph):
        graph.metadata["arrays"]["0"] = graph.metadata["arrays"]["0"] * 2

    def edges(graph):
        graph.edges.pop()

    def node(graph):
        graph.nodes["x"] = nir.Scale(np.ones(2))

    for alter in (tau, edges, node):
        graph = to_nir(network_of(0))
        alter(graph)
        with pytest.raises(InterchangeError, match="was altered since snn-ssm wrote it: .*graph"):
            from_nir(graph)
    graph = to_nir(network_of(0))
    weights(graph)  # which stand in the nodes alone
    found, before = (n.projections[0].weights[0, 0] for n in (from_nir(graph), network_of(0)))
    assert found == before + 1


@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        ("schema", 2, InterchangeError, "has schema 2 of our metadata; this version reads 1"),
        ("schema", "1", InterchangeError, "has schema '1'"),
        ("network", "{", InterchangeError, "its metadata lacks a part"),
        ("network", "[]", InterchangeError, "its metadata lacks a part"),
        ("projections", "[[[0, \"gone\"]]]", InterchangeError, "its metadata lacks a part"),
        ("projections", "[]", InterchangeError, "its metadata lacks a part"),
        ("array_names", "[3]", StorageError, "the nodes and metadata of the graph lack a part"),
        ("empty", "{\"a\": [3]}", InterchangeError, "has the shape .*, and no values"),
        ("empty", "{\"a\": [0, 1e30]}", InterchangeError, "its metadata lacks a part"),
    ],
)
def test_metadata_of_ours_that_were_altered(key, value, error, message):
    graph = to_nir(network_of(0))
    graph.metadata[key] = value
    with pytest.raises(error, match=message):
        from_nir(graph)


def test_a_description_that_is_none():
    graph = to_nir(network_of(0))
    description = json.loads(graph.metadata["network"])
    description["steps"] = "many"
    graph.metadata["network"] = json.dumps(description)
    with pytest.raises(StorageError, match="steps is 'many'"):
        from_nir(graph)


def test_the_package_is_asked_for(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    with pytest.raises(InterchangeError, match="needs the package nir.*pip install 'snn-ssm.nir.'"):
        package_module.nir()


def test_names_that_hdf5_would_part():
    network = network_of(0)
    from dataclasses import replace

    populations = [replace(network.populations[0], name="a/b.c"), *network.populations[1:]]
    projections = [
        replace(p, **{end: "a/b.c" for end in ("source", "target") if getattr(p, end) == "layer0"})
        for p in network.projections
    ]
    named = replace(network, populations=tuple(populations), projections=tuple(projections))
    graph = to_nir(named)
    assert not any("/" in name or "." in name for name in graph.nodes)
    assert from_nir(graph).populations[0].name == "a/b.c"
