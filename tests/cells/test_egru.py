"""The event-based gated unit's parameters."""

import numpy as np
import pytest
from support.egru_networks import BIASES, unit

from pynn_models import EGRU_PARAMETERS, EGRU_VARIABLES, CellParameterError

RNG = np.random.default_rng(0)


def test_arrays_are_read_only_copies_of_float64():
    given = np.full(3, 0.5, np.float32)
    cell = unit(RNG, 3, theta=given)
    given[0] = 9
    assert cell.n_neurons == 3 and cell.theta.tolist() == [0.5] * 3 and cell.levels == 1
    assert cell.theta.dtype == np.float64 and not cell.theta.flags.writeable
    assert cell.branches is None and unit(RNG, 1, theta=[np.inf]).theta == np.inf


@pytest.mark.parametrize("value", [0.0, -0.25, -np.inf, np.nan])
def test_a_threshold_is_above_0(value):
    with pytest.raises(CellParameterError, match=r"theta\[1\] is .*expected a number"):
        unit(RNG, 3, theta=[0.5, value, 0.5])


@pytest.mark.parametrize("name", BIASES)
def test_biases_are_finite_and_one_a_unit(name):
    with pytest.raises(CellParameterError, match=rf"{name}\[0\] is inf dimensionless, expected a"):
        unit(RNG, 2, **{name: [np.inf, 0.0]})
    with pytest.raises(CellParameterError, match=rf"EgruCell: {name} has shape \(3,\), expected"):
        unit(RNG, 2, **{name: np.zeros(3)})
    with pytest.raises(CellParameterError, match="no array of real numbers"):
        unit(RNG, 1, **{name: ["a"]})


def test_every_quantity_has_a_unit_and_a_meaning():
    assert {"theta", *BIASES, "first_step", "period", "active"} == set(EGRU_PARAMETERS)
    assert set(EGRU_VARIABLES) == {"y", "u", "z", "r", "g"}
    assert all(q.unit and q.meaning for q in (EGRU_PARAMETERS | EGRU_VARIABLES).values())
