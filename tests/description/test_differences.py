"""Populations that send differences: what must hold of them, and who refuses them by name."""

import re
from dataclasses import replace

import numpy as np
import pytest
from support.cell_parts import with_differences
from support.network_parts import cell, parts, refusal
from support.random_networks import network_of, network_samples

from export.description.inspection import describe
from export.description.multiplicity import UnitsError, in_units
from export.description.network import Network, Population, Projection
from export.fixed_point import simulation as spinnaker
from export.job.preflight import preflight
from export.spinnaker2 import simulation as spinnaker2
from pynn_models.cells import Multiplicity


def sends(size, levels=1, **changes):
    further = Multiplicity(further=np.ones((size, levels - 1))) if levels > 1 else None
    return cell(size, differences=True, multiplicity=further, **changes)


def network_of_weights(weights, levels=1):
    """Neurons that send differences to the readout through (3, 2) weights."""
    given = parts()
    populations = (Population("layer", sends(3, levels), 1), given["populations"][1])
    first, _, last = given["projections"]
    projections = (first, Projection("layer", "readout", weights, 1), last)
    return Network(**(given | {"populations": populations, "projections": projections}))


# By hand: the weights onto the first neuron are multiples of 2^-52, and 2^53 - 1 of them in all.
EXACT = np.array([[1.0, 1.0], [1.0 - 2.0**-52, 0.0], [0.0, -0.5]])


def test_sums_that_are_exact_in_any_order():
    assert network_of_weights(EXACT).population("layer").differences
    assert network_of_weights(np.zeros((3, 2))).population("layer").differences
    assert network_of_weights(EXACT * 2.0**-1000).population("layer").differences
    assert network_of_weights(EXACT * 2.0**900).population("layer").differences


@pytest.mark.parametrize(("weights", "levels"), [
    (EXACT + np.array([[0, 0], [0, 0], [2.0**-52, 0]]), 1),  # one more
    (EXACT, 2),
    (np.array([[1.0, 0.1], [2.0**-54, 0.2], [0.0, 0.3]]), 1),
])
def test_sums_that_would_be_rounded_are_refused(weights, levels):
    message = refusal(network_of_weights, weights, levels)
    assert re.search(r"'layer' -> 'readout': neuron 0 adds up differences of its sources' counts, "
                     r"multiples of .* more digits than a float64 has", message)


def test_the_second_neuron_is_named_where_it_is_the_one():
    assert "neuron 1 adds up" in refusal(network_of_weights, EXACT[:, ::-1], 2)


def test_two_projections_onto_one_receptor_count_together():
    network = network_of_weights(EXACT)
    again = Projection("layer", "readout", 2.0**-52 * np.ones((3, 2)), 3)
    message = refusal(replace, network, projections=(*network.projections, again))
    assert "multiples of 2.22045e-16 of up to" in message


def test_membranes_of_such_a_population_are_not_sent():
    network = network_of_weights(EXACT)
    graded = Projection("layer", "readout", EXACT, 1, graded=True)
    message = refusal(replace, network, projections=(*network.projections[:1], graded))
    assert "graded, but 'layer' sends differences of its counts" in message


def test_stock_cells_have_none():
    given = cell(3, c_re=np.ones((3, 1)), d=np.zeros(3), differences=True)
    populations = (Population("layer", given, 1), parts()["populations"][1])
    message = refusal(Network, **parts(populations=populations, cells="stock"))
    assert "further thresholds or differences" in message


def test_no_board_is_trusted_with_them():
    """A difference that is lost stays lost."""
    network = with_differences(network_of(3))
    samples = network_samples(network)
    said = "differences of their counts, which a receiver adds up; expected counts, since a board"
    for refused in (
        lambda: in_units(network),
        lambda: spinnaker.plan_network(network),
        lambda: spinnaker.run(network, samples),
        lambda: preflight(network, samples),
        lambda: spinnaker2.runner(network),
    ):
        with pytest.raises(UnitsError, match=said):
            refused()


def test_nir_has_no_node_for_them():
    pytest.importorskip("nir", reason="nir is not installed")
    from export.interchange import InterchangeError, to_nir

    network = network_of_weights(EXACT)
    with pytest.raises(InterchangeError, match="spikes sent as differences"):
        to_nir(network)


def test_it_is_said_of_a_population():
    text = describe(network_of_weights(np.ones((3, 2)), levels=3))
    assert re.search(r"layer\s+3\s+1, 3 levels, differences", text)
    population = network_of_weights(EXACT).population("layer")
    said = population.kind.after_spike(population.cell)
    assert "what is sent is by how many spikes a step has more than the one before" in said
