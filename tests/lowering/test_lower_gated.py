"""Lowering of gated, ternary, token and event networks: E2 and the logits, names and wiring."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gated_networks import KINDS, checkpoint_of_kind, lowered
from support.random_networks import NORMS, with_array
from support.trained_model import assert_is_the_trained_model, close

from export.lowering.network import lower
from export.samples.readout import accumulated_logits
from export.software import simulation as software
from pynn_models.cells import propagator
from snn_ssm.levels import levels

STATE_SPACE = [kind for kind in KINDS if "lif" not in kind]
GATED = [kind for kind in KINDS if "glu" in kind or "gsu" in kind]


# --- E2 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("norm", "pooling", "kind"),
                         list(itertools.product(NORMS, ["mean", "last"], STATE_SPACE)))
def test_the_network_is_the_trained_model(kind, pooling, norm):
    """Three layers: the last has a branch of each of two, the stream one of each of three."""
    found = assert_is_the_trained_model(
        *lowered(kind, seed=len(kind), depth=3, pooling=pooling, **NORMS[norm])
    )
    for name in ("layer1", "layer2"):
        assert 0.02 < (found.spikes[name] > 0).mean() < 0.98


@pytest.mark.parametrize("changes", [
    {"weight_bits": 4}, {"weight_bits": 8}, {"quantise_decays": True}, {"n_ssm": 2},
    {"n_ssm": 3, "quantise_decays": True, "mode_init": "s4d-real"},
    {"discretisation": "bilinear"}, {"mode_init": "s4d-inv"},
    {"activation": "ternary-constant", "quantise_decays": True, "weight_bits": 5, "n_ssm": 1},
], ids=lambda changes: ", ".join(f"{k} {v}" for k, v in changes.items()))
@pytest.mark.parametrize("kind", ["glu", "gsu", "gsu of two matrices", "ternary", "token"])
def test_the_options_of_the_trained_model(kind, changes):
    """n_ssm shares modes, weight_bits and quantise_decays round what training rounded."""
    assert_is_the_trained_model(*lowered(kind, 1, **changes))


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(STATE_SPACE),
    channels=st.integers(1, 6),
    depth=st.integers(1, 3),
    steps=st.integers(1, 10),
    prenorm=st.booleans(),
    weight_bits=st.sampled_from([0, 2, 6]),
    relayed=st.booleans(),
)
def test_whatever_its_size(seed, kind, channels, depth, steps, prenorm, weight_bits, relayed):
    checkpoint, network, samples = lowered(
        kind, seed, steps, channels=channels, depth=depth, prenorm=prenorm,
        weight_bits=weight_bits, residual="relayed" if relayed and kind in GATED else "folded",
    )
    assert_is_the_trained_model(checkpoint, network, samples)


@pytest.mark.parametrize("mixing", ["glu", "gsu"])
def test_bits_and_currents_of_a_gated_network_are_the_same(mixing):
    checkpoint, network, samples = lowered(mixing)
    names = [p.name for p in network.populations]
    one = software.run(network, samples, membranes=names)
    other = software.run(lower(checkpoint, encoding="current"), samples, membranes=names)
    for name in names:
        assert (one.membranes[name] == other.membranes[name]).all()


@pytest.mark.parametrize("mixing", ["glu", "gsu"])
def test_real_values_into_a_gated_network(mixing):
    checkpoint = checkpoint_of_kind(mixing, inputs=2, input_bits=0)
    network = lower(checkpoint)
    assert (network.source.encoding, network.source.bits) == ("current", 0)
    samples = np.random.default_rng(0).normal(size=(3, 2, 20))
    assert_is_the_trained_model(checkpoint, network, samples)


def test_bernoulli_spikes_are_the_likelier_ones():
    checkpoint, network, samples = lowered("glu", activation="bernoulli")
    assert_is_the_trained_model(checkpoint, network, samples)


# --- names and wiring -------------------------------------------------------------------------


def wiring(network):
    return {(p.source, p.target, p.receptor, p.graded) for p in network.projections}


def test_the_parts_of_a_glu_network():
    _, network, _ = lowered("glu", depth=3)
    assert [p.name for p in network.populations] == [
        "layer0", "layer1", "layer2", "stream", "readout",
    ]
    expected = {("input", name, "input", False) for name in ("layer0", "layer1", "layer2")}
    expected |= {("input", "stream", "input", False), ("stream", "readout", "input", True)}
    names = ["layer0", "layer1", "layer2", "stream"]
    for i, name in enumerate(names):
        for p, pre in enumerate(names[:i]):
            expected |= {(pre, name, f"value{p}", False), (pre, name, f"gate{p}", False)}
    assert wiring(network) == expected
    for i, name in enumerate(names):
        branches = network.population(name).branches
        if i == 0:
            assert branches is None
        else:
            assert (branches.kind, branches.count) == ("glu", i)
            assert (branches.shift == 0).all() and (branches.gain == 1).all()
    assert not network.linear_readout


def test_the_parts_of_a_gsu_network():
    _, network, _ = lowered("gsu", depth=2)
    assert [p.name for p in network.populations] == [
        "layer0", "layer0_negative", "layer1", "layer1_negative", "stream", "readout",
    ]
    expected = {("stream", "readout", "input", True)}
    for name in ("layer0", "layer0_negative", "layer1", "layer1_negative", "stream"):
        expected.add(("input", name, "input", False))
    for p, pre in enumerate(["layer0", "layer1"]):
        for name in ("layer1", "layer1_negative", "stream")[2 * p:]:
            expected |= {
                (pre, name, f"value{p}", False),
                (f"{pre}_negative", name, f"value{p}", False),
                (pre, name, f"gate{p}", True),
            }
    assert wiring(network) == expected
    for projection in network.projections:
        if projection.receptor.startswith("gate"):
            assert set(np.unique(projection.weights)) <= {-1.0, 0.0, 1.0}
    assert network.population("stream").branches.kind == "gsu"


@pytest.mark.parametrize("kind", ["gsu", "ternary"])
def test_the_twin_of_a_ternary_layer(kind):
    checkpoint, network, _ = lowered(kind, depth=2)
    for i in range(2):
        one, other = (network.population(f"layer{i}{end}") for end in ("", "_negative"))
        assert one.latency == other.latency
        a, b = one.cell, other.cell
        assert (b.c_re == -a.c_re).all() and (b.c_im == -a.c_im).all() and (b.d == -a.d).all()
        for leaf in ("tau", "omega", "theta", "bias"):
            assert (getattr(a, leaf) == getattr(b, leaf)).all()
        assert (a.theta == levels(checkpoint)[i].value).all()
        into = [
            {(p.source, p.receptor): p.weights for p in network.incoming(name)}
            for name in (one.name, other.name)
        ]
        assert into[0].keys() == into[1].keys()
        for key, weights in into[0].items():
            assert (weights == into[1][key]).all()
    positive = {(p.target, p.receptor): p for p in network.projections if p.source == "layer0"}
    for p in network.projections:
        if p.source == "layer0_negative":
            assert (p.weights == -positive[p.target, p.receptor].weights).all()


def test_a_ternary_network_with_linear_mixing_needs_no_stream():
    _, network, _ = lowered("ternary", depth=2)
    assert [p.name for p in network.populations][-2:] == ["layer1_negative", "readout"]
    assert network.linear_readout
    assert all(not p.graded and p.receptor == "input" for p in network.projections)


@pytest.mark.parametrize("delay", [1, 4])
@pytest.mark.parametrize("kind", ["glu", "gsu", "ternary"])
def test_latencies(kind, delay):
    checkpoint = checkpoint_of_kind(kind)
    network = lower(checkpoint, delay=delay)
    chain = ["layer0", "layer1", *(["stream"] if kind in GATED else []), "readout"]
    for i, name in enumerate(chain):
        assert network.population(name).latency == (i + 1) * delay
    if kind != "glu":
        assert network.population("layer1_negative").latency == 2 * delay


def test_the_stream_has_no_memory_and_the_readout_as_much_as_its_pooling():
    for pooling, modes in (("mean", 1), ("last", 0)):
        _, network, _ = lowered("glu", pooling=pooling)
        stream, readout = network.population("stream").cell, network.population("readout").cell
        assert stream.n_modes == 0 and (stream.d == 1).all() and np.isinf(stream.theta).all()
        assert readout.n_modes == modes and readout.branches is None


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_the_stream_is_the_residual_stream(pooling):
    """Pooled on the host and decoded there, it gives the logits."""
    checkpoint, network, samples = lowered("gsu", pooling=pooling)
    found = software.run(network, samples, membranes=["stream", "readout"])
    stream = found.membranes["stream"]
    pooled = stream.mean(axis=1) if pooling == "mean" else stream[:, -1]
    arrays = checkpoint.arrays
    expected = pooled @ arrays["decoder.weight"].T.astype(float) + arrays["decoder.bias"]
    assert close(accumulated_logits(network, found), expected)


def test_the_gate_of_one_matrix_is_of_the_stored_weights_not_the_rounded_ones():
    checkpoint, network, _ = lowered("gsu", weight_bits=2)
    weight = checkpoint.arrays["blocks.0.mixing.weight"].astype(float)
    q = 0.15 * np.abs(weight).max()
    ternary = (weight > q) * 1.0 - (weight < -q)
    (gate,) = network.incoming("layer1", "gate0")
    assert (gate.weights == ternary.T).all()
    assert ((np.abs(weight) > q) != (np.rint(weight / np.abs(weight).max()) != 0)).any()


def test_the_gates_matrix_is_strict_at_its_threshold():
    def change(weight):
        weight[...] = 0
        weight[0, :5] = [20, 3, -3, 3.5, -3.5]  # 0.15 times 20 is 3, in float64 too

    checkpoint, _, samples = lowered("gsu")
    checkpoint = with_array(checkpoint, "blocks.0.mixing.weight", change)
    network = lower(checkpoint)
    (gate,) = network.incoming("layer1", "gate0")
    assert gate.weights[:, 0].tolist() == [1, 0, 0, 1, -1, 0]
    assert_is_the_trained_model(checkpoint, network, samples)


def test_rounded_weights_are_few_values():
    _, network, _ = lowered("glu", weight_bits=3, norm="none")
    (value,) = network.incoming("layer1", "value0")
    (gate,) = network.incoming("layer1", "gate0")
    values = np.abs(np.concatenate([value.weights.ravel(), gate.weights.ravel()]))
    steps = values / values.max() * 3  # of integers from -3 to 3, one scale for both
    assert steps == pytest.approx(np.rint(steps), abs=1e-12)


def test_weights_of_zeros_are_left_alone():
    checkpoint, _, samples = lowered("glu", weight_bits=4)
    checkpoint = with_array(checkpoint, "blocks.0.mixing.weight", lambda weight: weight.fill(0))
    assert_is_the_trained_model(checkpoint, lower(checkpoint), samples)


def test_quantised_poles_are_those_of_the_grid():
    _, network, _ = lowered("glu", quantise_decays=True)
    cell = network.populations[0].cell
    for part in propagator(cell.tau, cell.omega, 1.0):
        units = part * 2.0**31
        assert np.abs(units - np.rint(units)).max() < 1e-5


@pytest.mark.parametrize("init", ["s4d-lin", "s4d-real"])
def test_a_quantised_pole_that_rounds_to_one_is_the_largest_below(init):
    def change(a):
        a[3] = -50.0  # Re(lambda) = -2e-22

    checkpoint, _, samples = lowered("glu", quantise_decays=True, mode_init=init)
    checkpoint = with_array(checkpoint, "blocks.0.ssm.a", change)
    if init == "s4d-lin":
        checkpoint = with_array(checkpoint, "blocks.0.ssm.omega", lambda omega: omega.fill(0))
    network = lower(checkpoint)
    tau = network.populations[0].cell.tau
    assert tau[3] == pytest.approx(-1 / math.log1p(-(2.0**-31)), rel=1e-13)
    assert_is_the_trained_model(checkpoint, network, samples)


@pytest.mark.parametrize("init", ["s4d-lin", "s4d-real"])
@pytest.mark.parametrize("a", [-25.0, -22.0, -30.0])
def test_slow_quantised_poles_lower_as_they_were_trained(init, a):
    """Rounded to the nearest, one that rotates may grow, which no time constant does."""
    checkpoint, _, samples = lowered("glu", quantise_decays=True, mode_init=init)
    for i in range(2):
        checkpoint = with_array(checkpoint, f"blocks.{i}.ssm.a", lambda array: array.fill(a))
    network = lower(checkpoint)
    assert_is_the_trained_model(checkpoint, network, samples)
    cell = network.populations[0].cell
    for re, im in zip(*(m.ravel() for m in propagator(cell.tau, cell.omega, 1.0)), strict=True):
        assert re * re + im * im < 1


def test_fast_quantised_poles_are_0_and_lower():
    """The grid has a pole at 0: a mode that keeps nothing."""
    def change(a):
        a[:, 1] = 6.0  # Re(lambda) = -400

    for init in ("s4d-lin", "s4d-real"):
        checkpoint, _, samples = lowered(
            "glu", quantise_decays=True, mode_init=init, dt_min=0.1, dt_max=0.5
        )
        checkpoint = with_array(checkpoint, "blocks.0.ssm.a", change)
        network = lower(checkpoint)
        assert_is_the_trained_model(checkpoint, network, samples)
        cell = network.populations[0].cell
        for part in propagator(cell.tau, cell.omega, 1.0):
            assert not part[:, 1].any()


def test_channels_share_sets_of_modes():
    _, network, _ = lowered("glu", n_ssm=2, dt_min=0.1, dt_max=0.1)
    checkpoint = checkpoint_of_kind("glu", n_ssm=2, dt_min=0.1, dt_max=0.1)
    assert checkpoint.arrays["blocks.0.ssm.a"].shape == (2, 4)
    tau = network.populations[0].cell.tau
    assert tau.shape == (6, 4)
    assert (tau[:2] == tau[2:4]).all() and (tau[:2] == tau[4:]).all()
    assert (tau[0] != tau[1]).any()


# --- input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["token", "token glu"])
def test_a_symbol_is_a_spike_of_its_own_source(kind):
    checkpoint, network, _ = lowered(kind, norm="none")
    assert (network.source.encoding, network.source.symbols, network.source.size) == ("token", 7, 7)
    (first,) = network.incoming("layer0")
    assert first.weights == pytest.approx(checkpoint.arrays["encoder.weight"], rel=1e-12)
    assert (network.population("layer0").cell.bias == 0).all()


def test_an_event_is_a_spike_of_its_own_source():
    checkpoint, network, _ = lowered("events", norm="none")
    assert (network.source.encoding, network.source.size, network.source.bits) == ("spikes", 3, 0)
    (first,) = network.incoming("layer0")
    assert first.weights == pytest.approx(checkpoint.arrays["encoder.weight"].T, rel=1e-12)


def test_events_and_their_other_encodings_are_the_same_network():
    checkpoint, network, samples = lowered("events")
    expected = software.run(network, samples).spikes
    for encoding in ("bits", "current"):
        found = software.run(lower(checkpoint, encoding=encoding), samples).spikes
        for name, spikes in expected.items():
            assert (found[name] == spikes).all()


# --- the dyadic grid --------------------------------------------------------------------------


@pytest.mark.parametrize("weight_bits", [0, 5])  # float32 weights as they are have exact sums
@pytest.mark.parametrize("kind", ["glu", "gsu", "token glu", "events gsu"])
def test_what_spikes_carry_is_exact_in_any_order(kind, weight_bits):
    """On every receptor by itself; what membranes carry is on no grid."""
    _, network, _ = lowered(kind, depth=2, weight_bits=weight_bits)
    rng = np.random.default_rng(0)
    for population in network.populations:
        receptors = {p.receptor for p in network.incoming(population.name) if not p.graded}
        for receptor in receptors:
            carried = list(network.incoming(population.name, receptor))
            weights = np.concatenate([p.weights for p in carried])
            mask = rng.random((8, len(weights))) < 0.7
            sums = []
            for order in (np.arange(len(weights)), rng.permutation(len(weights))):
                total = np.zeros((8, population.size))
                for i in order:
                    total += mask[:, [i]] * weights[i]
                sums.append(total)
            assert (sums[0] == sums[1]).all()
