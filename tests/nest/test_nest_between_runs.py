"""The NEST neuron between the runs of a prepared kernel: what is set there has its effect."""

import math

import numpy as np
import pytest
from pyNN.parameters import ArrayParameter
from support.nest_simulator import IN_NEST, nest, setup, sim

from pynn_models.nest import GRADED_SYNAPSE_NAME, MODEL_NAME, StateSpace, install

pytestmark = IN_NEST

REAL = {"tau": [10.0, 20.0], "c_re": [1.0, -0.5], "d": 0.25, "theta": math.inf, "bias": 0.5}
STEPS = 4
MANY = 5000


def expected(stages):
    """The membrane after STEPS steps with each parameters in turn, in the neuron's own order.

    What a stage changes in the number of modes begins at 0; the first step of a run does nothing.
    """
    x, y = np.zeros(0, complex), 0.0
    for stage in stages:
        tau = np.array(stage["tau"])
        omega = np.array(stage.get("omega") or np.zeros(len(tau)))
        c = np.array(stage["c_re"]) + 1j * np.array(stage.get("c_im") or np.zeros(len(tau)))
        x = np.concatenate([x[: len(tau)], np.zeros(max(len(tau) - len(x), 0))])
        if not stage.get("omega"):
            x = x.real.astype(complex)
        a = np.exp(-1.0 / tau + 1j * omega)
        for _ in range(STEPS):
            x = a * x + stage["bias"]
            y = float((c * x).real.sum() + stage["d"] * stage["bias"])
    return y


CHANGES = {
    "tau": {"tau": [3.0, 5.0]},
    "weights": {"c_re": [2.0, 2.0], "bias": -0.25},
    "complex": {"omega": [0.5, 0.25], "c_im": [1.0, -1.0]},
    "three": {"tau": [10.0, 20.0, 5.0], "c_re": [1.0, -0.5, 2.0]},
    "one": {"tau": [4.0], "c_re": [3.0]},
    "many": {"tau": [7.0] * MANY, "c_re": [1e-3] * MANY},
    "many complex": {
        "tau": [7.0] * MANY, "c_re": [1e-3] * MANY, "omega": [0.5] * MANY, "c_im": [1e-3] * MANY,
    },
}


@pytest.fixture
def kernel(quiet_nest):
    nest.ResetKernel()
    nest.resolution = 1.0
    nest.verbosity = nest.VerbosityLevel.ERROR
    install()
    yield nest
    nest.ResetKernel()


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_set_after_prepare_is_what_runs(kernel, name):
    neuron = kernel.Create(MODEL_NAME, params=REAL)
    kernel.Prepare()
    kernel.Run(STEPS)
    assert neuron.get("y") == pytest.approx(expected([REAL]), rel=1e-12)
    changed = REAL | CHANGES[name]
    neuron.set(**CHANGES[name])
    kernel.Run(STEPS)
    assert neuron.get("y") == pytest.approx(expected([REAL, changed]), rel=1e-12)
    neuron.set(**REAL, omega=[], c_im=[], x_re=[0.0, 0.0], x_im=[])
    kernel.Run(STEPS)
    assert neuron.get("y") == pytest.approx(expected([REAL]), rel=1e-12)
    kernel.Cleanup()


def test_a_neuron_made_after_prepare_runs(kernel):
    kernel.Create(MODEL_NAME, params=REAL)
    kernel.Prepare()
    kernel.Run(1)
    late = kernel.Create(MODEL_NAME, params=REAL | CHANGES["complex"])
    kernel.Run(STEPS)
    found = late.get("y")
    kernel.Cleanup()
    assert found == pytest.approx(expected([REAL | CHANGES["complex"]]), rel=1e-12)


def test_branches_set_after_prepare(kernel):
    count = 50
    neuron = kernel.Create(MODEL_NAME, params=REAL)
    kernel.Prepare()
    kernel.Run(STEPS)
    neuron.set(value_bias=[2.0] * count, gate_bias=[0.0] * count, x_re=[0.0, 0.0])
    kernel.Run(STEPS)
    found = neuron.get("y")
    kernel.Cleanup()
    assert found == pytest.approx(expected([REAL | {"bias": 0.5 + count}]), rel=1e-12)


def test_a_time_constant_set_between_runs_of_pynn():
    def membrane(later):
        setup()
        first = {k: ArrayParameter(v) if isinstance(v, list) else v for k, v in REAL.items()}
        population = sim.Population(1, StateSpace(**first))
        sim.run(float(STEPS))
        population.set(tau=ArrayParameter(later))
        nodes = population.node_collection
        states = np.array(nodes.get("x_re"))
        sim.run(1.0)
        return nodes.get("y"), states

    for later in ([3.0, 5.0], REAL["tau"]):
        found, states = membrane(later)
        x = np.exp(-1.0 / np.array(later)) * states + REAL["bias"]
        assert found == pytest.approx(float(x @ REAL["c_re"]) + 0.125, rel=1e-12)


def test_a_graded_connection_after_prepare_is_refused(kernel):
    one, other = (kernel.Create(MODEL_NAME, params=REAL) for _ in range(2))
    synapse = {"synapse_model": GRADED_SYNAPSE_NAME, "weight": 1.0, "delay": 1.0}
    kernel.Prepare()
    kernel.Run(STEPS)
    with pytest.raises(Exception, match="graded connections before the first run"):
        kernel.Connect(one, other, syn_spec=synapse)
    kernel.Run(STEPS)
    kernel.Cleanup()
    kernel.Connect(one, other, syn_spec=synapse)
    kernel.Simulate(STEPS)
