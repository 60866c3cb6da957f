"""Resets, histories, lags and loops on SpiNNaker 2's own core, against scalars of float32."""

from dataclasses import replace

import numpy as np
import pytest
from support.any_configuration import draw
from support.cell_parts import with_parts
from support.float_equations import equations
from support.gated_networks import gated_network_of, leaky_network_of, lowered, samples_for
from support.looped_networks import is_looped, looped_network_of
from support.random_networks import network_samples

from export.description.multiplicity import UnitsError, in_units
from export.software import simulation as software
from export.spinnaker2 import Spinnaker2Error, budget, nir_graph, plan_network, runner

KINDS = ("soft reset", "soft reset of real modes", "hard reset", "history", "glu with reset",
         "glu with history")


def check(network, samples, close=True):
    """The prediction is the equations; its spikes are nearly those of float64."""
    names = [p.name for p in network.populations if p.spikes or not network.linear_readout]
    found = runner(network)(samples, names)
    spikes, membranes = equations(network, samples)
    plan = plan_network(network)
    for name in names:
        own = membranes[name].astype(np.float64) * plan.scale[name]
        assert np.array_equal(found.membranes[name], own), name
        if name in found.spikes:
            assert (found.spikes[name] == spikes[name]).all(), name
    if close:
        exact = software.run(network, samples)
        wrong = np.mean([(found.spikes[n] != s).mean() for n, s in exact.spikes.items()])
        assert wrong < 0.15
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_spikes_that_act_back(kind):
    _, network, samples = lowered(kind, 4, steps=16, depth=2)
    found = check(network, samples[:2])
    assert 0.02 < np.mean([s.mean() for s in found.spikes.values()]) < 0.98


@pytest.mark.parametrize("seed", range(6))
def test_any_parts_of_gated_cells(seed):
    network = with_parts(gated_network_of(seed, "glu" if seed % 2 else "gsu", steps=12), seed)
    network = one_spike_each(network)
    check(network, samples_for(network, 2, seed), close=False)


def one_spike_each(network):
    """Without further thresholds, which no cell that acts back may have there."""
    return replace(network, populations=tuple(
        replace(p, cell=replace(p.cell, multiplicity=None, differences=False))
        for p in network.populations
    ))


@pytest.mark.parametrize("seed", range(12))
def test_lags_masks_taps_and_loops(seed):
    network = looped_network_of(seed)
    check(network, network_samples(network, 2, seed), close=False)


def test_there_were_loops_and_lags():
    networks = [looped_network_of(seed) for seed in range(12)]
    assert sum(is_looped(n) for n in networks) > 5 and sum(n.max_lag > 1 for n in networks) > 5


@pytest.mark.parametrize("seed", range(4))
def test_loops_of_cells_that_act_back(seed):
    network = one_spike_each(with_parts(looped_network_of(seed, back=0.8), seed))
    check(network, network_samples(network, 2, seed), close=False)


def test_whatever_lowers_to_native_cells_is_predicted():
    """Random configurations at all scales: all but currents, and differences of counts."""
    predicted = refused = 0
    for seed in range(60):
        case = draw(seed, chip=seed % 2 == 0)
        if case.network.cells != "native" or case.network.source.kind.currents:
            continue
        try:
            found = runner(case.network)(case.samples, [])
            predicted += 1
            assert found.spikes.keys() == {p.name for p in case.network.layers}
        except UnitsError:
            refused += 1
            assert any(p.differences for p in case.network.populations)
    assert predicted > 20 > 5 * refused


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("cells", ["stock", "lif"])
def test_neurons_of_py_spinnaker2_have_no_lags(cells):
    network = lagging(leaky_network_of(1) if cells == "lif" else lowered(
        "glu", 1, mixing="linear", cells="stock", mode_init="s4d-real", modes=1, norm="batch",
        prenorm=True,
    )[1])
    said = f"none that is recurrent or delayed with {cells} cells, whose connections take one step"
    with pytest.raises(Spinnaker2Error, match=said):
        plan_network(network)


def lagging(network):
    """Its first projection of a layer's spikes two steps later."""
    late = next(p for p in network.projections if p.source == "layer0")
    return replace(network, projections=tuple(
        replace(p, delay=p.delay + 2) if p is late else p for p in network.projections
    ))


def test_a_graph_has_none_of_them():
    with pytest.raises(Spinnaker2Error, match="have no native neurons"):
        nir_graph(lowered("hard reset")[1])


def test_a_budget_counts_them():
    _, network, _ = lowered("hard reset", depth=2)
    row = budget(in_units(network))[0]
    assert row["instructions"] == 6 * (66 + 4 * 32 + 8) + 90
    assert row["bytes_a_neuron"] == 4 * (6 + 4 * 8 + 1) + network.source.size
    _, network, _ = lowered("history", depth=2)
    assert budget(network)[0]["instructions"] == 6 * (66 + 4 * 32 + 58) + 90


@pytest.mark.parametrize("kind", ["glu", "glu with reset", "gsu"])
def test_gated_layers_that_send_to_themselves(kind):
    _, network, samples = lowered(kind, 2, steps=12, depth=2, recurrent=True)
    assert is_looped(network) and any(p.branches is not None for p in network.layers)
    check(network, samples[:2], close=False)
