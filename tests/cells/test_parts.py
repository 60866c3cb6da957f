"""The optional parts of a cell: what they accept, and what they refuse by name."""

import numpy as np
import pytest

from pynn_models import CellParameterError, History, Multiplicity, Reset, StateSpaceCell

REAL = {
    "tau": [[5.0, 6.0]], "c_re": [[1.0, 1.0]], "d": [0.0], "theta": [1.0], "bias": [0.0],
}
COMPLEX = REAL | {"omega": [[0.1, 0.2]], "c_im": [[0.0, 0.0]]}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reset(r_im=[[1.0]]), "r_im is given and r_re is not"),
        (lambda: Reset(r_re=[[np.nan]]), r"r_re\[0\]\[0\] is nan .* finite"),
        (lambda: Reset(refractory=-1), "refractory is -1, expected a whole number"),
        (lambda: Reset(refractory=True), "refractory is True, expected a whole number"),
        (lambda: Reset(refractory=1.5), "refractory is 1.5, expected a whole number"),
        (lambda: History(a=[0.1]), r"a has shape \(1,\), expected \(H, J\)"),
        (lambda: History(a=[[0.1] * 33]), r"a has shape \(1, 33\), expected \(H, J\)"),
        (lambda: History(a=[[np.inf]]), r"a\[0\]\[0\] is inf"),
        (lambda: Multiplicity(further=[[]]), r"further has shape \(1, 0\)"),
        (lambda: Multiplicity(further=np.zeros((1, 255))), r"further has shape \(1, 255\)"),
        (lambda: Multiplicity(further=[[np.nan]]), r"further\[0\]\[0\] is nan"),
    ],
)
def test_a_part_that_cannot_be(make, message):
    with pytest.raises(CellParameterError, match=message):
        make()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (COMPLEX | {"reset": Reset(r_re=[[1.0, 1.0]])}, "its reset does not fit: r_im is not"),
        (REAL | {"reset": Reset(r_re=[[1.0, 1.0]], r_im=[[1.0, 1.0]])}, "r_im is given"),
        (REAL | {"reset": Reset(r_re=[[1.0]])}, r"r_re has shape \(1, 1\), expected \(1, 2\)"),
        (REAL | {"history": History(a=[[0.1], [0.1]])}, "its history does not fit: a is of 2"),
        (REAL | {"multiplicity": Multiplicity(further=[[2.0], [2.0]])}, "further is of 2 neurons"),
        (
            REAL | {"multiplicity": Multiplicity(further=[[0.5]])},
            r"further\[0\]\[0\] is 0.5, below 1.0 before it; expected thresholds in ascending",
        ),
        (
            REAL | {"multiplicity": Multiplicity(further=[[1.5, 1.2]])},
            r"further\[0\]\[1\] is 1.2, below 1.5 before it",
        ),
    ],
)
def test_a_part_that_does_not_fit_its_cell(parameters, message):
    with pytest.raises(CellParameterError, match=message):
        StateSpaceCell(**parameters)


def test_thresholds_are_those_of_theta_and_of_the_multiplicity():
    cell = StateSpaceCell(**REAL)
    assert cell.levels == 1 and cell.thresholds.tolist() == [[1.0]]
    cell = StateSpaceCell(**REAL, multiplicity=Multiplicity(further=[[1.0, np.inf]]))
    assert cell.levels == 3 and cell.thresholds.tolist() == [[1.0, 1.0, np.inf]]


def test_parts_are_read_only_copies():
    a = np.zeros((1, 2))
    part = History(a=a)
    a[:] = 1
    assert (part.a == 0).all() and part.steps == 2
    with pytest.raises(ValueError, match="read-only"):
        part.a[0] = 1
    assert Reset().is_hard and not Reset(r_re=[[0.0]]).is_hard
