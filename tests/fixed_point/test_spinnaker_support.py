"""Which networks SpiNNaker's cells can be: all that lower, as near to float64 as their integers."""

import re
from dataclasses import replace

import numpy as np
import pytest
from support.gated_networks import KINDS, gated_network_of, leaky_network_of, lowered, samples_for
from support.random_networks import network_of, network_samples

from export.description.multiplicity import UnitsError
from export.fixed_point import simulation as spinnaker
from export.fixed_point.registry import ARITHMETIC, SpinnakerUnsupportedError, arithmetic_of
from export.job.preflight import preflight
from export.pynn.registry import ON_BOARDS, board_backend
from export.software import simulation as software
from pynn_models import History, Multiplicity, Reset, SnnSsmError


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "differences" not in kind])
@pytest.mark.parametrize("calibrated", [False, True])
def test_every_kind_loses_no_spike(kind, calibrated):
    """Networks this small; with delays taken off, and membranes within 2e-4 of their largest."""
    for seed in range(2):
        _, network, samples = lowered(kind, seed)
        names = [] if network.cells == "lif" else [p.name for p in network.populations]
        plan = spinnaker.make_plan(network, samples if calibrated else None)
        found = spinnaker.run(network, samples, plan=plan, membranes=names, allow_overflow=True)
        expected = software.run(network, samples, membranes=names)
        assert set(found.spikes) == set(expected.spikes)
        for name, spikes in expected.spikes.items():
            assert np.array_equal(found.spikes[name], spikes), name
        for name in names:
            largest = np.abs(expected.membranes[name]).max()
            error = np.abs(found.membranes[name] - expected.membranes[name]).max()
            assert error < 2e-4 * largest, name


@pytest.mark.parametrize(("network", "name"), [
    (network_of(0), "native"), (gated_network_of(0, "glu"), "gated"),
    (gated_network_of(0, "gsu"), "gated"), (leaky_network_of(0), "lif"),
])
def test_the_arithmetic_of_a_network(network, name):
    assert arithmetic_of(network).name == name
    assert board_backend(network).arithmetic == name
    assert [backend.arithmetic for backend in ON_BOARDS] == list(ARITHMETIC)


def test_cells_that_there_is_no_plan_for(monkeypatch):
    network = leaky_network_of(0)
    monkeypatch.setattr("export.fixed_point.registry.ARITHMETIC", {"stock": ARITHMETIC["stock"]})
    with pytest.raises(SpinnakerUnsupportedError) as caught:
        spinnaker.plan_network(network)
    assert str(caught.value) == (
        "population 'layer0': its neurons are lif cells, for which there is no plan of SpiNNaker's "
        "ranges here. Use the backend software or nest, or train with model.cells = one of stock."
    )
    assert issubclass(SpinnakerUnsupportedError, SnnSsmError)
    assert samples_for(network).shape == (3, 2, 12)


@pytest.mark.parametrize("part", ["reset", "history"])
def test_several_spikes_that_act_back_on_their_neuron_are_refused(part):
    """As several populations of one spike each they would act on each of these alone."""
    network = with_part(network_of(0), part)
    cell = network.populations[0].cell
    levels = Multiplicity(further=cell.theta[:, None] + [0.5, 1.0])
    network = with_cell(network, replace(cell, multiplicity=levels))
    said = (
        f"population 'layer0': its neurons send up to 3 spikes in a step and have a {part}, so "
        "that these act back on them together; expected one or the other, since on a board a "
        "neuron sends one spike, and is one of several that know nothing of each other. Use the "
        "backend software or nest."
    )
    for refused in (
        lambda: spinnaker.plan_network(network),
        lambda: spinnaker.run(network, network_samples(network)),
        lambda: preflight(network, network_samples(network)),
    ):
        with pytest.raises(UnitsError, match=re.escape(said)):
            refused()


def with_cell(network, cell):
    first = replace(network.populations[0], cell=cell)
    return replace(network, populations=(first, *network.populations[1:]))


def with_part(network, part):
    """The network with a hard reset of its first population, or a history of 0."""
    first = network.populations[0]
    parts = {"reset": Reset(), "history": History(a=np.zeros((first.size, 2)))}
    return with_cell(network, replace(first.cell, **{part: parts[part]}))
