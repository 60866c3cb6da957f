"""Parameters and state of the NEST neuron: set, read back, and refused with the element named."""

import math

import numpy as np
import pytest
from pyNN.parameters import ArrayParameter
from support.nest_reference import random_cell
from support.nest_simulator import IN_NEST, nest, setup, sim

from pynn_models import PARAMETERS, CellParameterError, StateSpaceCell
from pynn_models.nest import StateSpace, cell_type

pytestmark = IN_NEST


@pytest.mark.parametrize("steps", [-1, 2.5, "3"])
def test_first_step_and_period_are_whole_numbers_of_steps(steps):
    cell = random_cell(np.random.default_rng(0), 2, 1)
    with pytest.raises(CellParameterError, match="first_step is .* expected an integer"):
        cell_type(cell, first_step=steps)
    with pytest.raises(CellParameterError, match="period is .* expected an integer"):
        cell_type(cell, period=steps)


def test_plain_pynn_use_and_parameters():
    setup()
    one = StateSpace(tau=ArrayParameter([5.0, 6.0]), c_re=ArrayParameter([1.0, -1.0]), d=0.25)
    population = sim.Population(3, one)
    assert population.get("d") == 0.25 and population.get("theta") == 1.0
    assert population.get("tau").value.tolist() == [5.0, 6.0]
    population.set(tau=[ArrayParameter([i + 1.0, i + 2.0]) for i in range(3)], bias=[1, 2, 3])
    assert [row.value.tolist() for row in population.get("tau")] == [[1, 2], [2, 3], [3, 4]]
    population[0:2].set(theta=7.0)
    assert population.get("theta").tolist() == [7.0, 7.0, 1.0]
    assert population.get("bias").tolist() == [1.0, 2.0, 3.0]


ROTATING = {"omega": [0.5, 0.5], "c_im": [1.0, 1.0]}
GATED = {"value_bias": [1.0], "gate_bias": [1.0], "shift": [0.0], "gain": [1.0]}


def test_state_is_readable_and_settable_between_runs():
    setup()
    cell = StateSpaceCell(tau=[[np.inf]], c_re=[[2.0]], d=[0.0], theta=[np.inf], bias=[1.0])
    population = sim.Population(1, cell_type(cell))
    sim.run(3.0)
    nodes = population.node_collection
    kernel_steps = nodes.get("x_re")[0]
    assert nodes.get("y") == 2.0 * kernel_steps
    nodes.set(x_re=[100.0])
    sim.run(1.0)
    assert nodes.get("x_re")[0] == 101.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau": [1.0, 0.0]}, r"tau\[1\] is 0 ms, expected > 0"),
        ({"tau": [1.0, math.nan]}, r"tau\[1\] is nan"),
        ({"tau": [1.0]}, "c_re has 2 elements, expected 1"),
        ({"c_im": [0.0, 0.0]}, "c_im has 2 elements, expected 0"),
        ({"omega": [0.0, 0.0]}, "c_im has 0 elements, expected 2"),
        ({"omega": [0.0], "c_im": [0.0]}, "omega has 1 elements, expected 2"),
        ({"omega": [0.0, math.inf], "c_im": [0.0, 0.0]}, r"omega\[1\] is inf"),
        ({"c_re": [math.nan, 0.0]}, r"c_re\[0\] is nan, expected a finite number"),
        ({"d": math.nan}, "d is nan"),
        ({"bias": math.inf}, "bias is inf"),
        ({"theta": math.nan}, "theta is nan, expected a number or inf"),
        ({"theta": -math.inf}, "theta is -inf"),
        ({"first_step": -1}, "first_step is -1, expected a number of steps >= 0"),
        ({"period": -2}, "period is -2"),
        ({"x_re": [1.0]}, "x_re has 1 elements, expected 2"),
        ({"x_re": [1.0, math.nan]}, r"x_re\[1\] is nan"),
        ({"x_im": [1.0]}, "x_im has 1 elements, expected 0"),
        ({**ROTATING, "x_im": [1.0, math.inf]}, r"x_im\[1\] is inf"),
        ({**ROTATING, "c_im": [0.0, math.nan]}, r"c_im\[1\] is nan"),
        ({"value_bias": [1.0]}, "gate_bias has 0 elements, expected 1"),
        ({"value_bias": [1.0], "gate_bias": [1.0], "gain": [1.0]}, "gain has 1 elements, expec"),
        ({"value_bias": [1.0], "gate_bias": [1.0], "shift": [1.0]}, "gain has 0 elements, expec"),
        ({"gate_bias": [1.0]}, "gate_bias has 1 elements, expected 0"),
        ({"value_bias": [math.nan], "gate_bias": [1.0]}, r"value_bias\[0\] is nan"),
        ({"value_bias": [1.0], "gate_bias": [math.inf]}, r"gate_bias\[0\] is inf"),
        ({**GATED, "shift": [math.nan]}, r"shift\[0\] is nan"),
        ({**GATED, "gain": [math.inf]}, r"gain\[0\] is inf"),
        ({"slope": 1.0}, "slope"),
    ],
)
def test_nest_refuses_bad_parameters_and_keeps_the_old(change, message):
    setup()
    node = nest.Create("snn_ssm_state_space", params={"tau": [1.0, 2.0], "c_re": [1.0, 1.0]})
    before = node.get()
    with pytest.raises(nest.NESTError, match=message):
        node.set(**change)
    after = node.get()
    for name in (*PARAMETERS, "x_re", "x_im"):
        assert np.array_equal(before[name], after[name]), name


def test_a_second_receptor_is_refused():
    setup()
    nodes = nest.Create("snn_ssm_state_space", 2)
    with pytest.raises(nest.NESTError, match="Receptor type 1 is not available"):
        nest.Connect(nodes, nodes, syn_spec={"receptor_type": 1})
