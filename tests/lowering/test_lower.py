"""Lowering: the network is the trained model, spike for spike; its cells, its schedule."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_networks import NORMS, checkpoint_of, samples_of, with_array

from export.lowering.network import INPUT, READOUT, lower
from export.samples.readout import accumulated_logits, logits
from export.software import simulation as software
from pynn_models import propagator
from snn_ssm.levels import levels
from snn_ssm.poles import discretise

COMBINATIONS = list(
    itertools.product(
        NORMS, ["mean", "last"], ["zoh", "bilinear"], ["s4d-lin", "s4d-real"], [1, 2, 3]
    )
)


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
    from snn_ssm.model.restore import load_network

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


@pytest.mark.parametrize(("depth", "changes"), [
    (1, {}), (2, {}), (2, {"reset": "soft"}), (2, {"reset": "hard", "refractory": 1}),
])
def test_bilinear_real_modes_that_change_sign(depth, changes):
    checkpoint = checkpoint_of(
        3, mode_init="s4d-real", discretisation="bilinear", depth=depth, dt_min=1.0, dt_max=8.0,
        **changes,
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


def test_real_valued_input_lowers_to_currents():
    checkpoint = checkpoint_of(input_bits=0)
    for encoding in (None, "current"):
        source = lower(checkpoint, encoding=encoding).source
        assert (source.encoding, source.bits, source.size) == ("current", 0, 1)

# --- the cell ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["zoh", "bilinear"])
def test_the_discretisation_is_the_trainers(method):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from snn_ssm.model import modes

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
    assert (cell.d == arrays["blocks.0.ssm.d"]).all()
    assert (cell.theta == levels(checkpoint)[0].value).all()
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
