"""SpiNNaker 2: integers of +-127, float32, relays, the NIR graph, the script, the command line."""

import importlib.util
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gated_networks import leaky_network_of, lowered
from support.quantised_networks import quantised
from support.spinnaker2_chip import install

from export.command.arguments import main
from export.description.multiplicity import in_units
from export.description.network import NetworkError
from export.samples.inputs import QuantiserWarning
from export.samples.readout import logits
from export.software import simulation as software
from export.spinnaker2 import (
    FILES,
    Spinnaker2Error,
    budget,
    describe_budget,
    nir_graph,
    plan_network,
    runner,
    save_target,
)
from export.spinnaker2.relays import hops, relay, relays
from pynn_models.spinnaker2 import Float32Error, ModeParameters
from snn_ssm.checkpoint import save_checkpoint

STOCK = {"cells": "stock", "mode_init": "s4d-real", "modes": 1, "norm": "batch", "prenorm": True}
KINDS = {
    "native": {}, "real": {"mode_init": "s4d-real"}, "stock": STOCK, "lif": {"cells": "lif"},
    "integer": {"activation": "integer", "spike_levels": 3, "membrane_norm": True},
}
STANDARD = ("stock", "lif")


def network_of(kind, seed=0, **changes):
    return lowered_as(kind, seed, **changes)[1:]


def lowered_as(kind, seed=0, **changes):
    if kind == "lif":
        return lowered("lif", seed, depth=3, **changes)
    settings = KINDS[kind] | {"depth": 3} | changes
    return lowered("events" if settings.get("inputs") else "token" if settings.get("encoder")
                   else "glu", seed, **({"mixing": "linear"} | settings))


# --- the plan ---------------------------------------------------------------------------------


@settings(max_examples=15)
@given(st.sampled_from(list(KINDS)), st.integers(0, 10**6))
def test_each_neuron_uses_all_of_its_bits(kind, seed):
    network, _ = network_of(kind, seed)
    plan = plan_network(network)
    for population in network.layers:
        name = population.name
        largest = np.zeros(population.size, int)
        for p in network.incoming(name):
            stored, q = plan.weights[p], plan.scale[name]
            assert stored.dtype == np.int8
            assert (np.abs(stored * q - p.weights) <= q / 2 * (1 + 1e-12)).all()
            largest = np.maximum(largest, np.abs(stored.astype(int)).max(0))
        assert (largest == 127).all()


def test_currents_are_refused():
    from support.random_networks import checkpoint_of

    from export.lowering.network import lower

    with pytest.raises(Spinnaker2Error, match="is of currents; expected spikes. Export with"):
        plan_network(lower(checkpoint_of(), encoding="current"))


def test_what_float32_cannot_hold_is_refused():
    one = np.ones((1, 1))
    with pytest.raises(Float32Error, match=r"c_re\[0, 0\] is 1e\+39; expected a number that float"):
        ModeParameters(one, one, one * 1e39, one, one[0], one[0], one[0])
    with pytest.raises(Float32Error, match=r"d\[0\] is nan"):
        ModeParameters(one, one, one, one, one[0] * np.nan, one[0], one[0])
    inf = ModeParameters(one, one, one, one, one[0], one[0], one[0] * np.inf)
    assert np.isinf(inf.theta).all()  # a neuron that never spikes


# --- the prediction ---------------------------------------------------------------------------


def equations(network, plan, samples):
    """The plan's network step by step, every operation a scalar of NumPy's float32."""
    from export.samples.inputs import encode

    f = np.float32
    emitted = {network.source.name: encode(network, samples)}
    membranes = {}
    for name, p in plan.parameters.items():
        size = plan.scale[name].size
        incoming = {q.source: plan.weights[q] for q in network.incoming(name)}
        lead = 0 if network.cells == "native" else network.population(name).latency
        spikes = np.zeros((len(samples), lead + network.steps, size), bool)
        y_all = np.zeros(spikes.shape, f)
        for b in range(len(samples)):
            modes = p.a_re.shape[1] if network.cells == "native" else 1
            state = np.zeros((size, modes, 2), f)
            for k in range(lead + network.steps):
                for h in range(size):
                    plus = minus = 0
                    for source, w in incoming.items():
                        late = spikes.shape[1] - emitted[source].shape[1]
                        for i in np.flatnonzero(emitted[source][b, k - late] if k >= late else []):
                            plus += max(int(w[i, h]), 0)
                            minus += max(-int(w[i, h]), 0)
                    y, state[h] = neuron(network.cells, p, h, f(plus), f(minus), state[h])
                    threshold = p.theta[h] if network.cells == "native" else p.threshold[h]
                    spikes[b, k, h], y_all[b, k, h] = y > threshold, y
                    if network.cells == "lif" and y > threshold:
                        state[h] = 0
        emitted[name], membranes[name] = spikes, y_all
    return emitted, membranes


def neuron(cells, p, h, plus, minus, state):
    state = state.copy()
    if cells == "stock":
        state[0, 0] = p.decay[h] * state[0, 0] + plus
        state[0, 1] = p.decay[h] * state[0, 1] + minus
        return state[0, 0] - state[0, 1] + p.offset[h], state
    if cells == "lif":
        state[0, 0] = p.decay[h] * state[0, 0] + (plus - minus) + p.offset[h]
        return state[0, 0], state
    v = (plus - minus) + p.bias[h]
    y = p.d[h] * v
    for n in range(len(state)):
        re, im = state[n]
        if p.a_im.size:
            state[n, 0] = (p.a_re[h, n] * re - p.a_im[h, n] * im) + v
            state[n, 1] = p.a_re[h, n] * im + p.a_im[h, n] * re
            y = (y + p.c_re[h, n] * state[n, 0]) - p.c_im[h, n] * state[n, 1]
        else:
            state[n, 0] = p.a_re[h, n] * re + v
            y = y + p.c_re[h, n] * state[n, 0]
    return y, state


@pytest.mark.parametrize("kind", KINDS)
def test_the_prediction_is_the_equations_in_float32(kind):
    network, samples = network_of(kind, 3)
    network = in_units(network)  # a neuron of several spikes is as many of one
    names = [p.name for p in network.layers]
    found = runner(network)(samples, names)
    plan = plan_network(network)
    spikes, membranes = equations(network, plan, samples)
    for name in names:
        assert (found.spikes[name] == spikes[name][:, -network.steps :]).all()
        own = membranes[name][:, -network.steps :].astype(np.float64)
        assert np.array_equal(found.membranes[name], own * plan.scale[name])
    assert 0.02 < np.mean([found.spikes[n].mean() for n in names]) < 0.98


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_close_to_float64(kind):
    network, samples = network_of(kind, 5)
    exact = software.run(network, samples, membranes=["layer0"])
    found = runner(network)(samples, ["layer0"])
    if kind != "lif":  # a reset more or less is as large as a membrane
        scale = np.abs(exact.membranes["layer0"]).max()
        assert np.abs(found.membranes["layer0"] - exact.membranes["layer0"]).max() < 0.05 * scale
    wrong = np.mean([(found.spikes[n] != exact.spikes[n]).mean() for n in found.spikes])
    assert wrong < 0.1
    assert logits(network, samples, found).shape == (len(samples), 3)


def test_a_readout_has_no_neurons_there():
    network, samples = network_of("stock")
    with pytest.raises(NetworkError, match="'readout' does not spike, and SpiNNaker 2"):
        runner(network)(samples, ["readout"])


# --- relays, the graph, the script ------------------------------------------------------------


def test_relays_make_every_connection_one_step():
    network, _ = network_of("stock")
    plan = plan_network(network)
    sizes = relays(network)
    size = network.source.size
    assert sizes == {"input_after_1": size, "input_after_2": size, "layer0_after_1": 6}
    found = {(hop.source, hop.target): hop.weights for hop in hops(network, plan)}
    assert len(found) == len(hops(network, plan)) == 9
    (from_input,) = (p for p in network.incoming("layer1") if p.source == "input")
    assert (found["input_after_1", "layer1"] == plan.weights[from_input]).all()
    assert (found["input_after_1", "input_after_2"] == 127 * np.eye(size)).all()
    assert relay("layer0", 0) == "layer0"


def script(folder):
    spec = importlib.util.spec_from_file_location("spinnaker2_run", folder / "spinnaker2_run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EVENTS = {"inputs": 3, "input_bits": 1, "input_scale": 1.0}


@pytest.mark.parametrize(("kind", "changes"), [
    ("stock", {}), ("stock", {"pooling": "last"}), ("stock", EVENTS),
    ("lif", {}), ("lif", {"pooling": "last"}),
], ids=["stock", "stock, last step", "stock, events", "lif", "lif, last step"])
def test_the_script_does_what_was_predicted(tmp_path, monkeypatch, capsys, kind, changes):
    pytest.importorskip("nir", reason="nir is not installed")
    install(monkeypatch)
    network, samples = network_of(kind, 7, **changes)
    expected = runner(network)(samples, [])
    labels = logits(network, samples, expected).argmax(1)
    save_target(network, tmp_path)
    np.savez(tmp_path / "samples.npz", inputs=samples, labels=labels)
    script(tmp_path).main([str(tmp_path / "samples.npz")])
    assert capsys.readouterr().out == f"accuracy 100.00%, {len(samples)} samples\n"
    with np.load(tmp_path / "spinnaker2_spikes.npz") as found:
        for name, spikes in expected.spikes.items():
            assert (found[name] == spikes).all() and spikes.any()


@pytest.mark.parametrize("kind", ["stock", "lif"])
def test_a_quantised_input_in_the_script(tmp_path, monkeypatch, capsys, kind):
    pytest.importorskip("nir", reason="nir is not installed")
    install(monkeypatch)
    _, network, samples = quantised(kind, 7, 6, depth=3)
    samples[0, 0, :2] = 1e3, -1e3
    with pytest.warns(QuantiserWarning):
        expected = runner(network)(samples, [])
    assert 0.02 < expected.spikes["layer0"].mean() < 0.98
    save_target(network, tmp_path)
    np.savez(tmp_path / "samples.npz", inputs=samples)
    script(tmp_path).main([str(tmp_path / "samples.npz")])
    assert "2 of 120 values are beyond the range" in capsys.readouterr().err
    with np.load(tmp_path / "spinnaker2_spikes.npz") as found:
        for name, spikes in expected.spikes.items():
            assert (found[name] == spikes).all()
    samples[0, 0, 0] = np.inf
    np.savez(tmp_path / "samples.npz", inputs=samples)
    with pytest.raises(SystemExit, match="values that are not finite"):
        script(tmp_path).main([str(tmp_path / "samples.npz")])


def test_the_script_refuses_samples_that_are_not_encoded(tmp_path, monkeypatch):
    pytest.importorskip("nir", reason="nir is not installed")
    install(monkeypatch)
    network, samples = network_of("stock", 7)
    save_target(network, tmp_path)
    most, shape = network.source.kind.values(network.source).limit - 1, samples.shape
    for wrong, said in (
        (samples + 0.25, rf"at \[0, 0, 0\]; expected integers, 0 to {most}: encode them"),
        (samples[:, :, 1:], rf"samples of shape .*, {shape[2] - 1}\); expected .*, {shape[2]}\)"),
    ):
        np.savez(tmp_path / "samples.npz", inputs=wrong)
        with pytest.raises(SystemExit, match=said):
            script(tmp_path).main([str(tmp_path / "samples.npz")])
    assert not (tmp_path / "spinnaker2_spikes.npz").exists()


def test_symbols_in_the_script(tmp_path, monkeypatch):
    pytest.importorskip("nir", reason="nir is not installed")
    install(monkeypatch)
    _, network, samples = lowered("token lif", 2)
    save_target(network, tmp_path)
    np.savez(tmp_path / "samples.npz", inputs=samples)
    script(tmp_path).main([str(tmp_path / "samples.npz"), "192.168.1.2", "2"])
    expected = runner(network)(samples[:2], [])
    with np.load(tmp_path / "spinnaker2_spikes.npz") as found:
        assert len(found["classes"]) == 2
        assert all((found[name] == spikes).all() for name, spikes in expected.spikes.items())


def integrate(graph, emitted, layers):
    """A NIR graph by an exponential integrator, spikes of a step arriving in the next one."""
    dt, nodes = float(graph.metadata["dt"]), graph.nodes
    spiking = {n: v for n, v in nodes.items() if type(v).__name__ in ("CubaLIF", "LIF")}
    into = {n: [] for n in spiking}
    for weight, target in ((a, b) for a, b in graph.edges if b in spiking):
        into[target] += [(a, nodes[weight].weight) for a, b in graph.edges if b == weight]
    sent = {n: np.zeros(len(v.v_threshold)) for n, v in spiking.items()}
    current, v = dict(sent), dict(sent)
    sent["input"] = np.zeros(emitted.shape[1])
    found = {n: [] for n in layers}
    for k in range(len(emitted) + 9):
        arriving = {n: sum(w @ sent[s] for s, w in into[n]) for n in spiking}
        sent["input"] = emitted[k] if k < len(emitted) else 0 * emitted[0]
        for name, node in spiking.items():
            drive = arriving[name]
            if type(node).__name__ == "CubaLIF":
                a = np.exp(-dt / node.tau_syn)
                current[name] = a * current[name] + (1 - a) * node.w_in * drive
                drive, tau = current[name], node.tau_mem
            else:
                tau = node.tau
            b = np.exp(-dt / tau)
            y = b * v[name] + (1 - b) * (node.r * drive + node.v_leak)
            fired = y > node.v_threshold
            v[name] = np.where(fired, node.v_reset, y)
            sent[name] = fired.astype(float)
            if name in found:
                found[name].append(fired)
    return {n: np.array(s) for n, s in found.items()}


@pytest.mark.parametrize("kind", STANDARD)
def test_the_graph_integrated_by_its_own_semantics_spikes_alike(tmp_path, kind):
    nir = pytest.importorskip("nir", reason="nir is not installed")
    from export.samples.inputs import encode

    network, samples = network_of(kind, 9)
    nir.write(tmp_path / "g.nir", nir_graph(network))
    graph = nir.read(tmp_path / "g.nir")
    expected = runner(network)(samples, []).spikes
    for sample in range(len(samples)):
        emitted = encode(network, samples)[sample].astype(float)
        found = integrate(graph, emitted, list(expected))
        for name, spikes in expected.items():
            start = network.population(name).latency
            assert (found[name][start : start + network.steps] == spikes[sample]).all(), name
    outputs = [n for n, node in graph.nodes.items() if type(node).__name__ == "Output"]
    assert outputs == sorted(f"{name}_output" for name in expected)


def test_native_neurons_have_no_graph():
    with pytest.raises(Spinnaker2Error, match="have no native neurons. Train with model.cells"):
        nir_graph(network_of("native")[0])


def test_without_the_package_the_graph_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(Spinnaker2Error, match="a NIR file needs the package nir.*snn-ssm.nir"):
        nir_graph(leaky_network_of())


# --- the budget and the command line ----------------------------------------------------------


def test_a_budget_counts_words_weights_and_instructions():
    network, _ = network_of("native")
    row = budget(network)[0]
    assert row["bytes_a_neuron"] == 4 * (4 + 4 * 6) + network.source.size
    assert row["cores"] == 1 and row["instructions"] == 6 * (33 + 4 * 22 + 8) + 90 == 864
    spikes = network.source.size * (18 + 6 * 7)
    assert row["instructions_all_spike"] == spikes
    assert row["microseconds"] == pytest.approx([864 / 150, 2 * (864 + spikes) / 150])
    text = describe_budget(network)
    assert "3 of 152 cores, an estimate" in text and "layer2: 6 neurons" in text


def test_export_run_and_refusals(tmp_path, capsys):
    pytest.importorskip("nir", reason="nir is not installed")
    checkpoint, _, samples = lowered_as("stock", 4)
    (tmp_path / "c").mkdir()
    save_checkpoint(tmp_path / "c", checkpoint)
    out = str(tmp_path / "n")
    command = ["export", str(tmp_path / "c"), out, "--target", "spinnaker2"]
    assert main(command) == 0
    assert "of 152 cores" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "n").iterdir()} == {
        "network.json", "arrays.safetensors", *FILES
    }
    assert main(command) == 2 and main([*command, "--force"]) == 0
    np.savez(tmp_path / "x.npz", inputs=samples, labels=np.zeros(len(samples), int))
    backend = ["--backend", "spinnaker2-software", "--data", str(tmp_path / "x.npz")]
    assert main(["run", out, *backend]) == 0
    assert "from spike counts" in capsys.readouterr().out
    other, _, _ = lowered_as("native", 4)
    (tmp_path / "d").mkdir()
    save_checkpoint(tmp_path / "d", other)
    refused = ["export", str(tmp_path / "d"), str(tmp_path / "m"), "--target", "spinnaker2"]
    assert main(refused) == 2 and not (tmp_path / "m").exists()
    assert "have no native neurons" in capsys.readouterr().err
    assert main([*refused[:-2], "--quiet"]) == 0
    assert main(["run", str(tmp_path / "m"), *backend]) == 0
    assert "from spike counts, 3 samples" in capsys.readouterr().out
