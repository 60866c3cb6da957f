"""Projections and currents in NEST: weights read back as they were given; what does not fit."""

import math

import numpy as np
import pytest
from support.nest_simulator import IN_NEST, setup, sim

from pynn_models.nest import (
    DenseConnector,
    ProjectionError,
    RawStaticSynapse,
    StateSpace,
    inject_currents,
    projection_weights,
)

pytestmark = IN_NEST


def population(n_neurons, label):
    return sim.Population(n_neurons, StateSpace(), label=label)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 5)])
def test_weights_read_back_equal(shape):
    setup()
    matrix = np.random.default_rng(0).normal(size=shape)
    projection = sim.Projection(
        population(shape[0], "a"),
        population(shape[1], "b"),
        DenseConnector(matrix),
        RawStaticSynapse(),
    )
    assert len(projection) == matrix.size
    assert (projection_weights(projection) == matrix).all()
    assert projection.get("weight", "array") * 1000 == pytest.approx(matrix, rel=1e-12)
    assert (projection.get("delay", "array") == 1.0).all()


def test_weights_of_projections_do_not_mix():
    setup()
    a, b = population(3, "a"), population(3, "b")
    matrices = [np.full((3, 3), float(i)) for i in range(4)]
    pairs = [(a, b), (a, b), (b, a), (a, a)]
    made = [
        sim.Projection(*pair, DenseConnector(matrix), RawStaticSynapse())
        for pair, matrix in zip(pairs, matrices, strict=True)
    ]
    for projection, matrix in zip(made, matrices, strict=True):
        assert (projection_weights(projection) == matrix).all()


def test_pynn_reads_a_projection_again_after_another_was_made():
    setup()
    a, b = population(2, "a"), population(3, "b")
    matrix = np.random.default_rng(0).normal(size=(2, 3))
    made = sim.Projection(a, b, DenseConnector(matrix), RawStaticSynapse())
    assert made.get("weight", "array") * 1000 == pytest.approx(matrix, rel=1e-12)
    other = sim.Projection(a, b, DenseConnector(matrix + 1), RawStaticSynapse())
    assert (projection_weights(other) == matrix + 1).all()  # which lets NEST sort them anew
    assert made.get("weight", "array") * 1000 == pytest.approx(matrix, rel=1e-12)


def test_views_can_be_connected():
    setup()
    a, b = population(5, "a"), population(6, "b")
    matrix = np.random.default_rng(0).normal(size=(2, 3))
    projection = sim.Projection(a[1:3], b[0:6:2], DenseConnector(matrix), RawStaticSynapse())
    assert (projection_weights(projection) == matrix).all()


def test_read_back_of_pynns_own_connectors():
    setup()
    projection = sim.Projection(
        population(3, "a"),
        population(3, "b"),
        sim.OneToOneConnector(),
        RawStaticSynapse(weight=-0.3),
    )
    expected = np.where(np.eye(3, dtype=bool), -0.3, np.nan)
    assert np.array_equal(projection_weights(projection), expected, equal_nan=True)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((3, 2)), r"a -> b: weights have shape \(3, 2\), .* = \(2, 3\). Transpose"),
        (np.ones((2, 2)), "Give one row a presynaptic neuron"),
    ],
)
def test_weights_of_a_wrong_shape(weights, message):
    setup()
    with pytest.raises(ProjectionError, match=message):
        sim.Projection(
            population(2, "a"), population(3, "b"), DenseConnector(weights), RawStaticSynapse()
        )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[1.0, math.nan]], r"weights\[0\]\[1\] is nan, expected a finite number; 1 of 2"),
        ([1.0, 2.0], r"shape \(2,\), expected two dimensions"),
        ([[1.0], [1.0, 2.0]], "no real numbers"),
        ([[1j]], "no real numbers"),
    ],
)
def test_weights_that_are_no_matrix_of_numbers(weights, message):
    with pytest.raises(ProjectionError, match=message):
        DenseConnector(weights)


def test_a_scaling_synapse_is_refused():
    setup()
    with pytest.raises(ProjectionError, match="StaticSynapse, expected RawStaticSynapse or Graded"):
        sim.Projection(
            population(1, "a"), population(1, "b"), DenseConnector([[1.0]]), sim.StaticSynapse()
        )


@pytest.mark.parametrize("delay", [0.0, -1.0, 1.5, 41.0, math.nan])
def test_a_delay_outside_the_setup_is_refused(delay):
    setup()
    with pytest.raises(ProjectionError, match=r"min_delay 1.0 ms to max_delay 40.0 ms"):
        sim.Projection(
            population(1, "a"),
            population(1, "b"),
            DenseConnector([[1.0]]),
            RawStaticSynapse(delay=delay),
        )


def test_delays_that_differ_are_refused():
    setup()
    synapse = RawStaticSynapse(delay=[1.0, 2.0])
    with pytest.raises(ProjectionError, match="Make one projection a delay"):
        sim.Projection(population(1, "a"), population(2, "b"), DenseConnector([[1, 1]]), synapse)


@pytest.mark.parametrize(
    ("currents", "weights", "options", "message"),
    [
        (np.ones((2, 5)), np.ones((3, 2)), {}, r"= \(2, 3\), since currents have shape \(2, 5\)"),
        (np.ones((2, 5)), np.ones((2, 3)), {"first_step": 0}, "first_step is 0, expected at least"),
        (np.ones((0, 5)), np.ones((0, 3)), {}, "expected .* with C >= 1 channels"),
        ([[math.inf]], np.ones((1, 3)), {}, r"layer: currents\[0\]\[0\] is inf"),
        (np.ones((1, 5)), [[1, 1, math.nan]], {}, r"layer: weights\[0\]\[2\] is nan"),
        (np.ones((1, 5)), np.ones((1, 3)), {"delay": 50.0}, "delay is 50.0 ms"),
    ],
)
def test_current_input_that_does_not_fit(currents, weights, options, message):
    setup()
    with pytest.raises(ProjectionError, match=message):
        inject_currents(population(3, "layer"), currents, weights, **({"first_step": 1} | options))
