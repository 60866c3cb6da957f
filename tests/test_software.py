"""The software backend, bit for bit, against a simulator of explicit delay lines in plain Python.

The simulator here knows the cell's equation, weights, delays and each population's first step, and
nothing else: spikes travel through queues, step by step, as in NEST or on a board.
"""

import math

import numpy as np
import pytest
from conftest import checkpoint_of, network_of, network_samples, samples_of
from hypothesis import given, settings
from hypothesis import strategies as st

from export import software
from export.inputs import InputError
from export.lower import lower
from export.network import NetworkError
from export.software import run
from pynn_models import StateSpaceCell


class ScalarNeuron:
    """One neuron of a cell: Python numbers, modes ascending."""

    def __init__(self, cell, h, dt):
        self.modes = []
        for n in range(cell.n_modes):
            decay = math.exp(-dt / float(cell.tau[h, n]))
            angle = float(cell.omega[h, n]) * dt if cell.is_complex else 0.0
            c_im = float(cell.c_im[h, n]) if cell.is_complex else 0.0
            a = (decay * math.cos(angle), decay * math.sin(angle))
            self.modes.append((a, float(cell.c_re[h, n]), c_im))
        self.is_complex = cell.is_complex
        self.d, self.theta, self.bias = (float(v[h]) for v in (cell.d, cell.theta, cell.bias))
        self.reset()

    def reset(self):
        self.state = [(0.0, 0.0)] * len(self.modes)

    def step(self, arriving):
        u = arriving + self.bias
        total, state = 0.0, []
        for ((ar, ai), cr, ci), (xr, xi) in zip(self.modes, self.state, strict=True):
            if self.is_complex:
                xr, xi = (ar * xr - ai * xi) + u, ar * xi + ai * xr
                total += cr * xr - ci * xi
            else:
                xr = ar * xr + u
                total += cr * xr
            state.append((xr, xi))
        self.state = state
        y = total + self.d * u
        return y, y > self.theta


def simulate(network, samples):
    """Spikes and membranes by population and simulator step: (steps in all, H), not shifted.

    Samples follow each other without a gap. Population p starts at step latency(p); until then it
    throws its input away.
    """
    source, length = network.source, network.steps
    count = len(samples) * length
    last = max(p.latency for p in network.populations)
    total = last + count
    neurons = {
        p.name: [ScalarNeuron(p.cell, h, network.timestep) for h in range(p.size)]
        for p in network.populations
    }
    arriving = {p.name: [[0.0] * p.size for _ in range(total)] for p in network.populations}
    spikes = {p.name: np.zeros((total, p.size), bool) for p in network.populations}
    membranes = {p.name: np.zeros((total, p.size)) for p in network.populations}

    def emit(name, step, values):
        for projection in network.projections:
            if projection.source != name or step + projection.delay >= total:
                continue
            line = arriving[projection.target][step + projection.delay]
            for i, value in enumerate(values):
                if value:
                    for j, weight in enumerate(projection.weights[i].tolist()):
                        line[j] += weight * value

    for step in range(total):
        if step < count:
            column = samples[step // length, :, step % length]
            values = [int(v) for v in column]
            if source.encoding == "bits":
                values = [v >> j & 1 for v in values for j in range(source.bits)]
            emit(source.name, step, values)
        for population in network.populations:
            k = step - population.latency
            if k < 0:
                continue
            fired = []
            for h, neuron in enumerate(neurons[population.name]):
                if k % length == 0:
                    neuron.reset()
                y, spike = neuron.step(arriving[population.name][step][h])
                membranes[population.name][step, h] = y
                fired.append(int(spike))
            spikes[population.name][step] = fired
            emit(population.name, step, fired)
    return spikes, membranes


def assert_same_bits(network, samples):
    names = [p.name for p in network.populations]
    recording = run(network, samples, membranes=names)
    spikes, membranes = simulate(network, samples)
    assert set(recording.spikes) == {p.name for p in network.layers}
    assert set(recording.membranes) == set(names)
    for population in network.populations:
        window = slice(population.latency, population.latency + len(samples) * network.steps)
        shape = (len(samples), network.steps, population.size)
        y = membranes[population.name][window].reshape(shape)
        found = recording.membranes[population.name]
        assert found.shape == shape
        assert (found == y).all(), population.name
        if population.name in recording.spikes:
            s = spikes[population.name][window].reshape(shape)
            assert (recording.spikes[population.name] == s).all()
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
)
def test_random_networks_bit_for_bit(seed, encoding, layers, tied, delay, timestep, steps):
    network = network_of(
        seed, encoding=encoding, layers=layers, tied=tied, delay=delay, timestep=timestep,
        steps=steps,
    )
    assert_same_bits(network, network_samples(network))


@pytest.mark.parametrize("init", ["s4d-lin", "s4d-real"])
@pytest.mark.parametrize("encoding", ["bits", "current"])
@pytest.mark.parametrize("delay", [1, 3])
def test_lowered_networks_bit_for_bit(init, encoding, delay):
    checkpoint = checkpoint_of(depth=2, mode_init=init, steps=15)
    network = lower(checkpoint, encoding=encoding, delay=delay)
    recording = assert_same_bits(network, samples_of(checkpoint, 2))
    for spikes in recording.spikes.values():
        assert 0.02 < spikes.mean() < 0.98


def test_the_simulator_here_would_notice_a_wrong_delay():
    """Guards the comparison: with a projection one step later the spikes differ."""
    network = lower(checkpoint_of(steps=15))
    samples = samples_of(checkpoint_of(steps=15), 2)
    expected = simulate(network, samples)[0]["layer1"]
    for projection in network.projections:
        if (projection.source, projection.target) == ("layer0", "layer1"):
            object.__setattr__(projection, "delay", 2)
    assert (simulate(network, samples)[0]["layer1"] != expected).any()


def test_samples_do_not_depend_on_each_other_or_on_the_batch(monkeypatch):
    network = network_of(3)
    samples = network_samples(network, 53)
    names = [p.name for p in network.populations]
    whole = run(network, samples, membranes=names)  # two batches of at most 50
    monkeypatch.setattr(software, "_BATCH", 7)
    parts = run(network, samples, membranes=names)
    alone = run(network, samples[51:52], membranes=names)
    for kind in ("spikes", "membranes"):
        for name, values in getattr(whole, kind).items():
            assert (getattr(parts, kind)[name] == values).all()
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


def test_samples_that_do_not_fit_are_refused():
    network = network_of(3)
    with pytest.raises(InputError, match="samples have shape"):
        run(network, network_samples(network)[..., :-1])


def test_an_unknown_membrane_is_refused():
    network = network_of(3)
    with pytest.raises(NetworkError, match="there is no population 'hidden'"):
        run(network, network_samples(network), membranes=["hidden"])
