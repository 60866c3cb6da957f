"""The first divergence names the part of the neuron by which two runs came apart."""

from dataclasses import replace

import numpy as np
import pytest
from support.cell_parts import with_parts
from support.random_networks import network_of, network_samples

from export.description.inspection import verification_table
from export.description.network import Network, Population, Projection, Readout, Source
from export.description.readouts import POOLINGS
from export.software import simulation as software
from export.verification.comparison import at_threshold
from export.verification.contract import verify
from pynn_models import History, Multiplicity, Reset, StateSpaceCell

SIZE = 4


def network_with(**parts):
    """Neurons of one real mode with these parts, whose thresholds are passed now and then."""
    one = np.ones(SIZE)
    cell = StateSpaceCell(
        tau=np.full((SIZE, 1), 4.0), c_re=np.ones((SIZE, 1)), d=0 * one, theta=1.5 * one,
        bias=0 * one, **parts,
    )  # fmt: skip
    weights = np.arange(1, 2 * SIZE + 1).reshape(2, SIZE) / 8
    return Network(
        timestep=1.0, steps=60, source=Source("input", "bits", 1, 2),
        populations=(
            Population("layer0", cell, 1),
            Population("readout", POOLINGS["mean"].accumulator(np.zeros(3)), 2),
        ),
        projections=(
            Projection("input", "layer0", weights, 1),
            Projection("layer0", "readout", np.ones((SIZE, 3)), 1),
        ),
        readout=Readout("readout", "mean"),
    )  # fmt: skip


def changed(network, cell):
    layer, *rest = network.populations
    return replace(network, populations=(replace(layer, cell=cell), *rest))


def first(network, other):
    """The first divergence of two networks' runs."""
    samples = network_samples(network, 6)
    runs = {
        name: lambda s, m, n=one: software.run(n, s, membranes=m)
        for name, one in (("software", network), ("nest", other))
    }
    result = verify(network, samples, np.zeros(6, int), runs)
    found = result["backends"]["nest"]["first_divergence"]
    assert found is not None
    return result, found


SOFT = Reset(r_re=np.full((SIZE, 1), 0.4))


@pytest.mark.parametrize(
    ("parts", "change", "cause"),
    [
        ({"reset": SOFT}, {"reset": Reset(r_re=SOFT.r_re * 1.5)}, "reset"),
        ({"reset": SOFT}, {"reset": Reset()}, "reset"),
        ({"reset": Reset()}, {"reset": None}, "reset"),
        ({"reset": Reset(refractory=2)}, {"reset": Reset(refractory=3)}, "reset"),
        (
            {"reset": replace(SOFT, refractory=1)}, {"reset": replace(SOFT, refractory=2)},
            "refractory",
        ),
        (
            {"reset": replace(SOFT, refractory=3)}, {"reset": replace(SOFT, refractory=1)},
            "refractory",
        ),
        (
            {"history": History(a=np.full((SIZE, 3), 0.3))},
            {"history": History(a=np.full((SIZE, 3), 0.9))}, "history",
        ),
        ({"reset": SOFT}, {"tau": np.full((SIZE, 1), 6.0)}, None),
        ({"history": History(a=np.full((SIZE, 3), 0.3))}, {"tau": np.full((SIZE, 1), 6.0)}, None),
        ({}, {"theta": np.full(SIZE, 1.2)}, None),
    ],
    ids=["r", "soft, hard", "hard, none", "held longer", "longer rest",
         "shorter rest", "a", "tau", "tau, history", "theta"],
)
def test_the_part_that_differs_is_named(parts, change, cause):
    network = network_with(**parts)
    result, found = first(network, changed(network, replace(network.layers[0].cell, **change)))
    assert found["cause"] == cause
    said = verification_table(result)
    assert (f"; the cause is its {cause}" in said) == (cause is not None)


def test_counts_that_differ_are_counts():
    network = network_with(multiplicity=Multiplicity(further=np.full((SIZE, 2), 2.0)))
    cell = network.layers[0].cell
    later = replace(cell, multiplicity=Multiplicity(further=np.full((SIZE, 2), 4.0)))
    _, found = first(network, changed(network, later))
    assert found["spike"] == 3 and found["cause"] is None
    thresholds = [*cell.theta[[found["neuron"]]], 2.0, 2.0]
    nearest = min(abs(found["reference"] - theta) for theta in thresholds)
    assert found["margin"] == nearest != abs(found["reference"] - thresholds[0])


def test_the_margin_is_to_the_threshold_that_a_history_moved():
    """Steps after a membrane above the threshold, which the history has raised to near it."""
    network = network_with(history=History(a=np.full((SIZE, 1), 0.3)))
    cell = network.layers[0].cell
    _, found = first(
        network, changed(network, replace(cell, history=History(a=np.full((SIZE, 1), 0.9))))
    )
    moved = cell.theta[found["neuron"]] + 0.3
    assert found["margin"] == pytest.approx(abs(found["reference"] - moved), rel=1e-12)


def test_margins_are_to_the_nearest_threshold_as_it_is_then():
    for seed in range(6):
        network = with_parts(network_of(seed, steps=25), seed)
        samples = network_samples(network, 4)
        names = [p.name for p in network.layers]
        run = software.run(network, samples, membranes=names)
        result = verify(
            network, samples, np.zeros(4, int),
            dict.fromkeys(("software", "nest"), lambda s, m, n=network: software.run(
                n, s, membranes=m
            )),
        )  # fmt: skip
        for p in network.layers:
            y, cell = run.membranes[p.name], p.cell
            raised = np.zeros(y.shape)
            for j in range(cell.history.steps if cell.history else 0):
                past = np.zeros(y.shape)
                past[:, j + 1 :] = (y > cell.theta)[:, : y.shape[1] - j - 1]
                raised = raised + past * cell.history.a[:, j]
            near = np.abs(y[..., None] - raised[..., None] - cell.thresholds).min()
            assert result["layers"][p.name]["smallest_margin"] == pytest.approx(near, rel=1e-9)


def test_ties_are_counted_at_every_threshold():
    theta, margin = np.array([1.0]), np.array([0.1])
    membrane = np.array([[[0.9], [2.0], [1.5]]])
    assert at_threshold(membrane, theta, margin).sum() == 1
    cell = network_with(multiplicity=Multiplicity(further=np.full((SIZE, 1), 3.0))).layers[0]
    assert cell.kind.thresholds(cell.cell).shape == (SIZE, 2)
