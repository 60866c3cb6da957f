"""Native networks through sPyNNaker on its virtual board: mapping, weights, parameters, limits."""

import dataclasses
import importlib.util
import json
import os
import re
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import neo
import numpy as np
import pytest
from quantities import ms
from support import forked
from support.cell_parts import parts_of
from support.drawn_cell import random_parameters, with_random_parts
from support.files import ROOT
from support.random_networks import checkpoint_of, samples_of

from export.boards import execution as spinnaker
from export.boards import worker as spinnaker_worker
from export.boards.config import Board, BoardError, use_configuration, write_configuration
from export.boards.tables import describe
from export.boards.worker import ParameterMismatchError
from export.command.arguments import main
from export.description.storage import save_network
from export.fixed_point.native import native_instructions, spike_instructions
from export.lowering.network import lower
from export.pynn.registry import board_backend
from export.pynn.spinnaker import CoreSizeError, DelayLimitError
from export.pynn.spinnaker_native import (
    SpinnakerNative,
    capacity,
)
from pynn_models.spinnaker import C_DIRECTORY, neuron_bytes

needs_spynnaker = pytest.mark.skipif(
    importlib.util.find_spec("spynnaker") is None, reason="sPyNNaker is not installed"
)

RNG = np.random.default_rng(0)
CHECKPOINT = checkpoint_of(3, channels=24, depth=3, inputs=2)
NETWORK = lower(CHECKPOINT)
SAMPLES = samples_of(CHECKPOINT, 2)
REAL = checkpoint_of(4, channels=10, modes=3, mode_init="s4d-real")


def with_two_parts(network):
    """The network whose spiking cells have a soft reset and a history of two steps."""
    return dataclasses.replace(network, populations=tuple(
        dataclasses.replace(p, cell=dataclasses.replace(
            p.cell, **parts_of(RNG, p.cell, "soft", refractory=2, history=2)
        )) if p.spikes else p
        for p in network.populations
    ))


PARTS = with_two_parts(lower(REAL))


def region_of(network, population, neurons, first_step):
    """A core's neuron parameters, number by number, from the tables in the C core's headers."""
    p = SpinnakerNative().plan(network, population).parameters
    words = [p.n_modes, int(p.is_complex), first_step, network.steps]
    soft = p.reset is not None and not p.reset.is_hard
    steps = p.history_steps
    words += [2 - soft if p.reset else 0, p.reset.refractory if p.reset else 0, steps]
    words += [4 + (6 if p.is_complex else 3) * p.n_modes + bool(p.reset) + steps + (steps > 0)]
    words[-1] += (2 if p.is_complex else 1) * p.n_modes * soft
    for h in neurons:
        words += [0, p.bias[h], p.d[h], p.theta[h]]
        for n in range(p.n_modes):
            if p.is_complex:
                words += [p.a_re[h, n], p.a_im[h, n], p.c_re[h, n], -p.c_im[h, n], 0, 0]
            else:
                words += [p.a_re[h, n], p.c_re[h, n], 0]
        words += [0] if p.reset else []
        words += [0, *p.history[h]] if steps else []
        for n in range(p.n_modes * soft):
            words += [r[h, n] for r in (p.reset.r_re, p.reset.r_im) if r is not None]
    return b"".join(int(w).to_bytes(4, "little", signed=True) for w in words)


# --- what a core holds ---------------------------------------------------------------------------


def test_the_neurons_that_fit_a_core_are_those_that_ran():
    """N complex modes -> neurons, as measured with one step of delay."""
    sizes = (4, 16, 32, 64, 1000, 3000)
    size = {n: neuron_bytes(random_parameters(RNG, 1, n, True)) for n in sizes}
    assert [size[n] for n in (4, 16, 32, 64)] == [112, 400, 784, 1552]
    found = {n: capacity(size[n], 1) for n in (4, 16, 32, 64)}
    assert found == {4: 256, 16: 128, 32: 64, 64: 32}
    assert capacity(size[16], 2) == 128 and capacity(size[16], 8) == 120  # slots 2 and 8
    assert capacity(neuron_bytes(random_parameters(RNG, 1, 32, False)), 1) == 128  # half of it
    assert capacity(size[1000], 1) == 2 and capacity(size[3000], 1) == 0


@pytest.mark.parametrize(("reset", "history", "more"), [
    ("hard", 0, 4), ("soft", 0, 4 + 8 * 16), ("none", 4, 4 + 4 * 4), ("soft", 1, 4 + 128 + 8),
])
def test_the_bytes_of_optional_parts(reset, history, more):
    plain = random_parameters(RNG, 2, 16, True)
    assert neuron_bytes(with_random_parts(RNG, plain, reset, history)) == 400 + more


def many_modes(modes):
    cell = NETWORK.layers[0].cell
    wide = {
        name: np.full((24, modes), getattr(cell, name)[0, 0])
        for name in ("tau", "omega", "c_re", "c_im")
    }
    layer = dataclasses.replace(NETWORK.layers[0], cell=dataclasses.replace(cell, **wide))
    return dataclasses.replace(NETWORK, populations=(layer, *NETWORK.populations[1:]))


def test_too_many_neurons_a_core():
    network = many_modes(64)
    backend = board_backend(network)
    assert backend.per_core(network, network.layers[0]) == 32  # fewer than 64, unasked
    assert backend.per_core(network, network.layers[1]) == 64
    with pytest.raises(CoreSizeError, match=r"'layer0': 40 neurons a core; expected at most 32"):
        spinnaker.execute(network, SAMPLES, Board(neurons_per_core=40))
    with pytest.raises(CoreSizeError, match=r"1552 bytes of a core's 64 KiB.*Choose fewer"):
        board_backend(network, 33).check(network)
    with pytest.raises(CoreSizeError, match=r"at most 0: each takes 72016.*fewer modes"):
        board_backend(many_modes(3000)).check(many_modes(3000))
    for count in (0, 257):
        with pytest.raises(CoreSizeError, match=rf"{count} neurons a core; expected 1 to 256"):
            board_backend(NETWORK, count).check(NETWORK)


def test_delays_beyond_the_limit():
    network = lower(CHECKPOINT, delay=50)  # the input reaches layer2 after 150 steps
    with pytest.raises(DelayLimitError, match=r"'layer2': delay 150 steps; expected at most 128"):
        board_backend(network, 64).check(network)
    assert board_backend(network).per_core(network, network.layers[2]) == 32  # fewer, unasked
    network = lower(CHECKPOINT, delay=9000)
    with pytest.raises(DelayLimitError, match=r"delay 9000 steps; expected at most 8192 with 1 "):
        board_backend(network).check(network)


def test_instructions_of_a_neuron_and_of_its_spike():
    assert native_instructions(NETWORK.population("layer1").state_space) == 67 + 19 * 4
    real = lower(REAL).population("layer1").state_space
    assert (native_instructions(real), spike_instructions(real)) == (67 + 11 * 3, 0)
    parts = PARTS.population("layer0").state_space
    assert native_instructions(parts) == 67 + 50 + 11 * 3
    # Of the soft reset, and of a history of two steps.
    assert spike_instructions(parts) == (15 + 7 * 3) + (9 + 6)


# --- a check that bites, without sPyNNaker -------------------------------------------------------


def test_other_parameters_than_planned_are_refused(tmp_path, monkeypatch):
    backend, layer = SpinnakerNative(), NETWORK.layers[1]
    path = tmp_path / "ds.sqlite3"
    view = SimpleNamespace(get_ds_database_path=lambda: path)
    for name in ("spynnaker", "spynnaker.pyNN"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace())
    data = SimpleNamespace(SpynnakerDataView=view)
    monkeypatch.setitem(sys.modules, "spynnaker.pyNN.data", data)
    vertex = SimpleNamespace(
        label="layer1 8-15",
        app_vertex=SimpleNamespace(label="layer1"),
        vertex_slice=SimpleNamespace(lo_atom=8, hi_atom=15),
    )
    system = SimpleNamespace(vertex=SimpleNamespace(label="SYSTEM:monitor"))
    placements = [system, SimpleNamespace(x=1, y=2, p=3, vertex=vertex)]
    monkeypatch.setattr(spinnaker_worker, "_placements", lambda: iter(placements))
    built = SimpleNamespace(network=NETWORK, first_steps={"layer1": 2})
    good = region_of(NETWORK, layer, range(8, 16), 2)
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE region (x, y, p, region_label, content)")
        database.execute("INSERT INTO region VALUES (1, 2, 3, 'neuron_params', ?)", [good])
    found = spinnaker_worker.check_parameters(built, backend)
    assert found == {"words": 8 + 8 * (4 + 4 * 6), "differing": 0}
    for bad in (good[:-24] + b"\1" + good[-23:], good[:-4], None):
        with sqlite3.connect(path) as database:
            database.execute("UPDATE region SET content = ?", [bad])
        with pytest.raises(ParameterMismatchError, match="'layer1', neurons 8 to 15: sPyNNaker"):
            spinnaker_worker.check_parameters(built, backend)


# --- sPyNNaker itself ----------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def workers():
    with forked.workers():
        yield


@pytest.fixture(scope="module")
def mapped(workers):
    """The network on each machine, and one of real modes and optional parts, side by side."""
    jobs = [(NETWORK, SAMPLES, Board(machine_version=v, neurons_per_core=16)) for v in (5, 201)]
    jobs.append((NETWORK, SAMPLES, Board(machine_version=248)))
    jobs.append((PARTS, samples_of(REAL, 1), Board()))
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(lambda job: spinnaker.execute(*job), jobs))


@needs_spynnaker
def test_mapping_weights_and_parameters_on_every_machine(mapped):
    backend = SpinnakerNative()
    nonzero = sum(
        int(np.count_nonzero(stored))
        for q in NETWORK.projections
        for stored in backend.plan(NETWORK, NETWORK.population(q.target)).stored(q)
    )
    for run, chips, cores in zip(mapped[:3], (48, 1, 48), (2, 2, 1), strict=True):
        report = run.report
        assert run.recording is None and report["machine"]["chips"] == chips
        names = [row["name"] for row in report["populations"]]
        assert names == ["input", "layer0", "layer1", "layer2", "readout"]
        assert [row["cores"] for row in report["populations"]] == [1, cores, cores, cores, 1]
        assert report["weights"]["synapses"] == nonzero and not report["weights"]["differing"]
        # Every core's region as sPyNNaker would load it, compared in the process.
        neurons = 3 * 24 * (4 + 4 * 6) + 3 * (4 + 3)
        words = neurons + 8 * (3 * cores + 1)
        assert report["parameters"] == {"words": words, "differing": 0}


@needs_spynnaker
def test_real_modes_optional_parts_and_the_tables(mapped):
    network, report = PARTS, mapped[3].report
    of_neuron = 4 + 3 * 3 + 1 + (1 + 2) + 3  # a soft reset and a history of two steps
    expected = 2 * (8 + 10 * of_neuron) + 8 + 3 * (4 + 3)
    assert report["parameters"] == {"words": expected, "differing": 0}
    text = describe(network, Board(), report)
    assert f"parameters: {expected} words read back" in text and "readout" in text
    assert "0 differ from the planned ones" in text and "layer1 0.150" in text


SCRIPT = """
import json
import numpy as np
import pyNN.spiNNaker as sim
from export.pynn.built import build, setup_arguments
from export.description.storage import load_network
from pathlib import Path

network = load_network(Path("network"))
sim.setup(**setup_arguments("spinnaker", network))
built = build(sim, network, np.load("samples.npy"))
built.record(["readout"])
sim.run(built.duration)
vertices = {name: p._vertex for name, p in built.populations.items() if name != "input"}
shifts = {name: vertex.get_ring_buffer_shifts() for name, vertex in vertices.items()}
sim.end()
Path("shifts.json").write_text(json.dumps(shifts))
"""


@needs_spynnaker
def test_the_bytes_to_load_are_those_of_the_c_core(tmp_path):
    """A plain PyNN script in Debug mode; its database against the table in the C header."""
    save_network(NETWORK, tmp_path / "network")
    np.save(tmp_path / "samples.npy", SAMPLES)
    write_configuration(tmp_path, Board())
    with (tmp_path / "spynnaker.cfg").open("a") as file:
        file.write("[Mode]\nmode = Debug\n[Reports]\nwrite_network_graph = False\n")
    environment = dict(os.environ, PYTHONPATH=os.fspath(ROOT))
    use_configuration(tmp_path, environment)
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py")]
    done = forked.run(command, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout[-2000:]
    plans = {p.name: SpinnakerNative().plan(NETWORK, p) for p in NETWORK.populations}
    shifts = {name: list(plan.shifts) for name, plan in plans.items()}
    assert json.loads((tmp_path / "shifts.json").read_text()) == shifts
    (path,) = tmp_path.glob("reports/*/run_1/ds.sqlite3")
    with sqlite3.connect(path) as database:
        rows = database.execute(
            "SELECT content FROM region WHERE region_num = 2 AND region_label = 'neuron_params'"
        )
        found = sorted(row[0] for row in rows)
    wanted = [
        region_of(NETWORK, p, range(p.size), p.latency) for p in NETWORK.populations
    ]
    assert found == sorted(wanted)


@needs_spynnaker
def test_a_board_without_the_program_is_refused_before_it_is_asked():
    with pytest.raises(BoardError, match=r"state_space.aplx.*SNN_SSM_APLX"):
        spinnaker.execute(NETWORK, SAMPLES, Board("127.0.0.1"))


@needs_spynnaker
def test_the_neuron_model(monkeypatch, tmp_path):
    """What sPyNNaker asks of it, but for the parameters."""
    from pynn_models.spinnaker import MissingBinaryError, neuron, require_binary, state_space_model

    backend = SpinnakerNative()
    parameters = backend.plan(NETWORK, NETWORK.layers[0]).parameters
    model = neuron.StateSpaceImpl(dataclasses.replace(parameters, input_exponent=3), 1, 0)
    assert model.get_global_weight_scale() == 8.0
    targets = model.get_synapse_targets()
    assert [model.get_synapse_id_by_target(t) for t in targets] == [0, 1]
    assert model.get_synapse_id_by_target("other") is None
    assert model.get_recordable_variables() == ["y"] and not model.is_recordable("v")
    assert model.get_recordable_variable_index("y") == 0  # V_RECORDING_INDEX of the C file
    assert model.get_units("a_re3") == model.get_recordable_units("y") == "dimensionless"
    with pytest.raises(KeyError, match="no parameter a_re4"):
        model.get_units("a_re4")
    assert state_space_model(parameters).name == "StateSpace"

    segment = neo.Segment()
    signal = neo.AnalogSignal(
        np.arange(5.0)[:, None] * np.ones(24), units="", sampling_period=1 * ms, name="y"
    )
    segment.analogsignals.append(signal)
    data = neo.Block()
    data.segments.append(segment)
    recorder = SimpleNamespace(label="layer0", get_data=lambda name: data)
    expected = np.arange(2.0, 5.0)[:, None] * 2.0 ** -parameters.membrane_exponent
    assert np.array_equal(backend.membrane(recorder, 2), expected)

    folders = []

    def find(name):
        for folder in folders:
            if (type(tmp_path)(folder) / name).is_file():
                return f"{folder}/{name}"
        raise KeyError(name)

    view = SimpleNamespace(register_binary_search_path=folders.append, get_executable_path=find)
    monkeypatch.setattr(neuron, "SpynnakerDataView", view)
    monkeypatch.setattr(neuron, "get_config_bool", lambda section, option: False)
    monkeypatch.setenv("SNN_SSM_APLX", str(tmp_path))
    with pytest.raises(MissingBinaryError, match="state_space.aplx.*Build it"):
        require_binary()
    program = tmp_path / "state_space.aplx"
    program.write_bytes(b"\0state-space layout 1\0")
    with pytest.raises(MissingBinaryError, match="of other C than .*expected one with .*layout 2"):
        require_binary()
    header = (C_DIRECTORY / "state_space_neuron.h").read_text()
    layout = re.search(r'STATE_SPACE_LAYOUT "(.+)"', header)[1]
    program.write_bytes(b"\0" + layout.encode() + b"\0")
    require_binary()


@needs_spynnaker
def test_run_on_the_virtual_board(tmp_path, capsys):
    save_network(NETWORK, tmp_path / "network")
    np.savez(tmp_path / "samples.npz", inputs=SAMPLES, labels=[0, 1])
    arguments = ["--backend", "spinnaker", "--board", "virtual"]
    data = ["--data", str(tmp_path / "samples.npz")]
    assert main(["run", str(tmp_path / "network"), *arguments, *data]) == 0
    text = capsys.readouterr().out
    assert "0 differ from the planned ones" in text and "words read back" in text
