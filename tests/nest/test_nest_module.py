"""The compiled NEST module: loaded when a cell type is made, unloaded by every setup."""

import math

import pytest
from support.nest_simulator import IN_NEST, nest, setup, sim, spike_counts

from pynn_models.nest import ModuleLoadError, StateSpace, install

pytestmark = IN_NEST


def test_resolution_may_change_after_the_module_is_loaded():
    nest.ResetKernel()
    install()
    nest.resolution = 0.5
    node = nest.Create(
        "snn_ssm_state_space",
        params={"tau": [2.0], "c_re": [1.0], "bias": 1.0, "theta": math.inf},
    )
    nest.Simulate(1.0)
    assert node.get("y") == math.exp(-0.5 / 2.0) * 1.0 + 1.0


def test_every_setup_unloads_the_module_and_a_cell_type_loads_it_again():
    for _ in range(3):
        sim.setup(timestep=1.0, spike_precision="on_grid")
        assert "snn_ssm_state_space" not in nest.node_models
        population = sim.Population(2, StateSpace(bias=2.0, d=1.0))
        population.record("spikes")
        sim.run(4.0)
        assert spike_counts(population) == [4, 4]


def test_too_late_is_said_so():
    sim.setup(timestep=1.0)
    sim.Population(1, sim.IF_curr_exp())
    with pytest.raises(ModuleLoadError, match=r"install\(\) right after sim.setup\(\)"):
        StateSpace()


def test_a_cell_type_from_before_setup_is_said_so():
    setup()
    old = StateSpace()
    sim.setup(timestep=1.0)
    with pytest.raises(ModuleLoadError, match="which unloads all modules"):
        sim.Population(1, old)
