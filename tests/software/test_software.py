"""The software backend, bit for bit, against the simulator of delay lines in plain Python."""

import ctypes
import ctypes.util
import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cell_parts import with_parts
from support.gated_networks import KINDS, gated_network_of, leaky_network_of, lowered, samples_for
from support.random_networks import checkpoint_of, network_of, network_samples, samples_of
from support.scalar_simulator import assert_same_bits as assert_equal
from support.scalar_simulator import simulate

from export.description.cells import kind_of
from export.description.network import NetworkError
from export.lowering.network import lower
from export.samples.inputs import InputError
from export.software import simulation as software
from export.software.loops import compiled
from export.software.simulation import run
from pynn_models import StateSpaceCell
from pynn_models.branches import BRANCHES
from pynn_models.cells import LeakyCell


def assert_same_bits(network, samples):
    names = [p.name for p in network.populations]
    recording = run(network, samples, membranes=names)
    assert_equal(network, samples, recording)
    return recording


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    encoding=st.sampled_from(["bits", "current"]),
    layers=st.integers(0, 3),
    tied=st.booleans(),
    delay=st.integers(1, 3),
    timestep=st.sampled_from([1.0, 0.5, 0.1]),
    steps=st.integers(1, 12),
    parts=st.booleans(),
)
def test_random_networks_bit_for_bit(
    seed, encoding, layers, tied, delay, timestep, steps, parts
):
    network = network_of(
        seed, encoding=encoding, layers=layers, tied=tied, delay=delay, timestep=timestep,
        steps=steps,
    )
    network = with_parts(network, seed) if parts else network
    assert_same_bits(network, network_samples(network))


def test_cells_with_parts_are_drawn_that_spike_and_count():
    """The networks of the test above are of all parts, and of spikes that these make."""
    drawn = [with_parts(network_of(seed, steps=30), seed) for seed in range(20)]
    cells = [p.cell for network in drawn for p in network.layers]
    assert {c.reset is None or c.reset.is_hard for c in cells} == {True, False}
    assert {c.history is None for c in cells} == {c.levels == 1 for c in cells} == {True, False}
    counts = [
        spikes for network in drawn
        for spikes in software.run(network, network_samples(network)).spikes.values()
    ]
    assert {s.dtype for s in counts} == {np.dtype(bool), np.dtype(np.uint8)}
    assert max(s.max() for s in counts) == 4
    for network, spikes in zip(drawn, counts, strict=False):
        assert spikes.shape[1] == network.steps


@pytest.mark.parametrize("init", ["s4d-lin", "s4d-real"])
@pytest.mark.parametrize("encoding", ["bits", "current"])
@pytest.mark.parametrize("delay", [1, 3])
def test_lowered_networks_bit_for_bit(init, encoding, delay):
    checkpoint = checkpoint_of(depth=2, mode_init=init, steps=15)
    network = lower(checkpoint, encoding=encoding, delay=delay)
    recording = assert_same_bits(network, samples_of(checkpoint, 2))
    for spikes in recording.spikes.values():
        assert 0.02 < spikes.mean() < 0.98


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["glu", "gsu"]),
    encoding=st.sampled_from(["bits", "current", "token", "spikes"]),
    layers=st.integers(1, 3),
    delay=st.integers(1, 3),
    timestep=st.sampled_from([1.0, 0.1]),
)
def test_random_gated_networks_bit_for_bit(seed, kind, encoding, layers, delay, timestep):
    """Branches, graded projections onto gates and readout, and every way of input."""
    network = gated_network_of(
        seed, kind, encoding=encoding, layers=layers, delay=delay, timestep=timestep
    )
    assert_same_bits(network, samples_for(network))


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    encoding=st.sampled_from(["bits", "spikes"]),
    layers=st.integers(1, 3),
    delay=st.integers(1, 3),
    timestep=st.sampled_from([1.0, 0.1]),
)
def test_random_leaky_networks_bit_for_bit(seed, encoding, layers, delay, timestep):
    network = leaky_network_of(
        seed, encoding=encoding, layers=layers, delay=delay, timestep=timestep
    )
    assert_same_bits(network, samples_for(network))


@pytest.mark.parametrize("kind", KINDS)
def test_lowered_networks_of_every_kind_bit_for_bit(kind):
    _, network, samples = lowered(kind, steps=12, count=2)
    recording = assert_same_bits(network, samples)
    assert sum(int(spikes.sum()) for spikes in recording.spikes.values()) > 20


def test_the_simulator_here_would_notice_a_wrong_delay():
    """Guards the comparison: with a projection one step later the spikes differ."""
    network = lower(checkpoint_of(steps=15))
    samples = samples_of(checkpoint_of(steps=15), 2)
    expected = simulate(network, samples)[0]["layer1"]
    for projection in network.projections:
        if (projection.source, projection.target) == ("layer0", "layer1"):
            object.__setattr__(projection, "delay", 2)
    assert (simulate(network, samples)[0]["layer1"][:17] != expected[:17]).any()  # of one sample


@pytest.mark.parametrize("change", [
    lambda p: object.__setattr__(p, "graded", False),
    lambda p: object.__setattr__(p, "receptor", p.receptor.replace("gate", "value")),
    lambda p: object.__setattr__(p, "delay", p.delay + 1),
], ids=["spikes for membranes", "value for gate", "delay"])
def test_the_simulator_here_would_notice_a_wrong_gate(change):
    """Guards the comparison, as above."""
    network = gated_network_of(2, "gsu")
    samples = samples_for(network)
    expected = simulate(network, samples)[1]["layer1"]
    (gate,) = network.incoming("layer1", "gate0")
    change(gate)
    first = slice(network.steps)  # before the second sample, which a longer delay puts off
    assert (simulate(network, samples)[1]["layer1"][first] != expected[first]).any()


def test_samples_do_not_depend_on_each_other_or_on_the_batch(monkeypatch):
    network = network_of(3)
    samples = network_samples(network, 53)
    names = [p.name for p in network.populations]
    whole = run(network, samples, membranes=names)  # two batches of at most 50
    monkeypatch.setattr(software, "_BATCH", 7)
    parts = run(network, samples, membranes=names)
    monkeypatch.setattr(software, "_VALUES", 1)  # one sample at once, however large
    small = run(network, samples, membranes=names)
    alone = run(network, samples[51:52], membranes=names)
    for kind in ("spikes", "membranes"):
        for name, values in getattr(whole, kind).items():
            assert (getattr(parts, kind)[name] == values).all()
            assert (getattr(small, kind)[name] == values).all()
            assert (getattr(alone, kind)[name] == values[51:52]).all()


def test_membranes_are_kept_for_the_named_populations_only():
    network = network_of(3)
    samples = network_samples(network)
    assert run(network, samples).membranes == {}
    recording = run(network, samples, membranes=["layer1"])
    assert set(recording.membranes) == {"layer1"}
    assert recording.backend == "software" and recording.timestep == network.timestep
    for name, spikes in run(network, samples, membranes=["readout"]).spikes.items():
        assert (recording.spikes[name] == spikes).all()


@pytest.mark.parametrize("is_complex", [True, False])
def test_a_spike_is_strictly_above_the_threshold(is_complex):
    zeros = np.zeros((3, 1))
    cell = StateSpaceCell(
        tau=zeros + 5.0,
        omega=zeros if is_complex else None,
        c_re=zeros,
        c_im=zeros if is_complex else None,
        d=np.ones(3),
        theta=np.array([1.0, np.nextafter(1.0, 0.0), np.nextafter(1.0, 2.0)]),
        bias=np.zeros(3),
    )
    spikes, membrane = software.run_cell(cell, np.ones((1, 2, 3)), 1.0, membrane=True)
    assert spikes.tolist() == [[[False, True, False]] * 2] and (membrane == 1).all()


def test_a_spike_leaves_the_state_alone():
    cell = StateSpaceCell(
        tau=[[np.inf]], c_re=[[1.0]], d=[0.0], theta=[1.5], bias=[0.0],
    )
    spikes, membrane = software.run_cell(cell, np.ones((1, 4, 1)), 1.0, membrane=True)
    assert membrane[0, :, 0].tolist() == [1, 2, 3, 4]
    assert spikes[0, :, 0].tolist() == [False, True, True, True]


def test_a_leaky_neuron_spikes_strictly_above_its_threshold_and_is_reset():
    cell = LeakyCell(
        tau=[1e300] * 3, theta=[2.0, np.nextafter(2.0, 0.0), 3.5], bias=np.zeros(3)
    )
    spikes, membrane = software.run_cell(cell, np.ones((1, 5, 3)), 1.0, membrane=True)
    assert membrane[0].T.tolist() == [[1, 2, 3, 1, 2], [1, 2, 1, 2, 1], [1, 2, 3, 4, 1]]
    assert spikes[0].T.tolist() == [
        [False, False, True, False, False],
        [False, True, False, True, False],
        [False, False, False, True, False],
    ]


@pytest.mark.parametrize("kind", ["complex", "real", "lif"])
def test_a_sequence_in_pieces_is_the_sequence(kind):
    rng = np.random.default_rng(0)
    u = rng.normal(size=(3, 40, 5))
    constants = {"theta": np.full(5, 0.5), "bias": np.zeros(5)}
    if kind == "lif":
        cell = LeakyCell(tau=rng.uniform(1, 20, 5), **constants)
    else:
        rotations = {"omega": rng.normal(size=(5, 2)), "c_im": rng.normal(size=(5, 2))}
        cell = StateSpaceCell(
            tau=rng.uniform(1, 20, (5, 2)), c_re=rng.normal(size=(5, 2)), d=rng.normal(size=5),
            **constants, **(rotations if kind == "complex" else {}),
        )  # fmt: skip
    whole = software.run_cell(cell, u, 1.0, membrane=True)
    state = kind_of(cell).state(cell, 3)
    pieces = [
        software.run_cell(cell, np.ascontiguousarray(u[:, a:b]), 1.0, membrane=True, state=state)
        for a, b in ((0, 1), (1, 17), (17, 17), (17, 40))
    ]
    for found, expected in zip(zip(*pieces, strict=True), whole, strict=True):
        assert (np.concatenate(found, axis=1) == expected).all()
    assert whole[0].any() and not whole[0].all()


def test_silent_populations_run_only_where_they_are_read(monkeypatch):
    """What gathers for the readout costs as much as a layer."""
    network = gated_network_of(1, "gsu")
    cells = {id(p.cell): p.name for p in network.populations}
    ran, run_cell = [], software.run_cell

    def spy(cell, *arguments, **options):
        ran.append(cells[id(cell)])
        return run_cell(cell, *arguments, **options)

    monkeypatch.setattr(software, "run_cell", spy)
    run(network, samples_for(network))
    assert ran == ["layer0", "layer1"]
    ran.clear()
    recording = run(network, samples_for(network), membranes=["readout"])
    assert ran == ["layer0", "layer1", "stream", "readout"]
    assert set(recording.membranes) == {"readout"}


# --- the C library ----------------------------------------------------------------------------


def libm(name):
    function = getattr(ctypes.CDLL(ctypes.util.find_library("m")), name)
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
    return function


def points():
    rng = np.random.default_rng(0)
    return np.concatenate([
        rng.normal(size=1500), rng.normal(size=1500) * 8, rng.uniform(-700, 700, 500),
        10.0 ** rng.uniform(-300, 2, 300), [0.0, -0.0, 745.0, -746.0, 6.0, -6.0],
    ])


@pytest.mark.parametrize("name", ["exp", "erf"])
def test_exp_and_erf_of_the_loops_are_the_c_librarys(name):
    function, reference = getattr(math, name), libm(name)

    @numba.njit
    def mapped(x):
        found = np.empty_like(x)
        for i in range(len(x)):
            found[i] = function(x[i])
        return found

    x = points()
    x = x[x < 709] if name == "exp" else x
    assert (mapped(x) == [reference(v) for v in x.tolist()]).all()


def loop_of(kind):
    return compiled(BRANCHES[kind].loop)


def test_the_gates_are_the_c_librarys_bit_for_bit():
    """Both branches by hand, one rounding an operation, as the NEST model has them."""
    exp, erf, rng = libm("exp"), libm("erf"), np.random.default_rng(1)
    value, gate, before = rng.normal(size=(3, 1, 400, 2)) * 3
    shift, gain = rng.normal(size=(2, 2))
    after = before.copy()
    loop_of("glu")(value, gate, shift, gain, after)
    for at in np.ndindex(value.shape):
        v, g = float(value[at]), float(gate[at])
        assert after[at] == float(before[at]) + v / (1.0 + exp(-g))
    after = before.copy()
    loop_of("gsu")(value, gate, shift, gain, after)
    for at in np.ndindex(value.shape):
        z = float(value[at]) * float(gate[at]) + float(shift[at[2]])
        gelu = (0.5 * z) * (1.0 + erf(z * math.sqrt(0.5)))
        assert after[at] == float(before[at]) + gelu * float(gain[at[2]])


def test_a_gate_far_below_zero_closes_and_far_above_opens():
    value, gate = np.full((1, 2, 1), 3.0), np.array([[[-1e4], [1e4]]])
    u = np.zeros((1, 2, 1))
    loop_of("glu")(value, gate, np.zeros(1), np.ones(1), u)
    assert u[0, :, 0].tolist() == [0.0, 3.0]


# --- refusals ---------------------------------------------------------------------------------


def test_samples_that_do_not_fit_are_refused():
    network = network_of(3)
    with pytest.raises(InputError, match="samples have shape"):
        run(network, network_samples(network)[..., :-1])


def test_an_unknown_membrane_is_refused():
    network = network_of(3)
    with pytest.raises(NetworkError, match="there is no population 'hidden'"):
        run(network, network_samples(network), membranes=["hidden"])
