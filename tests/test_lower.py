"""Lowering: the network is the trained model, spike for spike, and what does not lower says so."""

import itertools
import math
import random
import warnings
from dataclasses import replace

import numpy as np
import pytest
from conftest import checkpoint_of, samples_of
from hypothesis import given, settings
from hypothesis import strategies as st

from export import software
from export.lower import INPUT, READOUT, LoweringError, lower
from export.network import NetworkError
from export.readout import accumulated_logits, logits
from export.trained_cells import discretise
from pynn_models import SnnSsmError, propagator
from snn_ssm.checkpoint import Checkpoint, CheckpointError
from snn_ssm.files import FileError

NORMS = {"pre": {"prenorm": True}, "post": {"prenorm": False}, "none": {"norm": "none"}}
COMBINATIONS = list(
    itertools.product(
        NORMS, ["mean", "last"], ["zoh", "bilinear"], ["s4d-lin", "s4d-real"], [1, 2, 3]
    )
)


def with_array(checkpoint, name, change):
    """The checkpoint with ``change`` applied to a copy of one array."""
    array = np.array(checkpoint.arrays[name])
    change(array)
    return Checkpoint(checkpoint.config, {**checkpoint.arrays, name: array})


def grid_error(network, name, terms=1):
    """The largest input sum of a step, and how far the dyadic grid may move it.

    Every coefficient moves by at most R / 2^53, with R the power of two at or above the largest
    sum of ``terms`` steps; a channel of b bits counts 2^b - 1 times.
    """
    sums = np.abs(network.population(name).cell.bias)
    counts = 1
    for projection in network.incoming(name):
        currents = projection.source == INPUT and network.source.encoding == "current"
        peak = 2.0**network.source.bits - 1 if currents else 1.0
        sums = sums + np.abs(projection.weights).sum(0) * peak
        if projection.source == INPUT:
            counts += network.source.channels * (2.0**network.source.bits - 1)
        else:
            counts += len(projection.weights)
    largest = float(sums.max())
    return largest, counts * 2.0 ** math.ceil(math.log2(largest * terms)) / 2**53


def gain(cell, steps):
    """``sum_k |K[k]| + |d|``: the most that a membrane makes of an input of 1."""
    a_re, a_im = propagator(cell.tau, cell.omega, 1.0)
    c = cell.c_re + 1j * (0.0 if cell.c_im is None else cell.c_im)
    powers = (a_re + 1j * a_im)[..., None] ** np.arange(steps)
    return float((np.abs((c[..., None] * powers).sum(1).real).sum(-1) + np.abs(cell.d)).max())


def assert_is_the_trained_model(checkpoint, samples):
    """E2 for both encodings: every spike; membranes and logits but for grid and rounding."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from snn_ssm.restore import load_network

    trained = load_network(checkpoint).double()
    expected = trained.steps(torch.from_numpy(samples.astype(np.int64)))
    recordings = []
    for encoding in ("bits", "current"):
        network = lower(checkpoint, encoding=encoding)
        names = [p.name for p in network.populations]
        recording = software.run(network, samples, membranes=names)
        recordings.append(recording)
        eps = 2.0**-52 * 4 * (network.steps + network.populations[0].cell.n_modes + 8)
        for layer, y, s in zip(network.layers, expected.membranes, expected.outputs, strict=True):
            fired = s.transpose(1, 2).numpy() > 0
            assert (recording.spikes[layer.name] == fired).all(), (encoding, layer.name)
            largest, moved = grid_error(network, layer.name)
            limit = (moved + eps * largest) * gain(layer.cell, network.steps)
            found = recording.membranes[layer.name]
            assert np.abs(found - y.transpose(1, 2).numpy()).max() <= limit
        terms = network.steps if network.readout.pooling == "mean" else 1
        largest, moved = grid_error(network, READOUT, terms)
        for found in (
            logits(network, samples, recording), accumulated_logits(network, recording)
        ):
            assert np.abs(found - expected.logits.numpy()).max() <= moved + eps * largest
    for name in names:
        one, two = (r.membranes[name] for r in recordings)
        assert (one == two).all(), f"bits and current differ in {name}"
    return recordings[0]


@pytest.mark.parametrize(("norm", "pooling", "discretisation", "init", "depth"), COMBINATIONS)
def test_the_network_is_the_trained_model(norm, pooling, discretisation, init, depth):
    checkpoint = checkpoint_of(
        depth, pooling=pooling, discretisation=discretisation, mode_init=init, depth=depth,
        **NORMS[norm],
    )
    recording = assert_is_the_trained_model(checkpoint, samples_of(checkpoint))
    for name, spikes in recording.spikes.items():
        assert 0.02 < spikes.mean() < 0.98, name


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    inputs=st.integers(1, 3),
    input_bits=st.integers(1, 16),
    channels=st.integers(1, 7),
    modes=st.integers(1, 5),
    steps=st.integers(1, 12),
    prenorm=st.booleans(),
    init=st.sampled_from(["s4d-lin", "s4d-inv", "s4d-legs", "s4d-real"]),
)
def test_the_network_is_the_trained_model_whatever_its_size(
    seed, inputs, input_bits, channels, modes, steps, prenorm, init
):
    checkpoint = checkpoint_of(
        seed, steps, inputs=inputs, input_bits=input_bits, channels=channels, modes=modes,
        prenorm=prenorm, mode_init=init, input_scale=2.0**-input_bits / 3,
    )
    assert_is_the_trained_model(checkpoint, samples_of(checkpoint, 2))


@pytest.mark.parametrize("depth", [1, 2])
def test_bilinear_real_modes_that_change_sign(depth):
    checkpoint = checkpoint_of(
        3, mode_init="s4d-real", discretisation="bilinear", depth=depth, dt_min=1.0, dt_max=8.0
    )
    # |lambda| is about 1/2: half of the modes have Delta > 2/|lambda| and abar < 0.
    network = lower(checkpoint)
    cell = network.populations[0].cell
    turned = np.isclose(cell.omega, math.pi)
    assert turned.any() and (cell.omega[~turned] == 0).all() and not turned.all()
    assert_is_the_trained_model(checkpoint, samples_of(checkpoint))


def test_real_modes_that_keep_their_sign_stay_real():
    for changes in ({"mode_init": "s4d-real"},
                    {"mode_init": "s4d-real", "discretisation": "bilinear"}):
        assert not lower(checkpoint_of(**changes)).populations[0].cell.is_complex


# --- the cell ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["zoh", "bilinear"])
def test_the_discretisation_is_the_trainers(method):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from snn_ssm import modes

    rng = np.random.default_rng(0)
    lam = -np.exp(rng.normal(size=(5, 7)) * 2) + 1j * rng.normal(size=(5, 7)) * 30
    dt = np.exp(rng.uniform(np.log(1e-4), 0, 5))
    expected = modes.discretise(
        torch.from_numpy(lam), torch.ones(5, 7), torch.from_numpy(dt), method
    )
    for one, two in zip(discretise(lam, dt, method), expected, strict=True):
        assert one == pytest.approx(two.numpy(), rel=1e-13)


@pytest.mark.parametrize("timestep", [1.0, 0.5, 0.1, 3.0])
@pytest.mark.parametrize("discretisation", ["zoh", "bilinear"])
def test_tau_and_omega_give_the_pole_back(discretisation, timestep):
    checkpoint = checkpoint_of(discretisation=discretisation)
    arrays = checkpoint.arrays
    lam = -np.exp(arrays["blocks.0.ssm.a"].astype(float)) + 1j * arrays["blocks.0.ssm.omega"]
    dt = np.exp(arrays["blocks.0.ssm.log_dt"].astype(float))
    abar, bbar = discretise(lam, dt, discretisation)
    cell = lower(checkpoint, timestep=timestep).populations[0].cell
    a_re, a_im = propagator(cell.tau, cell.omega, timestep)
    assert a_re + 1j * a_im == pytest.approx(abar, rel=1e-13)
    b, c = (arrays[f"blocks.0.ssm.{leaf}"].astype(float) for leaf in ("b", "c"))
    g = 2 * (c[0] @ [1, 1j]) * (b @ [1, 1j]) * bbar
    assert cell.c_re + 1j * cell.c_im == pytest.approx(g, rel=1e-13)
    assert (cell.d == arrays["blocks.0.ssm.d"]).all() and (cell.theta == 0).all()
    if discretisation == "zoh":  # exact integration: tau and omega are the continuous mode's
        assert cell.tau == pytest.approx(-timestep / (lam.real * dt[:, None]), rel=1e-12)


@pytest.mark.parametrize("timestep", [0.5, 0.1, 2.0])
def test_the_timestep_changes_no_spike(timestep):
    checkpoint = checkpoint_of()
    samples = samples_of(checkpoint)
    one, other = (
        software.run(lower(checkpoint, timestep=t), samples).spikes for t in (1.0, timestep)
    )
    for name, spikes in one.items():
        assert (other[name] == spikes).all()


# --- the schedule -----------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [1, 2, 5])
def test_every_layer_runs_a_delay_behind_the_one_before(delay):
    network = lower(checkpoint_of(depth=3), delay=delay)
    latency = {p.name: p.latency for p in network.populations}
    assert latency == {
        "layer0": delay, "layer1": 2 * delay, "layer2": 3 * delay, READOUT: 4 * delay,
    }
    pairs = {(p.source, p.target): p.delay for p in network.projections}
    names = [INPUT, *latency]
    assert set(pairs) == set(itertools.combinations(names, 2))  # all forward, skips included
    for (pre, post), found in pairs.items():
        assert found == (names.index(post) - names.index(pre)) * delay


def test_the_networks_own_account():
    checkpoint = checkpoint_of(norm="batch")
    network = lower(checkpoint, timestep=0.5)
    assert network.timestep == 0.5 and network.steps == 24
    assert network.origin["task"]["steps"] == 24
    trained = sum(
        v.size for k, v in checkpoint.arrays.items() if "running" not in k and "num_" not in k
    )
    assert network.origin["parameters"] == trained


# --- the dyadic grid --------------------------------------------------------------------------


def exact_sum(values):
    return math.fsum(values)  # correctly rounded, whatever the order


def grid_of(values):
    """The largest power of two of which all values are multiples."""
    numerators = [float(v).as_integer_ratio() for v in values if v != 0]
    most = max(d for _, d in numerators)
    return min((n * (most // d)) & -(n * (most // d)) for n, d in numerators) / most


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    encoding=st.sampled_from(["bits", "current"]),
    input_bits=st.integers(1, 16),
    order=st.randoms(use_true_random=False),
)
def test_sums_of_weights_are_exact_in_any_order(seed, encoding, input_bits, order):
    checkpoint = checkpoint_of(seed, input_bits=input_bits, inputs=2, depth=2)
    network = lower(checkpoint, encoding=encoding)
    rng = np.random.default_rng(seed)
    for population in network.populations:
        for h in range(population.size):
            terms = [float(population.cell.bias[h])]
            for projection in network.incoming(population.name):
                column = projection.weights[:, h]
                if projection.source == INPUT and encoding == "current":
                    terms += (column * rng.integers(0, 2**input_bits, len(column))).tolist()
                else:
                    terms += column[rng.random(len(column)) < 0.7].tolist()
            order.shuffle(terms)
            total, parts = 0.0, []
            for value in terms:
                total += value
                parts.append(value)
                assert total == exact_sum(parts)


def test_accumulated_logits_are_exact_over_all_steps():
    checkpoint = checkpoint_of(steps=784)
    network = lower(checkpoint)
    steps = network.steps
    for h in range(network.population(READOUT).size):
        rng = random.Random(h)
        terms = [float(network.population(READOUT).cell.bias[h])] * steps
        for projection in network.incoming(READOUT):
            terms += [v for v in projection.weights[:, h].tolist() for _ in range(steps)]
        rng.shuffle(terms)
        assert sum(terms) == exact_sum(terms)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    encoding=st.sampled_from(["bits", "current"]),
    input_bits=st.integers(1, 16),
    norm=st.sampled_from(sorted(NORMS)),
)
def test_the_grid_moves_a_coefficient_by_at_most_its_bound(seed, encoding, input_bits, norm):
    """R / 2^53, where R is the power of two at or above the largest sum of a step."""
    checkpoint = checkpoint_of(seed, input_bits=input_bits, inputs=2, depth=1, **NORMS[norm])
    arrays = {k: v.astype(float) for k, v in checkpoint.arrays.items()}
    scale, shift = np.ones(6), np.zeros(6)
    if norm == "pre":
        scale = arrays["blocks.0.norm.weight"] / np.sqrt(arrays["blocks.0.norm.running_var"] + 1e-5)
        shift = arrays["blocks.0.norm.bias"] - scale * arrays["blocks.0.norm.running_mean"]
    weight = scale[:, None] * arrays["encoder.weight"] * checkpoint.config.model.input_scale
    bias = scale * arrays["encoder.bias"] + shift
    largest = (np.abs(weight).sum(1) * (2.0**input_bits - 1) + np.abs(bias)).max()
    bound = 2.0 ** math.ceil(math.log2(largest)) / 2**53
    network = lower(checkpoint, encoding=encoding)
    found = next(p.weights for p in network.incoming("layer0") if p.source == INPUT).T  # (H, .)
    assert np.abs(network.populations[0].cell.bias - bias).max() <= bound
    if encoding == "current":
        assert np.abs(found - weight).max() <= bound
        return
    found = found.reshape(6, 2, input_bits)
    assert np.abs(found[..., 0] - weight).max() <= bound
    for j in range(input_bits):
        assert (found[..., j] == found[..., 0] * 2.0**j).all()


def test_the_grid_is_the_one_that_is_stated():
    for name in ("layer0", "layer1"):
        network = lower(checkpoint_of())
        coefficients = np.concatenate(
            [p.weights.ravel() for p in network.incoming(name)]
            + [network.population(name).cell.bias]
        )
        bits = network.source.bits
        sums = np.abs(network.population(name).cell.bias) + sum(
            np.abs(p.weights).sum(0) for p in network.incoming(name)
        )
        top = 2.0 ** math.ceil(math.log2(sums.max()))
        assert grid_of(coefficients) >= top / 2**52
        assert bits == 4


# --- refusals ---------------------------------------------------------------------------------


def refusal(checkpoint, error=LoweringError, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error) as caught:
            lower(checkpoint, **options)
    return str(caught.value)


@pytest.mark.parametrize(("changes", "where", "remedy"), [
    ({"norm": "layer"}, "blocks.0.norm: a layer norm", 'model.norm = "batch"'),
    ({"bidirectional": True}, "blocks.0.ssm: a bidirectional layer",
     "model.bidirectional = false"),
    ({"activation": "gelu"}, "blocks.0: the activation 'gelu' is not a spike",
     'model.activation = "heaviside"'),
    ({"activation": "ternary"}, "blocks.0: the activation 'ternary' compares with the largest",
     'model.activation = "ternary-constant"'),
    ({"activation": "ternary", "mixing": "gsu", "gsu_norm": "batch"},
     "blocks.0: the activation 'ternary' compares", 'model.activation = "ternary-constant"'),
    ({"activation": "ternary-constant", "mixing": "gsu"}, "blocks.0.mixing.norm: a layer norm",
     'model.gsu_norm = "batch"'),
    ({"architecture": "transformer", "channels": 8}, "blocks.0.attention: a transformer",
     'model.architecture = "state-space"'),
    ({"pair": True}, "decoder: it reads products of two sequences' features",
     "model.pair = false"),
])
def test_a_model_that_does_not_lower_says_what_to_train(changes, where, remedy):
    message = refusal(checkpoint_of(**changes))
    assert message.startswith(where) and f"Train with {remedy}." in message


@pytest.mark.parametrize("init", ["s4d-lin", "s4d-real"])
@pytest.mark.parametrize(("a", "found"), [(-1000.0, "-0.0"), (1000.0, "-inf")])
def test_a_mode_that_does_not_decay(init, a, found):
    def change(array):
        array[3, 2] = a

    broken = with_array(checkpoint_of(mode_init=init), "blocks.1.ssm.a", change)
    message = refusal(broken)
    assert f"blocks.1.ssm: mode [3, 2] has Re(lambda) = {found}; expected a finite" in message
    assert "Retrain with a lower training.mode_rate" in message


@pytest.mark.parametrize(("init", "method", "leaf", "value", "found"), [
    ("s4d-lin", "zoh", "a", 12.0, "0.0"),  # exp(-10^5) underflows
    ("s4d-real", "zoh", "a", 12.0, "0.0"),
    ("s4d-lin", "zoh", "log_dt", -1000.0, "1.0"),
    ("s4d-real", "bilinear", "log_dt", -1000.0, "1.0"),
    ("s4d-lin", "zoh", "log_dt", 1000.0, "nan"),
    ("s4d-real", "zoh", "log_dt", 1000.0, "nan"),
    ("s4d-lin", "bilinear", "log_dt", 1000.0, "nan"),
    ("s4d-real", "bilinear", "log_dt", 1000.0, "nan"),
])
def test_a_pole_that_is_no_leak_in_float64(init, method, leaf, value, found):
    def change(array):
        array[3] = value

    checkpoint = checkpoint_of(mode_init=init, discretisation=method)
    broken = with_array(checkpoint, f"blocks.0.ssm.{leaf}", change)
    message = refusal(broken)
    assert message.startswith("blocks.0.ssm: mode [3, 0] has |abar| = ")
    assert "expected between 0 and 1, both excluded" in message
    assert "Retrain with steps Delta in a narrower range" in message
    if found != "nan":  # what an infinite step gives depends on the arithmetic
        assert f"|abar| = {found};" in message


@pytest.mark.parametrize("init", ["s4d-lin", "s4d-real"])
@pytest.mark.parametrize("method", ["zoh", "bilinear"])
def test_a_leak_below_rounding_keeps_its_time_constant(init, method):
    def change(array):
        array[3] = -50.0  # Re(lambda) = -2e-22: |abar| rounds to 1

    checkpoint = with_array(
        checkpoint_of(mode_init=init, discretisation=method), "blocks.0.ssm.a", change
    )
    tau = lower(checkpoint).population("layer0").cell.tau
    assert (tau[3] > 1e18).all()
    assert np.isfinite(tau[3]).all()
    assert_is_the_trained_model(checkpoint, samples_of(checkpoint))


@pytest.mark.parametrize("timestep", [0, 0.0, -1, -0.5, math.nan, math.inf])
def test_a_timestep(timestep):
    message = refusal(checkpoint_of(), timestep=timestep)
    assert f"timestep is {timestep} ms; expected a positive number" in message
    assert "--timestep" in message


@pytest.mark.parametrize("delay", [0, -1])
def test_a_delay(delay):
    message = refusal(checkpoint_of(), NetworkError, delay=delay)
    assert f"latency {delay}; expected at least 1 step" in message


def test_an_encoding():
    message = refusal(checkpoint_of(), NetworkError, encoding="rate")
    assert "encoding 'rate' is unknown; use one of bits, current, token, spikes" in message
    message = refusal(checkpoint_of(input_bits=0), NetworkError, encoding="bits")
    assert "Real-valued input needs the encoding 'current'" in message


@pytest.mark.parametrize(("changes", "encoding", "said"), [
    ({}, "token", ("a linear encoder", "'token'", "'bits', 'current' or 'spikes'", "embedding")),
    *(
        ({"encoder": "embedding", "inputs": 5}, given,
         ("an embedding", repr(given), "'token'", "linear"))
        for given in ("bits", "current", "spikes")
    ),
])
def test_an_encoding_that_the_encoder_does_not_read(changes, encoding, said):
    encoder, found, expected, remedy = said
    message = refusal(checkpoint_of(**changes), encoding=encoding)
    assert message == (
        f"encoder: {encoder} does not read the input encoding {found}; expected {expected}. "
        f"Leave out --input, or train with model.encoder = \"{remedy}\"."
    )


@pytest.mark.parametrize("bits", [2, 8])
def test_integers_are_no_events(bits):
    message = refusal(checkpoint_of(input_bits=bits), encoding="spikes")
    assert message.startswith(f"encoder: a channel of {bits} bits is no spike of value 0 or 1")
    assert "--input bits" in message and "model.input_bits = 1" in message


@pytest.mark.parametrize("changes", [
    {}, {"mixing": "glu"}, {"cells": "lif"}, {"encoder": "embedding", "inputs": 5},
])
def test_cells_of_a_simulator_need_training_for_them(changes):
    checkpoint = checkpoint_of(**changes)
    kind = checkpoint.config.model.cells
    message = refusal(checkpoint, cells="stock")
    assert message == (
        f"blocks.0.ssm: the model has {kind} cells, which IF_curr_exp cannot be. Export it with "
        f"--cells {kind}, or train with model.cells = \"stock\"."
    )


@pytest.mark.parametrize(("trained", "asked"), [
    ("native", "lif"), ("stock", "lif"), ("lif", "native"),
])
def test_a_reset_is_not_put_in_or_left_out(trained, asked):
    changes = {"mode_init": "s4d-real", "modes": 1} if trained == "stock" else {}
    message = refusal(checkpoint_of(cells=trained, **changes), cells=asked)
    assert message.startswith(
        f"blocks.0.ssm: the model has {trained} cells, which {asked} cells cannot be: one resets"
    )
    assert "Leave out --cells" in message and f'model.cells = "{asked}"' in message


def test_a_threshold_that_overflows():
    def change(array):
        array[4] = 1000.0

    checkpoint = checkpoint_of(activation="ternary-constant")
    message = refusal(with_array(checkpoint, "blocks.1.log_threshold", change))
    assert message == (
        "blocks.1.log_threshold: the threshold [4] is inf; expected a finite number. Retrain with "
        "a lower training.rate."
    )


def test_stock_cells_that_are_none():
    stock = checkpoint_of(cells="stock", mode_init="s4d-real", modes=1)

    def zero(array):
        array[2] = 0.0

    def huge(array):
        array[2] = 1000.0

    message = refusal(with_array(stock, "blocks.1.norm.weight", zero))
    assert message == (
        "blocks.1.norm: a scale of 0 leaves a neuron without input. Retrain, or prune the channel."
    )
    message = refusal(with_array(stock, "blocks.0.ssm.a", huge))
    assert message == (
        "blocks.0.ssm: a decay overflows. Retrain with a lower training.mode_rate."
    )


def test_real_valued_input_lowers_to_currents():
    checkpoint = checkpoint_of(input_bits=0)
    for encoding in (None, "current"):
        source = lower(checkpoint, encoding=encoding).source
        assert (source.encoding, source.bits, source.size) == ("current", 0, 1)


def test_arrays_that_do_not_fit():
    checkpoint = checkpoint_of()
    config = replace(checkpoint.config, model=replace(checkpoint.config.model, channels=7))
    assert "its configuration asks for (7, 1)" in refusal(
        Checkpoint(config, checkpoint.arrays), CheckpointError
    )


def test_a_parameter_that_is_not_finite():
    def change(array):
        array[2, 1] = np.nan

    broken = with_array(checkpoint_of(), "blocks.0.mixing.weight", change)
    assert "blocks.0.mixing.weight[2, 1] is nan" in refusal(broken, FileError)


def test_errors_are_the_projects_own():
    assert issubclass(LoweringError, SnnSsmError)
