"""The description of a network: receptors, graded projections and kinds of cells; refusals."""

import math

import numpy as np
import pytest
from support.network_parts import cell, leaky, parts, refusal, refused

from export.description.cells import families
from export.description.network import (
    Network,
    Population,
    Projection,
    gate_receptor,
    value_receptor,
)


def gated(**changes):
    """Input of 2 -> layer of 3 -> stream of 3 with two branches -> readout of 2, graded."""
    values = {
        "populations": (
            Population("layer", cell(3), 1),
            Population("stream", cell(3, math.inf, branches=2), 2),
            Population("readout", cell(2, math.inf), 3),
        ),
        "projections": (
            Projection("input", "layer", np.ones((2, 3)), 1),
            Projection("layer", "stream", np.ones((3, 3)), 1, "value0"),
            Projection("layer", "stream", np.ones((3, 3)), 1, "gate0"),
            Projection("layer", "stream", np.ones((3, 3)), 1, "gate1", True),
            Projection("stream", "readout", np.ones((3, 2)), 1, graded=True),
        ),
    }
    return parts(**(values | changes))


def gated_refused(*projection):
    return refusal(Network, **gated(projections=(Projection(*projection),)))


def test_a_sound_gated_network():
    network = Network(**gated())
    assert [p.name for p in network.layers] == ["layer"]
    assert network.population("stream").branches.count == 2
    assert network.population("layer").branches is None
    assert not network.linear_readout and Network(**parts()).linear_readout
    assert len(list(network.incoming("stream"))) == 3
    (gate,) = network.incoming("stream", gate_receptor(1))
    assert gate.graded and list(network.incoming("stream", value_receptor(1))) == []


def test_a_gated_readout_is_not_linear_in_the_spikes():
    populations = (
        Population("layer", cell(3), 1), Population("readout", cell(2, math.inf, branches=1), 2)
    )
    projections = (Projection("layer", "readout", np.ones((3, 2)), 1, "value0"),)
    assert not Network(**parts(populations=populations, projections=projections)).linear_readout


@pytest.mark.parametrize("receptor", ["value2", "gate2", "excitatory", "value", ""])
def test_a_receptor_that_the_target_lacks(receptor):
    message = gated_refused("layer", "stream", np.ones((3, 3)), 1, receptor)
    assert message == (
        f"projection 'layer' -> 'stream' ({receptor}): 'stream' has no receptor {receptor!r}; it "
        "has input, value0, gate0, value1, gate1. Give its cell a branch for each pair of value "
        "and gate."
    )


def test_a_cell_without_branches_has_one_receptor():
    message = gated_refused("input", "layer", np.ones((2, 3)), 1, "value0")
    assert "'layer' has no receptor 'value0'; it has input. Give its cell" in message


def test_a_graded_projection_sends_a_membrane():
    message = gated_refused("input", "layer", np.ones((2, 3)), 1, "input", True)
    assert message == (
        "projection 'input' -> 'layer': graded, but 'input' has no membrane to send; expected a "
        "population of state-space cells. Send its spikes."
    )


def test_a_leaky_neuron_sends_no_membrane():
    values = parts(
        populations=(Population("layer", leaky(3), 1), parts()["populations"][1]), cells="lif"
    )
    assert Network(**values).cells == "lif"
    values["projections"] = (Projection("layer", "readout", np.ones((3, 2)), 1, "input", True),)
    assert "graded, but 'layer' has no membrane to send" in refusal(Network, **values)


def test_a_silent_population_sends_its_membrane_or_nothing():
    message = gated_refused("stream", "readout", np.ones((3, 2)), 1)
    assert message == (
        "projection 'stream' -> 'readout': 'stream' never spikes; leave this out, or make it "
        "graded."
    )


def test_two_projections_of_two_receptors_and_not_of_one():
    twice = (*gated()["projections"], Projection("layer", "stream", np.ones((3, 3)), 1, "gate0"))
    message = refusal(Network, **gated(projections=twice))
    assert message == (
        "projection 'layer' -> 'stream' (gate0): stands twice, with the delay 1; add the "
            "weights instead."
    )


def test_cells_by_name():
    assert tuple(families()) == ("native", "stock", "lif", "egru")
    assert refused(cells="izhikevich") == (
        "cells 'izhikevich' are unknown; use one of native, stock, lif, egru."
    )


@pytest.mark.parametrize(("cells", "kind"), [
    ("native", "LeakyCell"), ("stock", "LeakyCell"), ("lif", "StateSpaceCell"),
])
def test_a_cell_that_the_network_should_not_have(cells, kind):
    first = leaky(3) if kind == "LeakyCell" else cell(3)
    populations = (Population("layer", first, 1), parts()["populations"][1])
    message = refused(populations=populations, cells=cells)
    assert message == (
        f"population 'layer': a {kind} in a network of {cells} cells; expected "
        f"{'LeakyCell' if cells == 'lif' else 'StateSpaceCell'} for its spiking populations and "
        "StateSpaceCell for the others."
    )


@pytest.mark.parametrize("changes", [
    {"c_re": np.full((3, 1), 2.0)}, {"d": np.ones(3)}, {"bias": np.ones(3)}, {"branches": 1},
    {"omega": np.ones((3, 1)), "c_im": np.ones((3, 1))},
    {"tau": np.ones((3, 2)), "c_re": np.ones((3, 2))},
], ids=["c", "d", "bias", "branches", "complex", "two modes"])
def test_a_stock_cell_that_is_none(changes):
    rest = parts()["populations"][1]
    good = (Population("layer", cell(3), 1), rest)
    assert Network(**parts(populations=good, cells="stock")).cells == "stock"
    bad = (Population("layer", cell(3, **changes), 1), rest)
    message = refused(populations=bad, cells="stock")
    assert message == (
        "population 'layer': its cell is none that IF_curr_exp can be; expected one real mode, "
        "c = 1, d = 0, no bias, no branches, reset, history, further thresholds or differences. "
        "Train with model.cells = \"stock\", or use native cells."
    )


def test_what_needs_state_space_cells_says_so():
    population = Population("layer", leaky(3), 1)
    assert population.spikes and population.size == 3 and population.branches is None
    message = refusal(lambda: population.state_space)
    assert message == (
        "population 'layer': its neurons are of the kind 'leaky'; expected state-space cells, "
        "which this needs. Train with model.cells = \"native\"."
    )
    assert Population("layer", cell(3), 1).state_space.n_modes == 1
