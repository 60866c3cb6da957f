"""Event-based gated units in ``software``: every bit of a plain loop of delay lines."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.egru_networks import egru_network_of, unit
from support.random_networks import network_samples
from support.scalar_simulator import assert_same_bits, period_of, simulate

from export.description import describe
from export.description.inspection import bounds
from export.description.network import NetworkError, Population, Projection
from export.description.storage import load_network, save_network
from export.samples.inputs import encode
from export.software import run
from export.software.simulation import advance, run_cell
from export.software.states import at_rest
from pynn_models.cells import EgruCell


def everything(network):
    return [p.name for p in network.populations]


@pytest.mark.parametrize("seed", range(6))
def test_every_bit_of_a_plain_loop(seed):
    """Values that come as early as they can, forward and within a layer, at every receptor."""
    network = egru_network_of(
        seed, layers=1 + seed % 3, encoding=("bits", "current")[seed % 2], late=0, back="own"
    )
    samples = network_samples(network, 2, seed)
    found = run(network, samples, membranes=everything(network))
    assert_same_bits(network, samples, found)
    assert any(s.any() for s in found.spikes.values())


@pytest.mark.parametrize("seed", range(8))
def test_every_event_of_a_plain_loop(seed):
    """Also back to earlier layers, and late: in which order values are added up is not said."""
    network = egru_network_of(seed, layers=1 + seed % 3)
    samples = network_samples(network, 2, seed)
    found = run(network, samples, membranes=everything(network))
    spikes, membranes = simulate(network, samples)
    period = period_of(network)
    for population in network.populations:
        at = slice(population.latency, population.latency + 2 * period)
        v, s = (
            rows[population.name][at].reshape(2, period, -1)[:, : network.steps]
            for rows in (membranes, spikes)
        )
        assert np.allclose(found.membranes[population.name], v, rtol=0, atol=1e-11)
        assert not population.spikes or (found.spikes[population.name] == s).all()


def by_hand():
    """One unit of one step: z = 1/2, r = 1/2, q = 2, g = tanh(1 + 1)."""
    return EgruCell(
        theta=[0.25], bias=[1.0], update_bias=[0.0], reset_bias=[0.0], recurrent_bias=[2.0]
    )


def test_two_steps_by_hand():
    spikes, v = run_cell(by_hand(), np.tile([1.0, 0, 0, 0], (1, 2, 1)), 1.0, membrane=True)
    g = math.tanh(2.0)  # of the loop's input, which has the bias already
    first = 0.5 * g
    assert v[0, :, 0].tolist() == [first, 0.5 * (first - 0.25) + 0.5 * g]
    assert spikes.all()


def test_a_membrane_at_its_threshold_is_no_event():
    v = 0.5 * math.tanh(2.0)
    at, above = (
        run_cell(replace(by_hand(), theta=[theta]), np.full((1, 1, 4), [1.0, 0, 0, 0]), 1.0,
                 membrane=False)[0].any()
        for theta in (v, np.nextafter(v, 0))
    )
    assert not at and above


def test_without_an_event_nothing_is_sent():
    """Recurrent weights of any size change nothing as long as no threshold is reached."""
    network = egru_network_of(3, back=1.0, cell=lambda rng, n: unit(rng, n, theta=[1.0] * n))
    samples = network_samples(network)
    found = run(network, samples, membranes=everything(network))
    assert not any(s.any() for s in found.spikes.values())  # |v| < 1 whatever arrives
    alone = replace(
        network, projections=tuple(p for p in network.projections if p.source == "input")
    )
    again = run(alone, samples, membranes=everything(network))
    assert all((found.membranes[n] == again.membranes[n]).all() for n in found.membranes)


@settings(max_examples=25)
@given(
    st.integers(0, 2**20), st.sampled_from([1e-3, 1.0, 1e3]),
    st.lists(st.floats(1e-6, 1.0), min_size=4, max_size=4),
)
def test_states_stay_within_1_whatever_arrives(seed, scale, thresholds):
    rng = np.random.default_rng(seed)
    cell = unit(rng, 4, theta=thresholds)
    u = rng.normal(size=(2, 30, 16)) * scale
    spikes, v = run_cell(cell, u, 1.0, membrane=True)
    assert (np.abs(v) <= 1).all() and (spikes == (v > cell.theta)).all()


def test_bounds_hold_in_a_loop():
    network = egru_network_of(5, back=1.0)
    found = run(network, network_samples(network, 6), membranes=everything(network))
    for name, bound in bounds(network).items():
        assert np.abs(found.membranes[name]).max() <= bound.y
    text = describe(network)
    assert "gated" in text and "layer0 -> layer0 (recurrent, graded)" in text


@pytest.mark.parametrize("piece", [1, 2, 5])
def test_a_few_steps_at_a_time(piece):
    network = egru_network_of(6, back=1.0)
    samples = network_samples(network)
    whole = run(network, samples, membranes=everything(network))
    states, encoded = at_rest(network, len(samples)), encode(network, samples)
    for start in range(0, network.steps, piece):
        part = advance(network, states, encoded[:, start : start + piece], everything(network))
        for name, values in part.membranes.items():
            assert (values == whole.membranes[name][:, start : start + piece]).all()


def test_it_is_stored_bit_for_bit(tmp_path):
    network = egru_network_of(7, back=1.0)
    save_network(network, tmp_path / "network")
    again = load_network(tmp_path / "network")
    samples = network_samples(network)
    one, other = (run(n, samples, membranes=["layer1"]) for n in (network, again))
    assert (one.membranes["layer1"] == other.membranes["layer1"]).all()
    text = (tmp_path / "network" / "network.json").read_text()
    assert '"cell": "egru"' in text and '"receptor": "update"' in text and '"schema": 2' in text


def refused(network, projection):
    with pytest.raises(NetworkError) as refusal:
        replace(network, projections=(*network.projections, projection))
    return str(refusal.value)


def test_what_does_not_fit_is_refused():
    network = egru_network_of(0, layers=1, back=0.0)
    size = network.population("layer0").size
    square = np.ones((size, size))
    assert "has no receptor 'value0'; it has input, update, reset, recurrent" in refused(
        network, Projection("layer0", "layer0", square, 1, "value0", True)
    )
    late = np.ones((size, size), int)
    late[0, 0] = 2
    if size > 1:
        assert "an event's value arrives from every neuron at once; expected all weights" in (
            refused(network, Projection("layer0", "layer0", square, late, "update", True))
        )
    with pytest.raises(NetworkError, match="a EgruCell in a network of lif cells; expected Leaky"):
        replace(network, cells="lif")
    with pytest.raises(NetworkError, match="of the kind 'egru'; expected state-space cells"):
        _ = Population("layer", unit(np.random.default_rng(0), 2), 1).state_space
