"""E4: sPyNNaker's own binaries on an emulated board, and the integer model, bit for bit."""

import dataclasses
import hashlib
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from support import forked
from support.files import ROOT
from support.random_networks import checkpoint_of, samples_of

from export.boards import execution as spinnaker
from export.boards.config import Board, configuration, write_configuration
from export.command.arguments import main
from export.description.network import Projection
from export.description.storage import save_network
from export.fixed_point import simulation as spinnaker_software
from export.fixed_point.stock import HOLD, plan_population
from export.lowering.network import lower
from export.pynn.backend import first_steps
from export.samples.inputs import encode
from export.samples.recording import Recording
from pynn_models.spinnaker import (
    Arrival,
    StockCell,
    ring_buffer,
    run_stock,
    stock_constants,
    to_s1615,
)
from pynn_models.spinnaker.synapses import RING_MAX
from snn_ssm.checkpoint import load_checkpoint
from snn_ssm.tasks import load_samples

pytest.importorskip("unicorn", reason="Unicorn, which executes ARM code, is not installed")
if importlib.util.find_spec("spynnaker") is None:
    pytest.skip("sPyNNaker is not installed", allow_module_level=True)

from pynn_models.spinnaker.board import emulated_board
from pynn_models.spinnaker.board.native_core import NativeCore
from pynn_models.spinnaker.board.python_core import PythonCore


def stock_of(seed, steps, **changes):
    return checkpoint_of(seed, steps, cells="stock", mode_init="s4d-real", modes=1, **changes)


@pytest.fixture(scope="module")
def datagrams():
    """What the board received so far."""
    return []


@pytest.fixture(scope="module")
def address(datagrams):
    """A board of the tests' own; in the end no core failed."""
    with emulated_board() as board:
        receive = board._receive
        board._receive = lambda data, sender: datagrams.append(data) or receive(data, sender)
        yield board.address
        assert board.errors == []


def script(name, address, directory):
    """Run one of ``spinnaker_scripts.py`` on the board."""
    write_configuration(directory, Board(address))
    command = [sys.executable, str(ROOT / "tests" / "support" / "spinnaker_scripts.py")]
    done = forked.run(
        [*command, name, str(directory)], env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return np.load(directory / "found.npz")


def differing(network, samples, found):
    """Spikes that differ from the integer model's."""
    wanted = spinnaker_software.run(network, samples).spikes
    assert set(found) == set(wanted)
    return sum(int((spikes != found[name]).sum()) for name, spikes in wanted.items())


def one_sign_changed(network):
    """The network with the sign of its largest input weight changed."""
    first = network.projections[0]
    weights = first.weights.copy()
    weights[np.unravel_index(np.abs(weights).argmax(), weights.shape)] *= -1
    changed = Projection(first.source, first.target, weights, first.delay)
    return dataclasses.replace(network, projections=(changed, *network.projections[1:]))


def held(network):
    """The network with a layer whose neurons spike at rest, so that it is held until its start."""
    layer = network.layers[1]
    theta = np.where(np.arange(layer.size) % 4 == 0, -0.05, layer.cell.theta)
    cell = dataclasses.replace(layer.cell, theta=theta)
    populations = tuple(
        dataclasses.replace(p, cell=cell) if p is layer else p for p in network.populations
    )
    return dataclasses.replace(network, populations=populations)


# --- networks -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(address, tmp_path_factory):
    """A random network, two cores a layer, run by the script that keeps membranes, too."""
    directory = tmp_path_factory.mktemp("network")
    checkpoint = stock_of(2, 50, channels=20, depth=3, inputs=2)
    network, samples = held(lower(checkpoint, delay=2)), samples_of(checkpoint, 4)
    save_network(network, directory / "network")
    np.save(directory / "samples.npy", samples)
    return network, samples, script("network", address, directory)


def test_every_spike_of_a_network_is_the_same(recorded):
    network, samples, found = recorded
    spikes = {p.name: found[f"spikes_{p.name}"] for p in network.layers}
    for fired in spikes.values():
        assert 0.05 < fired.mean() < 0.95
    assert differing(network, samples, spikes) == 0
    assert differing(one_sign_changed(network), samples, spikes) > 0
    assert found["synapses"] == 4 * sum(
        int(np.count_nonzero(plan_population(network, p).stored(q)))
        for p in network.layers
        for q in network.incoming(p.name)
    )


def membranes(network, samples, name, unit=0):
    """V before each tick's update, (ticks, B H); ``unit``: added to a neuron's stored weights."""
    population = network.population(name)
    plan, start = plan_population(network, population), first_steps(network, 0, 0)[name]
    emitted = {"input": encode(network, samples)} | spinnaker_software.run(network, samples).spikes
    calm = emitted[name].sum(axis=(0, 1)).argmin()  # a spike resets V
    arrivals = ([], [])
    for projection in network.incoming(name):
        spikes = emitted[projection.source]
        exc, inh = (stored.copy() for stored in plan.stored(projection))
        exc[spikes.sum(axis=(0, 1)).argmax(), calm] += unit
        arrivals[0].append(Arrival(spikes, exc))
        arrivals[1].append(Arrival(spikes, inh))
    quiet = ((0, 0), (start, 0), (0, 0))
    exc, inh = (np.pad(ring_buffer(each), quiet) for each in arrivals)
    current = np.zeros(exc.shape, np.int32)
    if (population.cell.theta < 0).any():
        current[:, :start] = to_s1615(HOLD)
    run = run_stock(
        stock_constants(plan.cell, network.timestep), exc, inh, plan.shifts,
        current=current, v_init=np.zeros(population.size, np.int64), membrane=True,
    )  # fmt: skip
    return run.membrane.transpose(1, 0, 2).reshape(exc.shape[1], -1)


@pytest.mark.parametrize("name", ["layer0", "layer1", "layer2"])
def test_every_bit_of_its_membranes_is_the_same(recorded, name):
    network, samples, found = recorded
    wanted = membranes(network, samples, name)
    assert np.unique(wanted).size > 1000
    assert (found[f"v_{name}"][: len(wanted)] == wanted).all()
    changed = membranes(network, samples, name, unit=1)
    assert (found[f"v_{name}"][: len(wanted)] != changed).any()


@pytest.mark.slow
def test_more_cores_than_a_chip_has(address):
    """Populations of six cores each, on several chips."""
    checkpoint = stock_of(5, 20, channels=21, depth=3)
    network, samples = lower(checkpoint), samples_of(checkpoint, 4)
    run = spinnaker.execute(network, samples, Board(address, neurons_per_core=14))
    assert differing(network, samples, run.recording.spikes) == 0
    assert run.report["weights"]["differing"] == 0
    layers = run.report["populations"][1:]
    assert [(row["neurons"], row["cores"]) for row in layers] == [(84, 6)] * 3
    assert len({tuple(chip) for row in layers for chip in row["chips"]}) >= 2


@pytest.mark.slow
def test_the_shipped_network_on_a_digit(address, tmp_path):
    """Through the command line: 4 layers of 128 trained neurons, 784 steps."""
    checkpoint = load_checkpoint(ROOT / "examples" / "checkpoints" / "smnist-stock")
    data = ROOT / "examples" / "data" / "mnist-test-200.npz"
    network = lower(checkpoint)
    save_network(network, tmp_path / "network")
    arguments = ["--backend", "spinnaker", "--board", address, "--out", str(tmp_path / "found")]
    arguments += ["--data", str(data), "--samples", "1"]
    assert main(["run", str(tmp_path / "network"), *arguments]) == 0
    digit = load_samples(data, "test", checkpoint.config.task).inputs[:1]
    assert differing(network, digit, Recording.load(tmp_path / "found").spikes) == 0


# --- jobs ---------------------------------------------------------------------------------------


def test_a_job_tried_on_a_board_equals_the_integer_model(tmp_path, capsys):
    pytest.importorskip("scipy", reason="SciPy, which writes Neo's MAT files, is not installed")
    checkpoint = stock_of(7, 30, channels=10)
    save_network(lower(checkpoint), tmp_path / "network")
    np.savez(tmp_path / "data.npz", inputs=samples_of(checkpoint, 4), labels=[0, 1, 2, 0])
    network, job = str(tmp_path / "network"), tmp_path / "job"
    arguments = ["--data", str(tmp_path / "data.npz"), "--board", "emulated"]
    assert main(["job", network, str(job), *arguments, "--json", str(tmp_path / "f.json")]) == 0
    printed = capsys.readouterr().out
    assert "functional emulation with an estimate of time" in printed
    tried = json.loads((tmp_path / "f.json").read_text())["tried"]
    assert tried["contract"]["E4"] is True and tried["samples"] == 4 and tried["spikes"] > 0
    assert tried["emulated"]["errors"] == [] and tried["emulated"]["ticks"] > 30
    assert not (job / "results").exists()  # a copy was run


# --- cells --------------------------------------------------------------------------------------

CELLS, SOURCES, STEPS, SHIFTS = 40, 24, 80, (3, 2)
DELAYS = (1, 6)


def random_cells(rng):
    """Cells of any time constants and thresholds, some of whose ring buffers saturate."""
    cell = StockCell(
        tau_m=rng.uniform(2, 30, CELLS),
        cm=rng.uniform(0.2, 2, CELLS),
        tau_refrac=rng.choice([0.0, 1.0, 2.5], CELLS),
        tau_syn_E=rng.uniform(0.5, 15, CELLS),
        tau_syn_I=rng.uniform(0.5, 15, CELLS),
        v_rest=rng.uniform(-70, -60, CELLS),
        v_reset=rng.uniform(-75, -65, CELLS),
        v_thresh=rng.uniform(-55, -45, CELLS),
        i_offset=rng.uniform(-0.5, 0.5, CELLS),
    )
    shape = (len(SHIFTS), len(DELAYS), SOURCES, CELLS)
    weights = rng.uniform(0, 1, shape) * (rng.random(shape) < 0.3)
    weights[0, :, :, ::7] *= 6
    spikes = rng.random((STEPS, SOURCES)) < 0.15
    spikes[20] = True
    return cell, weights, spikes


@pytest.fixture(scope="module")
def cells(address, datagrams, tmp_path_factory):
    """Cells, their input, what the board made of them, and the datagrams of that run."""
    directory, before = tmp_path_factory.mktemp("cells"), len(datagrams)
    given = cells_given(directory)
    found = script("cells", address, directory)
    return given, found, datagrams[before:]


def cells_given(directory):
    rng = np.random.default_rng(3)
    cell, weights, spikes = random_cells(rng)
    start, current = rng.uniform(-70, -50, CELLS), rng.uniform(-1, 1, STEPS)
    parameters = {f"p_{k}": v for k, v in dataclasses.asdict(cell).items()}
    np.savez(
        directory / "cells.npz", spikes=spikes, current=current, v=start, delays=DELAYS,
        excitatory=weights[0], inhibitory=weights[1], summed=[0.9 * 2.0**r for r in SHIFTS],
        **parameters,
    )  # fmt: skip
    return cell, weights, spikes, start, current


def test_cells_of_any_parameters_are_the_same_to_the_bit(cells):
    (cell, weights, spikes, start, current), found, _ = cells
    buffers = []
    for signed, shift in zip(weights, SHIFTS, strict=True):
        arrivals = []
        for delay, each in zip(DELAYS, signed, strict=True):
            late = np.zeros((1, *spikes.shape), np.uint8)
            late[0, delay:] = spikes[:-delay]
            stored = np.rint(np.ldexp(each, 15 - shift)).astype(np.uint16)
            arrivals.append(Arrival(late, stored))
        buffers.append(ring_buffer(arrivals))
    run = run_stock(
        stock_constants(cell, 1.0), *buffers, SHIFTS,
        current=np.tile([[to_s1615(a)] for a in current], (1, 1, CELLS)).astype(np.int32),
        v_init=np.array([to_s1615(v) for v in start]), membrane=True,
    )  # fmt: skip
    assert buffers[0].max() == RING_MAX and run.spikes.any()
    assert (found["spikes"] == run.spikes[0]).all()
    assert (found["v"] == run.membrane[0]).all()


def replayed(datagrams, make):
    """The answers of a board without a network to datagrams, what its chip holds, what it did."""
    board, answers = emulated_board(make=make), []
    board._send = lambda data, target: answers.append(data)
    try:
        for data in datagrams:
            board._receive(data, ("127.0.0.1", 9))
            while board._board.step():
                pass
    finally:
        board._close()
    chip = board._board.chips[0, 0]
    memory = [hashlib.blake2b(ram.bytes).hexdigest() for ram in chip.memory.rams]
    loads = {n: (load.ticks, load.total, load.most, load.most_at) for n, load in chip.loads.items()}
    return answers, memory, loads, board.errors


def test_cores_in_c_and_in_python_are_the_same_to_the_bit_and_instruction(cells):
    _, _, datagrams = cells
    first = replayed(datagrams, NativeCore)
    second = replayed(datagrams, lambda *given: PythonCore(*given, counts=True))
    assert first == second
    answers, _, loads, errors = first
    assert len(answers) > 500 and errors == []
    ticks = {ticks for ticks, total, _, _ in loads.values() if total > 100_000}
    assert ticks == {STEPS}


# --- configuration ------------------------------------------------------------------------------


def test_only_a_board_of_this_computer_is_configured_as_an_emulated_one():
    assert "advanced_monitor_support = False" in configuration(Board("127.0.0.9"))
    for address in ("virtual", "192.168.240.1", "https://127.server/spalloc/"):
        assert "monitor" not in configuration(Board(address))


# --- the commands -------------------------------------------------------------------------------


def test_verify_starts_a_board_and_finds_every_spike_the_same(tmp_path, capsys):
    checkpoint = stock_of(11, 20, channels=8)
    save_network(lower(checkpoint), tmp_path / "network")
    np.savez(tmp_path / "data.npz", inputs=samples_of(checkpoint, 2), labels=[0, 1])
    arguments = ["--data", str(tmp_path / "data.npz"), "--json", "-"]
    arguments += ["--backends", "spinnaker-software,spinnaker", "--board", "emulated"]
    arguments += ["--machine-version", "3", "--quiet"]
    assert main(["verify", str(tmp_path / "network"), *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["contract"]["E4"] is True and found["spikes"] > 0


@pytest.mark.slow
def test_inspect_shows_what_cores_execute(tmp_path, capsys):
    save_network(lower(stock_of(11, 20, channels=8)), tmp_path / "network")
    assert main(["inspect", str(tmp_path / "network"), "--board", "emulated"]) == 0
    printed = capsys.readouterr().out
    assert "Executed instructions of a population's busiest core" in printed
    assert "Estimate for SpiNNaker 1" not in printed


@pytest.mark.slow
@pytest.mark.parametrize("timestep", [0.5, 0.1])
def test_below_a_millisecond_neurons_and_synapses_stand_on_cores_of_their_own(timestep):
    checkpoint = stock_of(11, 20, channels=8)
    network, samples = lower(checkpoint, timestep=timestep), samples_of(checkpoint, 2)
    run = spinnaker.execute(network, samples, Board("emulated"))
    assert differing(network, samples, run.recording.spikes) == 0
    programs = {row["core"].partition("(")[2] for row in run.report["emulated"]["cores"]}
    assert {"synapses)", "IF_curr_exp_neu)"} <= programs, programs


SPLIT = """
import json, sys
import numpy as np
import pyNN.spiNNaker as sim
cell, scale, split = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "split"
rng = np.random.default_rng(1)
sim.setup(1.0)
times = [sorted(set(rng.integers(0, 50, 8).tolist())) for _ in range(40)]
source = sim.Population(40, sim.SpikeSourceArray(spike_times=times))
more = {"neurons_per_core": 32} | ({"n_synapse_cores": 1} if split else {})
given = {"tau_syn_E": 5.0, "tau_syn_I": 5.0} if "delta" not in cell else {}
target = sim.Population(40, getattr(sim, cell)(**given), additional_parameters=more)
weights, delays = rng.random((40, 40)) * scale, rng.integers(1, 5, (40, 40))
rows = [(i, j, w, float(delays[i, j])) for (i, j), w in np.ndenumerate(weights)]
sim.Projection(source, target, sim.FromListConnector(rows), sim.StaticSynapse())
target.record(["spikes", "v"])
sim.run(60)
data = target.get_data().segments[0]
sim.end()
spikes = [train.magnitude.tolist() for train in data.spiketrains]
print(json.dumps({"v": data.analogsignals[0].magnitude.tolist(), "spikes": spikes}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "scale"), [("IF_curr_exp", 0.1), ("IF_curr_delta", 2.5), ("IF_curr_alpha", 1.0)]
)
def test_split_cores_equal_combined_ones_to_the_bit(cell, scale, tmp_path):
    (tmp_path / "script.py").write_text(SPLIT)
    with emulated_board() as board:
        (tmp_path / "spynnaker.cfg").write_text(board.configuration)
        calls = [f"script.py,{cell},{scale},{kind}" for kind in ("split", "combined")]
        scripts = ROOT / "tests" / "support" / "board_scripts.py"
        done = subprocess.run(
            [sys.executable, str(scripts), *calls], cwd=tmp_path, text=True, capture_output=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert board.errors == []
    results = [line[7:] for line in done.stdout.splitlines() if line.startswith("RESULT")]
    split, combined = map(json.loads, results)
    assert split == combined
    assert sum(map(len, split["spikes"])) > 50 and np.unique(split["v"]).size > 500
