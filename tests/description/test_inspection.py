"""The bounds that ``inspect`` prints are bounds, and its table names everything."""

import numpy as np
import pytest
from support.cell_parts import with_parts
from support.egru_networks import egru_checkpoint
from support.gated_networks import (
    KINDS,
    gated_network_of,
    leaky_network_of,
    lowered,
    samples_for,
)
from support.random_networks import checkpoint_of, network_of, network_samples, samples_of

from export.description.cells import kind_of
from export.description.inspection import bounds, describe, summary, table, verification_table
from export.description.network import Network, Population, Projection, Readout, Source
from export.lowering.network import lower
from export.software import simulation as software
from pynn_models import StateSpaceCell
from pynn_models.cells import Branches


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("encoding", ["bits", "current"])
def test_no_membrane_exceeds_its_bound(seed, encoding):
    checkpoint = checkpoint_of(seed, steps=60)
    network = lower(checkpoint, encoding=encoding)
    names = [p.name for p in network.populations]
    found = software.run(network, samples_of(checkpoint, 5), membranes=names)
    limits = bounds(network)
    for name, trace in found.membranes.items():
        assert 0 < np.abs(trace).max() <= limits[name].y


@pytest.mark.parametrize("kind", KINDS)
def test_no_membrane_of_any_kind_exceeds_its_bound(kind):
    _, network, samples = lowered(kind, 4, steps=40, count=6)
    names = [p.name for p in network.populations]
    found = software.run(network, samples, membranes=names)
    limits = bounds(network)
    for name, trace in found.membranes.items():
        assert 0 < np.abs(trace).max() <= limits[name].y < np.inf
    # The membrane of a population without memory is its input.
    if "stream" in names:
        assert limits["stream"].u == limits["stream"].y


@pytest.mark.parametrize("kind", ["glu", "gsu"])
@pytest.mark.parametrize("encoding", ["bits", "current", "token", "spikes"])
def test_bounds_of_random_gated_networks(kind, encoding):
    for seed in range(5):
        network = gated_network_of(seed, kind, encoding=encoding)
        names = [p.name for p in network.populations]
        found = software.run(network, samples_for(network, 8), membranes=names)
        for name, bound in bounds(network).items():
            assert np.abs(found.membranes[name]).max() <= bound.y < np.inf


@pytest.mark.parametrize("seed", range(6))
def test_bounds_of_cells_with_parts(seed):
    network = with_parts(network_of(seed), seed)
    names = [p.name for p in network.populations]
    found = software.run(network, network_samples(network, 8), membranes=names)
    for name, bound in bounds(network).items():
        assert np.abs(found.membranes[name]).max() <= bound.y < np.inf


def test_parts_stand_beside_the_modes():
    cells = [p.cell for seed in range(4) for p in with_parts(network_of(seed), seed).layers]
    words = {kind_of(cell).modes(cell) for cell in cells}
    assert any("hard reset" in w for w in words) and any(", reset" in w for w in words)
    assert any("history 2" in w for w in words) and any("4 levels" in w for w in words)


@pytest.mark.parametrize("seed", range(4))
def test_bounds_of_random_leaky_networks(seed):
    network = leaky_network_of(seed)
    names = [p.name for p in network.populations]
    found = software.run(network, samples_for(network, 8), membranes=names)
    for name, bound in bounds(network).items():
        assert np.abs(found.membranes[name]).max() <= bound.y < np.inf


@pytest.mark.parametrize("kind", ["glu", "gsu"])
def test_the_bound_of_a_branch_is_reached_by_the_worst_spikes(kind):
    """One neuron, one branch: all of what helps fires, and glu's gate is open."""
    shift = 0.25 if kind == "gsu" else 0.0
    gain = -2.0 if kind == "gsu" else 1.0
    gate = 50.0
    branches = Branches(
        kind=kind, value_bias=[[1.0]], gate_bias=[[gate]], shift=[[shift]], gain=[[gain]]
    )
    silent = StateSpaceCell(
        tau=np.empty((1, 0)), c_re=np.empty((1, 0)), d=[1.0], theta=[np.inf], bias=[0.5],
        branches=branches,
    )
    network = Network(
        1.0, 1, Source("input", "spikes", 2), (Population("readout", silent, 1),),
        (Projection("input", "readout", [[3.0], [-2.0]], 1, "value0"),), Readout("readout", "last"),
    )
    bound = bounds(network)["readout"]
    value = 1.0 + 3.0 + 2.0  # weights count by size
    expected = value if kind == "glu" else abs(gain) * (value * gate + shift)
    assert bound.u == bound.y == 0.5 + expected


def test_one_symbol_a_step_counts_in_the_bound():
    """Of the symbols' weights the largest, not the sum."""
    _, network, _ = lowered("token", norm="none", depth=1)
    (projection,) = network.incoming("layer0")
    assert bounds(network)["layer0"].u == np.abs(projection.weights).max()


def test_a_leaky_neuron_sums_its_input():
    network = leaky_network_of(0, layers=1)
    cell = network.population("layer0").cell
    found = bounds(network)["layer0"]
    gain = (1 / (1 - np.exp(-1 / cell.tau))).max()
    assert found.y == pytest.approx(found.u * gain, rel=1e-12)


def test_the_input_bound_is_reached_by_the_worst_spikes():
    network = network_of(1, layers=1)
    population = network.populations[0]
    (projection,) = network.incoming(population.name)
    positive = np.maximum(projection.weights, 0).sum(axis=0) + population.cell.bias
    negative = np.minimum(projection.weights, 0).sum(axis=0) + population.cell.bias
    worst = max(np.abs(positive).max(), np.abs(negative).max())
    assert worst <= bounds(network)[population.name].u


def test_real_valued_currents_have_no_bound():
    network = lower(checkpoint_of(0, input_bits=0), encoding="current")
    assert bounds(network)["layer0"].u == np.inf


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


def test_receptors_inputs_and_cells_are_named():
    text = describe(gated_network_of(1, "gsu", encoding="token"))
    assert "1 channel(s) of 5 symbols as token, 5 source(s)" in text
    for row in (
        "layer0 -> layer1 (value0) ", "layer0 -> layer1 (gate0, graded) ",
        "layer1 -> stream (gate1, graded) ", "stream -> readout (graded) ", "input -> stream ",
    ):
        assert any(line.startswith(row) for line in text.splitlines()), row
    assert "layer0 -> layer1 (gate0) " in describe(gated_network_of(1, "glu"))
    text = describe(leaky_network_of(1, encoding="spikes"))
    assert "2 channel(s) of events as spikes, 2 source(s)" in text
    row = next(line.split() for line in text.splitlines() if line.startswith("layer0 "))
    assert row[2] == "reset"


def test_table_aligns_columns():
    assert table(["a", "bb"], [["x", 1], ["long", 22]]) == "a     bb\nx      1\nlong  22"


def test_the_verification_table_names_a_divergence():
    found = {"mismatched_spikes": 3, "accuracy": 0.5, "seconds": 1.0, "first_divergence": {
        "sample": 4, "layer": "layer1", "neuron": 2, "step": 17, "spike": True,
        "reference": 0.25, "value": -0.5, "margin": 0.25,
    }}
    text = verification_table({
        "samples": 5, "spikes": 1234567, "reference": "torch", "spike_rate": 0.25,
        "output": "classes",
        "backends": {"nest": found}, "contract": {"E3": False},
        "E5": {"mismatched_spikes": 9, "same_class": 1.0},
    })
    assert "E3 FAILS" in text
    assert "1,234,567 spikes" in text
    assert "sample 4, layer1, neuron 2, step 17" in text
    assert "0.25, here -0.5, margin 0.25" in text


@pytest.mark.filterwarnings("error")
def test_gated_units_are_bounded_whatever_their_input_is():
    """No sum that reaches them has a part in the bound of their membrane: not one without end."""
    network = lower(egru_checkpoint(depth=2, input_bits=0))  # of real values
    found = {p["name"]: (p["max_u"], p["max_y"]) for p in summary(network)["populations"]}
    assert found["layer0"] == found["layer1"] == (np.inf, 1.0)
    assert "nan" not in describe(network)
