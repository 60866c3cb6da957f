"""Every timestep of whole microseconds runs in NEST; others are refused by name."""

import pytest
from support.nest_simulator import IN_NEST
from support.random_networks import checkpoint_of, samples_of

from export.lowering.network import lower
from export.pynn.built import BackendError, run, setup_arguments
from export.software import simulation as software
from export.verification.comparison import mismatches

pytestmark = IN_NEST

CELLS = {
    "native": {},
    "lif": {"cells": "lif"},
    "stock": {"cells": "stock", "mode_init": "s4d-real", "modes": 1},
}
# 0.35, 0.7 and the like are a little less than a whole number of microseconds in float64.
TIMESTEPS = [0.001, 0.007, 0.102, 0.35, 0.7, 0.95, 1.001, 1.4, 2.405, 2.8, 3.3, 100.0]


@pytest.mark.parametrize("timestep", TIMESTEPS)
@pytest.mark.parametrize("cells", CELLS)
def test_every_timestep_of_whole_microseconds(cells, timestep):
    checkpoint = checkpoint_of(2, steps=20, **CELLS[cells])
    network = lower(checkpoint, timestep=timestep, delay=2 if cells == "native" else 1)
    samples = samples_of(checkpoint, 2)
    expected = software.run(network, samples)
    assert mismatches(run("nest", network, samples), expected) == 0
    assert sum(int(spikes.sum()) for spikes in expected.spikes.values()) > 20


@pytest.mark.parametrize(("timestep", "nearest"), [
    (1 / 3, "0.333"), (0.03125, "0.031"), (0.0005, "0.001"), (0.1234, "0.123"), (1e-9, "0.001"),
])
@pytest.mark.parametrize("name", ["nest", "spinnaker"])
def test_other_timesteps_are_refused_by_name(timestep, nearest, name):
    network = lower(checkpoint_of(), timestep=timestep)
    with pytest.raises(BackendError) as caught:
        setup_arguments(name, network)
    simulator_ = "NEST" if name == "nest" else "sPyNNaker"
    assert str(caught.value) == (
        f"the timestep is {timestep!r} ms; {simulator_} counts whole microseconds. Export with "
        f"--timestep {nearest}, or use the backend software."
    )
