"""The node that docs/nir-state-space-node.md proposes: its code runs, and is what it says."""

import io
import re

import nir
import numpy as np
import pytest
from scipy.linalg import expm
from support.files import ROOT

PAGE = ROOT / "docs" / "nir-state-space-node.md"


@pytest.fixture(scope="module")
def page():
    """The names that the page's Python defines."""
    names = {"__name__": "page"}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(block, str(PAGE), "exec"), names)
    return names


def node_of(page, still=False, size=3, modes=4):
    rng = np.random.default_rng(0)
    draw = {name: rng.normal(size=(size, modes)) for name in ("b_re", "b_im", "c_re", "c_im")}
    leak = rng.uniform(0, 50, (size, modes))
    leak[0, 0] = 0 if still else 10
    turn = rng.normal(size=(size, modes)) * 100
    turn[0, 0] = 0
    return page["StateSpace"](-leak, turn, **draw, d=rng.normal(size=size))


@pytest.mark.parametrize("still", [False, True])
def test_the_graph_of_todays_nodes_is_the_same(page, still):
    """By the exponential of the graph's matrix, with an input that is held for each step."""
    node, dt = node_of(page, still), 1e-2
    graph = page["to_graph"](node)
    states = [name for name, n in graph.nodes.items() if isinstance(n, nir.LI | nir.I)]
    at = {name: slice(3 * i, 3 * i + 3) for i, name in enumerate(states)}
    size = 3 * len(states)
    rates, enters, shows = np.zeros((size, size)), np.zeros((size, 3)), np.zeros((3, size))
    before = {b: a for a, b in graph.edges if isinstance(graph.nodes[b], nir.Scale)}
    for source, target in graph.edges:
        if not isinstance(graph.nodes[source], nir.Scale):
            continue
        factor, first = np.diag(graph.nodes[source].scale), before[source]
        if target == "output":
            if first != "input":
                shows[:, at[first]] += factor
            continue
        gain = graph.nodes[target].r / getattr(graph.nodes[target], "tau", 1)
        into = enters if first == "input" else rates
        columns = slice(None) if first == "input" else at[first]
        into[at[target], columns] += gain[:, None] * factor
    for name in states:
        if isinstance(graph.nodes[name], nir.LI):
            rates[at[name], at[name]] -= np.diag(1 / graph.nodes[name].tau)
    block = np.zeros((size + 3, size + 3))
    block[:size] = np.concatenate([rates, enters], axis=1)
    step = expm(block * dt)[:size]
    u = np.random.default_rng(1).normal(size=(30, 3))
    x, expected = np.zeros(size), []
    for now in u:
        x = step[:, :size] @ x + step[:, size:] @ now
        expected.append(shows @ x + node.d * now)
    assert page["run"](node, u, dt) == pytest.approx(np.array(expected), rel=1e-9, abs=1e-12)


def test_rules_agree_where_steps_are_short(page):
    node, u = node_of(page), np.ones((1000, 3))
    first, *others = (page["run"](node, u, 1e-5, rule) for rule in ("zoh", "bilinear", "pulse"))
    for other in others:
        assert other == pytest.approx(first, abs=1e-3)


def test_it_is_written_and_read(page, monkeypatch):
    monkeypatch.setattr(nir.ir, "StateSpace", page["StateSpace"], raising=False)
    monkeypatch.setattr(nir.ir, "__all_ir", [*vars(nir.ir)["__all_ir"], "StateSpace"])
    node, file = node_of(page), io.BytesIO()
    size = np.array([3])
    nodes = {"input": nir.Input(size), "s": node, "output": nir.Output(size)}
    nir.write(file, nir.NIRGraph(nodes, [("input", "s"), ("s", "output")]))
    found = nir.read(io.BytesIO(file.getvalue())).nodes["s"]
    assert type(found) is page["StateSpace"]
    assert all(np.array_equal(getattr(found, f), getattr(node, f)) for f in ("b_im", "d", "c_re"))


def test_shapes_that_do_not_fit(page):
    one = np.ones((3, 4))
    with pytest.raises(AssertionError, match="One value a channel"):
        page["StateSpace"](-one, one, one, one, one, one, np.ones(4))
    with pytest.raises(AssertionError, match="growing mode"):
        page["StateSpace"](one, one, one, one, one, one, np.ones(3))
