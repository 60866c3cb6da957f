"""Linear nodes against PyTorch's own layers: what a step brings to the neurons behind them."""

import itertools

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.description.network import Projection
from export.interchange import InterchangeError, Options, from_nir
from export.software import run

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


def graph_of(shape, size, *nodes):
    """The nodes one after another, then a threshold for each of ``size`` values."""
    names = {"input": nir.Input(np.array(shape))}
    names |= {f"n{i}": node for i, node in enumerate(nodes)}
    names |= {"fire": nir.Threshold(np.full(size, 1e9)), "output": nir.Output(np.array([size]))}
    order = list(names)
    return nir.NIRGraph(names, list(itertools.pairwise(order)), type_check=False)


def sums(graph, x, **options):
    """What arrives at the threshold, of one step of a sample ``x``."""
    network = from_nir(graph, Options(steps=1, **options))
    samples = x.reshape(1, -1, 1)
    return network, run(network, samples, membranes=["fire"]).membranes["fire"][0, 0]


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2),
       st.sampled_from([1, 2]), st.sampled_from(["number", "valid", "same"]))  # fmt: skip
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
def test_conv2d(seed, kernel, stride, dilation, groups, padding):
    rng = np.random.default_rng(seed)
    channels, out, space = 2, 4, tuple(int(n) for n in rng.integers(8, 10, 2))
    stride = 1 if padding == "same" else stride
    pad = {"number": (int(rng.integers(0, 3)), int(rng.integers(0, 3)))}.get(padding, padding)
    weight = rng.normal(size=(out, channels // groups, kernel, kernel + 1))
    bias, x = rng.normal(size=out), rng.normal(size=(channels, *space))
    expected = torch.nn.functional.conv2d(
        torch.tensor(x)[None], torch.tensor(weight), torch.tensor(bias), stride, pad, dilation,
        groups,
    )[0].numpy().ravel()
    node = nir.Conv2d(None, weight, (stride, stride), pad, (dilation, dilation), groups, bias)
    _, found = sums(graph_of(x.shape, len(expected), node), x)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3), st.integers(1, 2))
def test_conv1d(seed, kernel, stride, dilation):
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(size=(3, 2, kernel)), rng.normal(size=3)
    x, pad = rng.normal(size=(2, 11)), int(rng.integers(0, 3))
    expected = torch.nn.functional.conv1d(
        torch.tensor(x)[None], torch.tensor(weight), torch.tensor(bias), stride, pad, dilation
    )[0].numpy().ravel()
    node = nir.Conv1d(None, weight, stride, pad, dilation, 1, bias)
    _, found = sums(graph_of(x.shape, len(expected), node), x)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("average", [True, False])
def test_pooling_and_flatten(average, padding):
    x = np.random.default_rng(0).normal(size=(3, 6, 4))
    kind = nir.AvgPool2d if average else nir.SumPool2d
    node = kind(np.array([3, 2]), np.array([2, 2]), np.array([padding, padding]))
    expected = torch.nn.functional.avg_pool2d(torch.tensor(x)[None], (3, 2), (2, 2), padding)
    expected = expected[0].numpy() * (1 if average else 6)
    weight = np.random.default_rng(1).normal(size=(5, expected.size))
    nodes = node, nir.Flatten(None, 0, -1), nir.Linear(weight)
    _, found = sums(graph_of(x.shape, 5, *nodes), x)
    assert found == pytest.approx(weight @ expected.ravel(), rel=1e-12)


def test_scale_affine_and_paths_that_meet():
    rng = np.random.default_rng(0)
    x, w, b, s = (rng.normal(size=n) for n in (4, (3, 4), 3, 3))
    nodes = {
        "input": nir.Input(np.array([4])), "a": nir.Affine(w, b), "s": nir.Scale(s),
        "l": nir.Linear(2 * w), "fire": nir.Threshold(np.full(3, 1e9)),
        "output": nir.Output(np.array([3])),
    }
    edges = [("input", "a"), ("a", "s"), ("s", "fire"), ("input", "l"), ("l", "fire"),
             ("fire", "output")]
    network, found = sums(nir.NIRGraph(nodes, edges), x)
    assert found == pytest.approx(s * (w @ x + b) + 2 * w @ x, rel=1e-12)
    assert len(network.projections) == 2  # one of both paths, and the readout's


def test_a_convolution_of_spikes_is_a_masked_projection():
    weight = np.ones((2, 1, 3))
    node = nir.Conv1d(None, weight, 1, 0, 1, 1, np.zeros(2))
    network, found = sums(graph_of((1, 6), 8, node), np.ones(6, np.uint8), encoding="spikes")
    projection = network.projections[0]
    assert isinstance(projection, Projection) and projection.n_synapses == 8 * 3
    assert found.tolist() == [3.0] * 8


LINEAR = nir.Linear(np.ones((2, 3)))
POOL = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))


def conv(**changes):
    given = {"input_shape": None, "weight": np.ones((2, 1, 3)), "stride": 1, "padding": 0,
             "dilation": 1, "groups": 1, "bias": np.zeros(2)}  # fmt: skip
    return nir.Conv1d(**(given | changes))


def late(name, field, value):
    """A node with a value that its own class would not take."""
    setattr(name, field, value)
    return name


@pytest.mark.parametrize(
    ("shape", "node", "message"),
    [
        ((4,), LINEAR, r"'n0': weight has shape \(2, 3\), and what arrives \(4,\)"),
        ((1, 3), LINEAR, "Put a Flatten before it"),
        ((3,), nir.Linear(np.array([[1.0, np.nan, 1.0]])), "weight holds nan; expected finite"),
        ((3,), late(nir.Linear(np.ones((2, 3))), "weight", np.full((2, 3), "x")),
         "weight is of <U1 and shape"),
        ((3,), nir.Affine(np.ones((2, 3)), np.ones(5)), "bias has 5 values for the 2"),
        ((3,), nir.Scale(np.ones(2)), "scale has 2 values for the 3 that arrive"),
        ((2, 6), conv(), r"weight has shape \(2, 1, 3\), groups is 1"),
        ((6,), conv(), r"what arrives has shape \(6,\)"),
        ((1, 2), conv(), "no window fits, or too many"),
        ((1, 6), conv(dilation=2**40), "no window fits"),
        ((1, 6), conv(padding=2**40), "no window fits, or too many"),
        ((1, 6), conv(stride=0), "stride is .*0.*; expected a whole number of at least 1"),
        ((1, 6), conv(stride=1.5), "stride is .*1.5"),
        ((1, 6), conv(padding=-1), "padding is .*-1"),
        ((1, 6), conv(padding="same", stride=2), "padding 'same' with stride .2,."),
        ((1, 6), late(conv(), "padding", b"full"), "padding 'full'"),
        ((6,), POOL, r"what arrives has shape \(6,\); expected \(channels, height, width\)"),
        ((2, 2), nir.Flatten(None, 0, 5), "start_dim 0 and end_dim 5"),
        ((2, 2), late(nir.Flatten(None, 0, -1), "start_dim", 0.5), "start_dim 0.5"),
        ((2,), nir.Threshold(np.array([np.nan, 1.0])), "threshold holds nan"),
    ],
)  # fmt: skip
def test_refusals(shape, node, message):
    with pytest.raises(InterchangeError, match=message):
        from_nir(graph_of(shape, 2, node), Options(steps=1))


def test_matrices_that_no_memory_holds(monkeypatch):
    from export.interchange import signals

    monkeypatch.setattr(signals, "memory", lambda: 2**20)
    with pytest.raises(InterchangeError, match="'n0' joins 900 values to 896, .*more memory"):
        from_nir(graph_of((1, 900), 2, conv(weight=np.ones((1, 1, 5)), bias=np.zeros(1))),
                 Options(steps=1, encoding="spikes"))  # fmt: skip
