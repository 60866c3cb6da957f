"""Populations of several spikes in a step, and the ones of one each that stand for them."""

from dataclasses import replace

import numpy as np
import pytest
from support.cell_parts import with_parts
from support.gated_networks import lowered
from support.random_networks import network_of, network_samples

from export.description.multiplicity import in_units, unit_names
from export.fixed_point import simulation as integers
from export.lowering import lower
from export.samples.multiplicity import counted
from export.samples.readout import logits
from export.software import simulation as software


@pytest.mark.parametrize("seed", range(6))
def test_what_it_sends_is_what_those_of_one_spike_send_together(seed):
    """A history moves all thresholds alike, and no reset: the populations need not know."""
    network = with_parts(network_of(seed, steps=20), seed)
    network = replace(network, populations=tuple(
        replace(p, cell=replace(p.cell, reset=None, history=None)) for p in network.populations
    ))
    samples = network_samples(network, 4)
    units = in_units(network)
    assert all(p.levels == 1 for p in units.populations)
    whole, parts = software.run(network, samples), software.run(units, samples)
    found = counted(network, parts)
    assert found.spikes.keys() == whole.spikes.keys()
    for name, spikes in whole.spikes.items():
        assert found.spikes[name].dtype == spikes.dtype
        assert (found.spikes[name] == spikes).all()
    assert (logits(network, samples, whole) == logits(units, samples, parts)).all()


def test_a_network_of_one_spike_is_left_as_it_is():
    network = network_of(1)
    recording = software.run(network, network_samples(network))
    assert in_units(network) is network and counted(network, recording) is recording


def test_names_and_thresholds():
    checkpoint, network, _ = lowered("integer")
    population = network.population("layer0")
    assert unit_names(population) == ("layer0", "layer0_2", "layer0_3")
    units = in_units(network)
    thetas = [units.population(name).cell.theta for name in unit_names(population)]
    assert (np.stack(thetas, axis=1) == population.cell.thresholds).all()
    assert len(lower(checkpoint).projections) < len(units.projections)


def test_integer_arithmetic_counts_too():
    _, network, samples = lowered("integer", input_bits=4)
    found = integers.run(network, samples)
    of_units = integers.run(in_units(network), samples)
    for name, spikes in found.spikes.items():
        parts = [of_units.spikes[unit] for unit in unit_names(network.population(name))]
        assert (spikes == np.sum(parts, axis=0)).all() and spikes.max() > 1
    planned = integers.plan_network(network).populations
    assert planned.keys() == {p.name for p in in_units(network).populations}
