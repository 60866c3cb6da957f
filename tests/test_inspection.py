"""The bounds that ``inspect`` prints are bounds, and its table names everything."""

import numpy as np
import pytest
from conftest import checkpoint_of, network_of, samples_of

from export import software
from export.inspection import describe, input_bound, membrane_bound, table, verification_table
from export.lower import lower


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("encoding", ["bits", "current"])
def test_no_membrane_exceeds_its_bound(seed, encoding):
    checkpoint = checkpoint_of(seed, steps=60)
    network = lower(checkpoint, encoding=encoding)
    names = [p.name for p in network.populations]
    found = software.run(network, samples_of(checkpoint, 5), membranes=names)
    for population in network.populations:
        largest = np.abs(found.membranes[population.name]).max()
        assert 0 < largest <= membrane_bound(network, population)


def test_the_input_bound_is_reached_by_the_worst_spikes():
    network = network_of(1, layers=1)
    population = network.populations[0]
    (projection,) = network.incoming(population.name)
    positive = np.maximum(projection.weights, 0).sum(axis=0) + population.cell.bias
    negative = np.minimum(projection.weights, 0).sum(axis=0) + population.cell.bias
    worst = max(np.abs(positive).max(), np.abs(negative).max())
    assert worst <= input_bound(network, population)


def test_real_valued_currents_have_no_bound():
    network = lower(checkpoint_of(0, input_bits=0), encoding="current")
    assert input_bound(network, network.populations[0]) == np.inf


def test_everything_is_named():
    network = network_of(2, layers=3)
    text = describe(network)
    for population in network.populations:
        assert population.name in text
    for projection in network.projections:
        row = next(
            line for line in text.splitlines()
            if line.startswith(f"{projection.source} -> {projection.target} ")
        )
        assert row.split()[3:5] == [str(projection.weights.size), str(projection.delay)]
    synapses = sum(p.weights.size for p in network.projections)
    assert f"{synapses} synapses" in text


def test_table_aligns_columns():
    assert table(["a", "bb"], [["x", 1], ["long", 22]]) == "a     bb\nx      1\nlong  22"


def test_the_verification_table_names_a_divergence():
    found = {"mismatched_spikes": 3, "accuracy": 0.5, "seconds": 1.0, "first_divergence": {
        "sample": 4, "layer": "layer1", "neuron": 2, "step": 17, "spike": True,
        "reference": 0.25, "value": -0.5, "margin": 0.25,
    }}
    text = verification_table({
        "samples": 5, "spikes": 1234567, "reference": "torch", "spike_rate": 0.25,
        "backends": {"nest": found}, "contract": {"E3": False},
        "E5": {"mismatched_spikes": 9, "same_class": 1.0},
    })
    assert "E3 FAILS" in text
    assert "1,234,567 spikes" in text
    assert "sample 4, layer1, neuron 2, step 17" in text
    assert "0.25, here -0.5, margin 0.25" in text
