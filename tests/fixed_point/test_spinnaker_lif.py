"""Plans of leaky neurons: nothing overflows, the decay is the board's nearest, refusals."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gated_networks import leaky_network_of, samples_for

from export.fixed_point import simulation as spinnaker
from export.fixed_point.lif import SpinnakerLifError, plan_lif
from export.fixed_point.report import describe_plan
from export.fixed_point.rows import mode_row, ring_row
from export.software import simulation as software
from pynn_models.cells import propagator
from pynn_models.spinnaker import from_s1615
from pynn_models.spinnaker.delta import delta_constants
from pynn_models.spinnaker.synapses import RING_MAX


def network_of(seed, timestep=1.0, **changes):
    """A network of leaky neurons whose thresholds the board can have."""
    network = leaky_network_of(seed, timestep=timestep, **changes)
    populations = []
    for p in network.populations:
        if p.name.startswith("layer"):
            theta = np.abs(p.cell.theta) + 0.05
            cell = dataclasses.replace(p.cell, theta=theta, tau=(p.cell.tau + 0.3) * timestep)
            p = dataclasses.replace(p, cell=cell)
        populations.append(p)
    return dataclasses.replace(network, populations=tuple(populations))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 1.0, 2.0]))
def test_ring_buffers_hold_all_sources_and_the_bias(seed, timestep):
    """And half of s16.15 every input and membrane, at any timestep."""
    network = network_of(seed, timestep)
    plan = spinnaker.plan_network(network)
    spinnaker.check_plan(network, plan)
    for name, found in plan.populations.items():
        population = network.population(name)
        total = np.zeros((2, population.size))
        pairs = [found.stored(p) for p in network.incoming(name)]
        for stored in [*pairs, *([found.constant()] if found.constant() else [])]:
            total += np.stack([m.astype(int).sum(axis=0) for m in stored])
        assert (total <= RING_MAX).all()
        rate = from_s1615(delta_constants(found.cell, timestep).rate)
        assert (np.ldexp(total, np.array(found.shifts)[:, None] - 15) * rate < 2**15).all()
        row = ring_row(network, population, found)
        assert row.load == tuple(total.max(axis=1) / RING_MAX) and row.can_saturate == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("calibrated", [False, True])
def test_spikes_are_those_of_float64(seed, calibrated):
    """But for decays of 15 bits, which move a spike only where a membrane is at its threshold."""
    network = network_of(seed, steps=40)
    samples = samples_for(network, 4, seed)
    expected = software.run(network, samples).spikes
    plan = spinnaker.make_plan(network, samples if calibrated else None)
    found = spinnaker.run(network, samples, plan=plan, allow_overflow=True).spikes
    differing = sum(int((found[n] != s).sum()) for n, s in expected.items())
    assert differing <= 0.002 * sum(s.size for s in expected.values())
    assert sum(int(s.sum()) for s in expected.values()) > 50


def test_the_decay_is_within_two_units_of_the_last_place():
    network = network_of(0)
    for population in network.layers:
        plan = plan_lif(network, population)
        row = mode_row(network, population, plan)
        trained, _ = propagator(population.cell.tau, None, network.timestep)
        tc = from_s1615(delta_constants(plan.cell, network.timestep).tc)
        assert row.radius_drift == np.abs(tc - trained).max() < 2 * 2**-15
    text = describe_plan(network, spinnaker.plan_network(network))
    assert "The logits of LIF cells are computed from spike counts, on the host." in text


def test_a_threshold_is_exceeded_as_in_float64():
    """V of the threshold itself is no spike; the next integer is."""
    network = network_of(1)
    population = network.layers[0]
    plan = plan_lif(network, population)
    constants = delta_constants(plan.cell, network.timestep)
    exact = population.cell.theta * plan.scale * (1 - from_s1615(constants.tc)) * 2**15
    assert np.array_equal(constants.v_thresh, np.floor(exact) + 1)


def test_refusals():
    network = leaky_network_of(0)
    layer = network.layers[0]
    below = dataclasses.replace(layer.cell, theta=np.full(layer.size, -0.25))
    with pytest.raises(SpinnakerLifError) as caught:
        plan_lif(network, dataclasses.replace(layer, cell=below))
    assert str(caught.value) == (
        "population 'layer0', neuron 0: theta is -0.25; expected at least 0: a neuron at rest "
        "above its threshold spikes before the first step. Train with a threshold above 0."
    )
    slow = dataclasses.replace(
        layer.cell, theta=np.ones(layer.size), tau=np.full(layer.size, 1e6)
    )
    with pytest.raises(Exception, match="'layer0', neuron 0: tau is 1000000.0 ms at a timestep"):
        plan_lif(network, dataclasses.replace(layer, cell=slow))
