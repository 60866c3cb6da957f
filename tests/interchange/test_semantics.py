"""What each sender does in a step, against its own equations written down in NumPy."""

import nir
import numpy as np
import pytest
from support.nir_senders import MODELS, of_two_layers

from export.description.network import Network
from export.interchange import SEMANTICS, InterchangeError, Options, from_nir
from export.software import run

STEPS = 80


def imported(graph, semantics, **options) -> Network:
    given = {"steps": STEPS, "encoding": "spikes", "dt": 1e-3 if semantics == "snn-ssm" else None}
    return from_nir(graph, Options(semantics, **(given | options)))


def samples_of(inputs, count=3, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((count, inputs, STEPS)) < 0.4).astype(np.uint8)


@pytest.mark.parametrize(("semantics", "kind"), MODELS)
def test_every_spike_is_the_senders(semantics, kind):
    graph, reference = of_two_layers(semantics, kind, seed=3)
    samples = samples_of(8)
    network = imported(graph, semantics)
    recording = run(network, samples)
    for population, expected in zip(network.layers, reference(samples), strict=True):
        found = recording.spikes[population.name]
        assert expected.sum() > 30
        assert np.array_equal(found, expected), population.name


@pytest.mark.parametrize(("semantics", "kind"), MODELS)
def test_real_values_as_input(semantics, kind):
    graph, reference = of_two_layers(semantics, kind, seed=4)
    samples = np.random.default_rng(1).normal(size=(2, 8, STEPS))
    if SEMANTICS[semantics].counts:
        with pytest.raises(InterchangeError, match="may send inf spikes.*--input spikes"):
            imported(graph, semantics, encoding="current")
        return
    network = imported(graph, semantics, encoding="current")
    recording = run(network, samples)
    for population, expected in zip(network.layers, reference(samples), strict=True):
        assert np.array_equal(recording.spikes[population.name], expected)


def test_semantics_differ():
    """So that none can stand for another: the same graph, other spikes."""
    graph, _ = of_two_layers("snntorch", "Leaky", seed=3)
    samples, found = samples_of(8), set()
    for name in ("snntorch", "snntorch-zero", "snntorch-none", "snn-ssm", "norse"):
        network = imported(graph, name, dt=1e-4)
        found.add(run(network, samples).spikes["1"].astype(int).tobytes())
    assert len(found) == 5


def test_snntorchs_recurrent_neurons():
    """``mem[k] = beta mem[k-1] + u[k] + V s[k-1] + b - Theta s[k-1]`` (_neurons/rleaky.py)."""
    rng = np.random.default_rng(0)
    size, beta, threshold = 6, rng.uniform(0.7, 0.9, 6), rng.uniform(0.5, 1.0, 6)
    weights, bias = rng.integers(-(2**8), 2**8, (size, size)) / 2.0**10, np.full(size, 1 / 64)
    tau = 1e-4 / (1 - beta)
    lif = nir.LIF(tau=tau, r=tau / 1e-4, v_leak=0 * beta, v_threshold=threshold)
    inner = nir.NIRGraph(
        {"input": nir.Input(np.array([size])), "lif": lif, "w_rec": nir.Affine(weights, bias),
         "output": nir.Output(np.array([size]))},
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )
    graph = nir.NIRGraph(
        {"input": nir.Input(np.array([size])), "r": inner, "output": nir.Output(np.array([size]))},
        [("input", "r"), ("r", "output")], type_check=False,
    )
    samples = samples_of(size)
    recording = run(imported(graph, "snntorch"), samples)
    mem, spikes = np.zeros((3, size)), np.zeros((3, size))
    for k in range(STEPS):
        mem = beta * mem + samples[:, :, k] + spikes @ weights.T + bias - spikes * threshold
        spikes = (mem > threshold).astype(float)
        assert np.array_equal(recording.spikes["r_lif"][:, k], spikes)
    with pytest.raises(InterchangeError, match="'r.lif' sends to itself without a Delay"):
        imported(graph, "norse")


def test_delays_and_loops_of_delays():
    """``u[k] = W x[k-2] + R s[k-3]``, in the exact semantics."""
    rng = np.random.default_rng(2)
    size, tau, dt = 5, rng.uniform(3e-3, 9e-3, 5), 1e-3
    first, back = (rng.integers(-(2**8), 2**9, (size, size)) / 2.0**10 for _ in range(2))
    threshold = rng.uniform(0.2, 0.6, size)
    lif = nir.LIF(tau=tau, r=tau / dt, v_leak=0 * tau, v_threshold=threshold)
    graph = nir.NIRGraph(
        {"input": nir.Input(np.array([size])), "w": nir.Linear(first),
         "late": nir.Delay(np.full(size, 2 * dt)), "lif": lif, "r": nir.Linear(back),
         "back": nir.Delay(np.full(size, 3 * dt)), "output": nir.Output(np.array([size]))},
        [("input", "w"), ("w", "late"), ("late", "lif"), ("lif", "r"), ("r", "back"),
         ("back", "lif"), ("lif", "output")],
        metadata={"semantics": "snn-ssm", "dt": dt, "steps": STEPS},
    )
    network = from_nir(graph, Options(encoding="spikes"))
    samples = samples_of(size)
    recording = run(network, samples)
    v, sent = np.zeros((3, size)), np.zeros((STEPS, 3, size))
    for k in range(STEPS):
        u = samples[:, :, k - 2] @ first.T if k >= 2 else np.zeros((3, size))
        u = u + (sent[k - 3] @ back.T if k >= 3 else 0)
        v = np.exp(-dt / tau) * v + u
        sent[k] = v > threshold
        v = np.where(sent[k] > 0, 0, v)
        assert np.array_equal(recording.spikes["lif"][:, k], sent[k])
    assert sent.sum() > 30


@pytest.mark.parametrize("kind", ["LI", "I", "CubaLI"])
def test_membranes_are_read_and_compared(kind):
    """A silent node sends its membrane: to a threshold, through weights, and to the output."""
    rng = np.random.default_rng(3)
    tau, zero, one = rng.uniform(4e-3, 9e-3, 4), np.zeros(4), np.ones(4)
    node = {
        "LI": nir.LI(tau=tau, r=tau / 1e-3, v_leak=zero + 0.125),
        "I": nir.I(r=one * 1e3),
        "CubaLI": nir.CubaLI(tau_syn=tau / 2, tau_mem=tau, r=tau / 1e-3, v_leak=zero,
                             w_in=tau / 2e-3),
    }[kind]
    weight = rng.integers(-(2**8), 2**9, (4, 4)) / 2.0**8
    graph = nir.NIRGraph(
        {"input": nir.Input(np.array([4])), "li": node, "mix": nir.Linear(weight),
         "fire": nir.Threshold(np.full(4, 2.3)), "sum": nir.Scale(np.full(4, 0.5)),
         "output": nir.Output(np.array([4]))},
        [("input", "li"), ("li", "mix"), ("mix", "fire"), ("li", "sum"), ("sum", "output")],
        type_check=False,
    )
    network = imported(graph, "snn-ssm")
    samples = samples_of(4)
    recording = run(network, samples, membranes=["readout"])
    v, i = np.zeros((3, 4)), np.zeros((3, 4))
    for k in range(STEPS):
        u = samples[:, :, k].astype(float)
        if kind == "CubaLI":
            i = np.exp(-1e-3 / (tau / 2)) * i + u
            u = i
        leak = 0.0 if kind == "I" else 1e-3 / tau
        v = np.exp(-leak) * v + u + (0.125 * -np.expm1(-leak) if kind == "LI" else 0)
        assert np.allclose(recording.membranes["readout"][:, k], v / 2, rtol=1e-12)
        assert np.array_equal(recording.spikes["fire"][:, k], v @ weight.T > 2.3)
    assert network.readout.pooling == "last"


def test_a_graph_without_time_needs_no_semantics():
    graph = nir.NIRGraph(
        {"input": nir.Input(np.array([3])), "w": nir.Linear(np.eye(3) * 2.0),
         "fire": nir.Threshold(np.array([1.0, 2.0, 3.0])), "output": nir.Output(np.array([3]))},
        [("input", "w"), ("w", "fire"), ("fire", "output")],
    )
    network = from_nir(graph, Options(steps=1))
    found = run(network, np.ones((1, 3, 1)))
    assert found.spikes["fire"][0, 0].tolist() == [True, False, False]  # 2 > 2 is not so


def test_a_step_that_keeps_nothing_and_one_that_keeps_all():
    """Euler with tau = dt, and a time constant that is infinite."""
    tau = np.array([1e-4, np.inf])
    graph = nir.NIRGraph(
        {"input": nir.Input(np.array([2])),
         "lif": nir.LIF(tau=tau, r=np.array([1.0, 1.0]), v_leak=np.zeros(2),
                        v_threshold=np.full(2, 0.5)),
         "output": nir.Output(np.array([2]))},
        [("input", "lif"), ("lif", "output")],
    )
    network = imported(graph, "snntorch-zero")
    cell = network.populations[0].cell
    assert cell.tau[1, 0] == np.inf and np.exp(-1.0 / cell.tau[0, 0]) == 0
    found = run(network, np.ones((1, 2, STEPS), np.uint8)).spikes["lif"]
    assert found[0, :, 0].all() and not found[0, :, 1].any()
