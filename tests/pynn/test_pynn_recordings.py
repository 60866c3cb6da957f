"""Nothing is answered with data that were not computed: runs cut short, resets, cleared data."""

import pytest
from support.nest_simulator import IN_NEST, nest, sim
from support.random_networks import network_of, network_samples

from export.pynn.built import BackendError, build, setup_arguments

pytestmark = IN_NEST


def built_of(network, samples, **changes):
    sim.setup(**setup_arguments("nest", network) | changes)
    nest.verbosity = nest.VerbosityLevel.ERROR
    return build(sim, network, samples)


def no_recording(built, membranes=()):
    with pytest.raises(BackendError) as caught:
        built.recording(membranes)
    return str(caught.value)


def test_a_recording_before_or_in_the_middle_of_a_run():
    network = network_of(3)
    built = built_of(network, network_samples(network))
    built.record()
    assert no_recording(built).startswith(
        f"the simulator is at 0 ms of the {built.duration:g} ms that the network needs"
    )
    sim.run(built.duration - network.timestep)
    assert "sim.run(built.duration)" in no_recording(built)
    sim.run(network.timestep)
    assert built.recording().spikes


def test_layers_and_membranes_that_were_not_recorded():
    network = network_of(3)
    built = built_of(network, network_samples(network))
    first, second = (p.name for p in network.layers)
    built.populations[first].record("spikes")
    built.populations[second][:1].record("spikes")
    sim.run(built.duration)
    count = network.population(second).size
    assert count > 1
    assert no_recording(built) == (
        f"population {second!r}: the spikes of 1 of its {count} neurons were recorded; expected "
        "all. Call built.record() before sim.run()."
    )
    built = built_of(network, network_samples(network))
    built.record([first])
    sim.run(built.duration)
    assert built.recording([first]).membranes
    assert no_recording(built, [second]) == (
        f"population {second!r}: its membrane was not recorded. Call "
        f"built.record(membranes=[{second!r}]) before sim.run()."
    )


@pytest.mark.parametrize("more", [0.0, 100.0])
def test_data_that_were_cleared(more):
    network = network_of(3)
    built = built_of(network, network_samples(network))
    built.record(["layer0"])
    sim.run(built.duration)
    built.populations["layer0"].get_data("spikes", clear=True)
    sim.run(more)
    message = no_recording(built)
    assert f"population 'layer0': its data begin at {built.duration} ms; expected 0." in message


def test_a_simulator_that_was_reset():
    network = network_of(3)
    built = built_of(network, network_samples(network), t_flush=200.0)
    built.record()
    sim.run(built.duration)
    sim.reset()
    assert "the simulator is at 0 ms" in no_recording(built)
    sim.run(built.duration)
    assert "its data are of 2 runs; expected one. The simulator was reset" in no_recording(built)
