"""Reset, threshold history and multiplicity of the NEST neuron: every bit of the reference."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from pyNN.parameters import ArrayParameter
from support.cell_parts import RESETS, parts_of
from support.nest_reference import Reference, assert_identical, dyadic, random_cell
from support.nest_simulator import IN_NEST, nest, recorded, setup, sim

from pynn_models import StateSpaceCell
from pynn_models.nest import (
    DenseConnector,
    RawStaticSynapse,
    StateSpace,
    cell_type,
    inject_currents,
)

pytestmark = IN_NEST


def run_in_nest(cells, drive, weights, period, threads=1):
    """u, y and spikes, (steps, H), of a chain of populations one step apart."""
    setup(threads=threads)
    steps, first = len(drive), 3
    made = [
        sim.Population(cell.n_neurons, cell_type(cell, first + i, period))
        for i, cell in enumerate(cells)
    ]
    for population in made:
        population.record(["spikes", "u", "y"])
    inject_currents(made[0], drive.T, np.eye(drive.shape[1]), first)
    for i, matrix in enumerate(weights):
        sim.Projection(made[i], made[i + 1], DenseConnector(matrix), RawStaticSynapse(delay=1.0))
    sim.run(first + len(cells) + steps + 1.0)
    return [recorded(p, first + i, steps, 1.0) for i, p in enumerate(made)]


def by_reference(cells, drive, weights, period):
    layers, found = [Reference(cell, 1.0) for cell in cells], [[] for _ in cells]
    for k, arriving in enumerate(drive):
        for i, layer in enumerate(layers):
            if k % period == 0:
                layer.reset()
            found[i].append(layer.step(arriving))
            arriving = found[i][-1][2] @ weights[i] if i < len(weights) else None
    return [tuple(np.array(part) for part in zip(*trace, strict=True)) for trace in found]


@pytest.mark.parametrize("is_complex", [True, False], ids=["complex", "real"])
@pytest.mark.parametrize("reset", RESETS)
def test_every_combination_of_parts_bit_for_bit(reset, is_complex):
    combinations = itertools.product([0, 1, 3], [0, 1, 4, 32], [1, 2, 5], [0, 1, 6])
    for seed, (refractory, history, levels, modes) in enumerate(combinations):
        if seed % 13:  # a run of each is slow: every thirteenth
            continue
        rng = np.random.default_rng(seed)
        cell = random_cell(rng, 3, modes, is_complex)
        cell = replace(cell, **parts_of(rng, cell, reset, refractory, history, levels))
        drive = dyadic(rng, (60, 3), bits=10)
        expected = by_reference([cell], drive, [], 20)
        assert_identical(run_in_nest([cell], drive, [], 20)[0], expected[0])


@pytest.mark.parametrize("threads", [1, 2])
def test_layers_receive_as_many_spikes_as_were_counted(threads):
    rng = np.random.default_rng(4)
    cells = []
    for reset, history, levels in (("soft", 3, 4), ("hard", 0, 3), ("none", 5, 2)):
        cell = random_cell(rng, 4, 3)
        cells.append(replace(cell, **parts_of(rng, cell, reset, 1, history, levels)))
    drive = dyadic(rng, (90, 4), bits=10)
    weights = [dyadic(rng, (4, 4), bits=10) for _ in range(2)]
    expected = by_reference(cells, drive, weights, 30)
    assert max(int(layer[2].max()) for layer in expected) == 4
    for found, layer in zip(
        run_in_nest(cells, drive, weights, 30, threads), expected, strict=True
    ):
        assert_identical(found, layer)


def test_a_neuron_without_leak_counts_down_by_hand():
    """Input 1 a step, threshold 2.5, r = 2.5: 1, 2, 3*, 1.5, 2.5, 3.5*, ... two steps' rest."""
    from pynn_models import Reset

    cell = StateSpaceCell(
        tau=[[np.inf]], c_re=[[1.0]], d=[0.0], theta=[2.5], bias=[1.0],
        reset=Reset(r_re=[[2.5]], refractory=2),
    )
    _, y, spikes = run_in_nest([cell], np.zeros((9, 1)), [], 9)[0]
    assert y[:, 0].tolist() == [1.0, 2.0, 3.0, 1.5, 2.5, 3.5, 2.0, 3.0, 4.0]
    assert spikes[:, 0].tolist() == [0, 0, 1, 0, 0, 1, 0, 0, 1]


PLAIN = {"tau": [5.0, 6.0], "c_re": [1.0, 1.0]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r_re": [1.0]}, "r_re has 1 elements, expected 2"),
        ({"r_im": [1.0, 1.0]}, "r_im has 2 elements, expected 0"),
        ({"r_re": [1.0, np.nan]}, r"r_re\[1\] is nan"),
        ({"r_re": [1.0, 1.0], "hard_reset": 1}, "expected one or the other"),
        ({"hard_reset": 2}, "hard_reset is 2, expected 0 or 1"),
        ({"refractory": -1}, "refractory is -1, expected a number of steps >= 0"),
        ({"a": [0.1] * 33}, "a has 33 elements, expected at most 32"),
        ({"a": [np.inf]}, r"a\[0\] is inf"),
        ({"theta": 1.0, "further": [2.0, 1.5]}, r"further\[1\] is 1.5, expected at least 2"),
        ({"theta": 1.0, "further": [0.5]}, r"further\[0\] is 0.5, expected at least 1"),
        ({"further": [np.nan]}, r"further\[0\] is nan"),
    ],
)
def test_parts_that_cannot_be_are_refused_by_name(change, message):
    setup()
    parameters = {
        name: ArrayParameter(value) if isinstance(value, list) else value
        for name, value in (PLAIN | change).items()
    }
    with pytest.raises(nest.NESTErrors.BadProperty, match=message):
        sim.Population(2, StateSpace(**parameters))
