"""A network in NEST through PyNN equals the software backend (E3): every spike, every membrane."""

import os
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
from support.cell_parts import with_parts
from support.files import ROOT
from support.nest_simulator import IN_NEST, nest, sim
from support.random_networks import checkpoint_of, network_of, network_samples, samples_of

from export.description.network import NetworkError
from export.lowering.network import lower
from export.pynn import built as pynn
from export.pynn.built import BackendError, build, run, setup_arguments, simulator
from export.samples.inputs import InputError
from export.samples.readout import accumulated_logits, logits
from export.software import simulation as software
from pynn_models import SnnSsmError
from pynn_models.nest import projection_weights

pytestmark = IN_NEST


def assert_equal(found, expected):
    """0 mismatched spikes, membranes equal to the last bit; returns the number of spikes."""
    spikes = 0
    assert set(found.spikes) == set(expected.spikes)
    for name, values in expected.spikes.items():
        assert found.spikes[name].shape == values.shape
        wrong = np.argwhere(found.spikes[name] != values)
        assert len(wrong) == 0, f"{len(wrong)} spikes of {name} differ, first at {wrong[0]}"
        spikes += int(values.sum())
    for name, values in expected.membranes.items():
        assert found.membranes[name].shape == values.shape
        assert (found.membranes[name] == values).all(), f"membranes of {name} differ"
    return spikes


def assert_nest_equals_software(network, samples):
    names = [p.name for p in network.populations]
    expected = software.run(network, samples, membranes=names)
    found = run("nest", network, samples, membranes=names)
    assert (found.backend, found.timestep) == ("pyNN.nest", network.timestep)
    assert (logits(network, samples, found) == logits(network, samples, expected)).all()
    assert (accumulated_logits(network, found) == accumulated_logits(network, expected)).all()
    return assert_equal(found, expected)


@pytest.mark.parametrize("timestep", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("delay", [1, 2, 3])
@pytest.mark.parametrize("encoding", ["bits", "current"])
def test_a_lowered_network_bit_for_bit(encoding, delay, timestep):
    checkpoint = checkpoint_of(delay, steps=40, inputs=2)
    network = lower(checkpoint, encoding=encoding, timestep=timestep, delay=delay)
    assert assert_nest_equals_software(network, samples_of(checkpoint, 4)) > 100


def test_pynn_knows_where_a_membrane_starts_and_logs_nothing(caplog):
    checkpoint = checkpoint_of(steps=20)
    network = lower(checkpoint)
    sim.setup(**setup_arguments("nest", network))
    built = build(sim, network, samples_of(checkpoint, 2))
    layer = built.populations["layer0"]
    layer.record(["y", "u"])
    sim.run(built.duration)
    for signal in layer.get_data().segments[0].analogsignals:
        assert (signal.magnitude[0] == 0).all()
    assert [record for record in caplog.records if record.name == "PyNN"] == []
    sim.end()


@pytest.mark.parametrize("changes", [
    {"mode_init": "s4d-real"},
    {"mode_init": "s4d-real", "discretisation": "bilinear", "dt_min": 1.0, "dt_max": 8.0},
    {"discretisation": "bilinear", "pooling": "last", "prenorm": False},
    {"norm": "none", "depth": 1},
    {"depth": 4, "input_bits": 8, "input_scale": 1 / 255},
], ids=str)
def test_other_models_bit_for_bit(changes):
    checkpoint = checkpoint_of(3, steps=30, **changes)
    assert assert_nest_equals_software(lower(checkpoint), samples_of(checkpoint)) > 20


@pytest.mark.parametrize("encoding", ["bits", "current"])
@pytest.mark.parametrize("seed", range(4))
def test_random_networks_bit_for_bit(seed, encoding):
    """Cells of all kinds, thresholds and latencies at random, projections left out."""
    network = network_of(seed, encoding=encoding, layers=3, tied=False, steps=20)
    assert_nest_equals_software(network, network_samples(network, 3))
    if encoding == "bits":
        parted = with_parts(network, seed)
        assert_nest_equals_software(parted, network_samples(parted, 3))


def test_extreme_samples_bit_for_bit():
    """Sources that never spike, and sources that always do; a sample of one step."""
    checkpoint = checkpoint_of(steps=12)
    network = lower(checkpoint)
    assert_nest_equals_software(network, np.zeros((2, 1, 12), np.uint8))
    assert_nest_equals_software(network, np.full((2, 1, 12), 15, np.uint8))
    short = checkpoint_of(steps=1)
    assert_nest_equals_software(lower(short), samples_of(short, 5))


def test_the_samples_of_a_run_do_not_depend_on_each_other():
    checkpoint = checkpoint_of(steps=25)
    network, samples = lower(checkpoint), samples_of(checkpoint, 4)
    together = run("nest", network, samples)
    for b in (0, 3):
        alone = run("nest", network, samples[b : b + 1])
        for name, spikes in together.spikes.items():
            assert (alone.spikes[name] == spikes[b : b + 1]).all()


def set_up(network, **changes):
    sim.setup(**(setup_arguments("nest", network) | changes))


def test_the_built_objects_are_the_networks():
    network = lower(checkpoint_of(depth=3), delay=2, timestep=0.5)
    set_up(network)
    built = build(sim, network, samples_of(checkpoint_of(depth=3), 2))
    assert set(built.populations) == {"input", *(p.name for p in network.populations)}
    for population in network.populations:
        made = built.populations[population.name]
        assert (made.label, made.size) == (population.name, population.size)
        assert built.first_steps[population.name] == 2 + population.latency
    assert len(built.projections) == len(network.projections)
    for projection in network.projections:
        made = built.projections[projection.source, projection.target]
        assert (projection_weights(made) == projection.weights).all()
    assert built.duration == (2 + 8 + 2 * 24 + 1) * 0.5 and built.samples == 2
    sim.end()


def test_without_samples_it_is_one_samples_time_of_silence():
    network = lower(checkpoint_of())
    set_up(network)
    built = build(sim, network)
    built.record()
    sim.run(built.duration)
    found = built.recording()
    sim.end()
    assert_equal(found, software.run(network, np.zeros((1, 1, network.steps))))


def test_a_users_own_population_joins_in_and_changes_nothing():
    checkpoint = checkpoint_of(steps=40)
    network, samples = lower(checkpoint), samples_of(checkpoint)
    set_up(network, max_delay=10.0)
    built = build(sim, network, samples)
    layer = built.populations["layer0"]
    mine = sim.Population(3, sim.IF_curr_exp(tau_m=10.0, tau_refrac=1.0), label="mine")
    sim.Projection(
        layer, mine, sim.AllToAllConnector(), sim.StaticSynapse(weight=3.0, delay=2.0),
        receptor_type="excitatory",
    )
    mine.record("spikes")
    built.record(["layer1"])
    sim.run(built.duration)
    found = built.recording(["layer1"])
    fired = [len(train) for train in mine.get_data("spikes").segments[0].spiketrains]
    sim.end()
    assert len(fired) == 3 and min(fired) > 0
    assert assert_equal(found, software.run(network, samples, membranes=["layer1"])) > 100


def test_a_run_that_goes_on_too_long_records_the_same():
    checkpoint = checkpoint_of()
    network, samples = lower(checkpoint), samples_of(checkpoint)
    set_up(network)
    built = build(sim, network, samples)
    built.record()
    sim.run(built.duration + 100.0)
    found = built.recording()
    sim.end()
    assert_equal(found, software.run(network, samples))


# --- refusals ---------------------------------------------------------------------------------


def test_a_simulator_of_another_timestep():
    checkpoint = checkpoint_of()
    network = lower(checkpoint, timestep=1.0)
    sim.setup(timestep=0.5, min_delay=0.5, max_delay=10.0, spike_precision="on_grid")
    with pytest.raises(BackendError) as caught:
        build(sim, network, samples_of(checkpoint))
    message = str(caught.value)
    assert "the simulator's timestep is 0.5 ms, the network's 1.0 ms" in message
    assert "sim.setup(**setup_arguments('nest', network))" in message
    sim.end()


def test_a_simulator_off_the_grid():
    checkpoint = checkpoint_of()
    network = lower(checkpoint)
    set_up(network, spike_precision="off_grid")
    with pytest.raises(BackendError, match=r"spike_precision is 'off_grid'; expected 'on_grid'"):
        build(sim, network, samples_of(checkpoint))
    sim.end()


def test_a_simulator_of_too_short_delays():
    checkpoint = checkpoint_of()
    network = lower(checkpoint)
    set_up(network, max_delay=1.0)
    with pytest.raises(SnnSsmError, match=r"the delay is 2.0 ms, expected .* max_delay 1.0 ms"):
        build(sim, network, samples_of(checkpoint))
    sim.end()


def test_samples_that_do_not_fit_are_refused_before_anything_is_made():
    network = lower(checkpoint_of())
    set_up(network)
    with pytest.raises(InputError, match="samples have shape"):
        build(sim, network, np.zeros((1, 1, 5), np.uint8))
    assert nest.network_size == 0
    sim.end()


def test_an_unknown_membrane_is_refused():
    checkpoint = checkpoint_of()
    network = lower(checkpoint)
    set_up(network)
    built = build(sim, network, samples_of(checkpoint))
    with pytest.raises(NetworkError, match="there is no population 'hidden'"):
        built.record(["hidden"])
    sim.end()


def test_an_unknown_backend_is_named_with_the_known_ones():
    checkpoint = checkpoint_of()
    network = lower(checkpoint)
    expected = r"no state-space cell for the PyNN backend '.*arbor'; there is one for pyNN.nest"
    with pytest.raises(BackendError, match=expected):
        build(ModuleType("pyNN.arbor"), network, samples_of(checkpoint))
    for function in (simulator, lambda name: setup_arguments(name, network),
                     lambda name: run(name, network, samples_of(checkpoint))):
        with pytest.raises(BackendError, match=expected):
            function("arbor")


@pytest.mark.parametrize("missing", ["pyNN.nest", "pyNN"])
def test_without_pynn(monkeypatch, missing):
    for name in [n for n in sys.modules if n == "pyNN" or n.startswith("pyNN.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(BackendError) as caught:
        simulator("nest")
    message = str(caught.value)
    assert message.startswith("pyNN.nest cannot be imported (")
    assert "pip install 'snn-ssm[nest]'" in message


INTERLEAVED = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from support.random_networks import network_of, network_samples
from export.software import simulation as software
from export.pynn.built import run
network = network_of(3, steps=40)
for count in (4, 3, 1):  # also fewer samples than threads
    samples = network_samples(network, count)
    one, two = run("nest", network, samples), software.run(network, samples)
    assert all(np.array_equal(one.spikes[name], two.spikes[name]) for name in one.spikes)
print("equal")
"""


def test_software_on_two_threads_and_nest_take_turns_in_one_process():
    # A parallel loop of numba's own sets the threads of NEST's OpenMP, and NEST then crashes.
    environment = {
        **os.environ, "NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)
    }
    done = subprocess.run(
        [sys.executable, "-c", INTERLEAVED, str(ROOT / "tests")],
        env=environment, capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "equal" in done.stdout


def test_a_backend_goes_by_its_short_name_and_by_its_modules():
    network = lower(checkpoint_of(), delay=2, timestep=0.5)
    assert simulator("nest") is simulator("pyNN.nest") is simulator("NEST") is sim
    stock = lower(checkpoint_of(cells="stock", mode_init="s4d-real", modes=1))
    names = ("spinnaker", "spiNNaker", "pyNN.spiNNaker", "spynnaker.pyNN")
    assert len({str(setup_arguments(name, stock)) for name in names}) == 1
    arguments = setup_arguments("nest", network)
    assert arguments == setup_arguments("pyNN.nest", network)
    assert arguments["timestep"] == 0.5 and arguments["min_delay"] == 1.0
    assert arguments["max_delay"] == 0.5 * network.max_delay
    assert issubclass(pynn.BackendError, SnnSsmError)
