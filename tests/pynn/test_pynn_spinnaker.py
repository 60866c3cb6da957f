"""Stock networks through sPyNNaker on its virtual board: mapping, weights, limits, errors."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support import forked
from support.random_networks import checkpoint_of, samples_of

from export.boards import execution as spinnaker
from export.boards import worker as spinnaker_worker
from export.boards.config import (
    Board,
    BoardError,
    MissingConfigurationError,
    configuration,
    use_configuration,
    write_configuration,
)
from export.boards.tables import describe
from export.boards.worker import DoesNotFitError
from export.command.arguments import main
from export.description.storage import save_network
from export.fixed_point.stock import HOLD, SpinnakerStockError, plan_population
from export.lowering.network import lower
from export.pynn.backend import BackendError
from export.pynn.built import build
from export.pynn.spinnaker import (
    CoreSizeError,
    DelayLimitError,
    SignError,
    SpinnakerStock,
    connection_list,
    max_delay,
)
from export.pynn.spinnaker_lif import SpinnakerLif
from export.pynn.spinnaker_native import SpinnakerNative
from export.samples.inputs import InputError, encode
from export.software import simulation as software
from pynn_models.spinnaker import (
    Arrival,
    ring_buffer,
    run_stock,
    stock_constants,
    to_s1615,
)
from pynn_models.spinnaker.fixed_point import kdiv
from pynn_models.spinnaker.synapses import RING_MAX

needs_spynnaker = pytest.mark.skipif(
    importlib.util.find_spec("spynnaker") is None, reason="sPyNNaker is not installed"
)


def stock_of(seed=0, steps=40, **changes):
    return checkpoint_of(seed, steps, cells="stock", mode_init="s4d-real", modes=1, **changes)


CHECKPOINT = stock_of(2, channels=24, depth=3, inputs=2)
NETWORK = lower(CHECKPOINT)
SAMPLES = samples_of(CHECKPOINT, 2)


# --- the plan: what the board would be given ----------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_ring_buffers_hold_a_step_in_which_every_source_spikes(seed):
    network = lower(stock_of(seed, channels=12, depth=3))
    for population in network.layers:
        plan = plan_population(network, population)
        assert (np.log2(plan.scale) % 1 == 0).all()
        fullest = 0
        for receptor in (0, 1):
            sums = sum(
                plan.stored(p)[receptor].astype(np.int64).sum(axis=0)
                for p in network.incoming(population.name)
            )
            assert sums.max() <= RING_MAX
            fullest = max(fullest, sums.max())
        assert fullest > RING_MAX / 4  # and not much is left unused
        for r, m in zip(plan.shifts, plan.max_expected_summed_weight, strict=True):
            assert 2.0 ** (r - 1) < m < 2.0**r or (r == 0 and m < 1)


@pytest.mark.parametrize("seed", range(3))
def test_the_boards_arithmetic_spikes_as_float64_but_for_rounding(seed):
    """Each layer fed with the exact spikes of those before it."""
    checkpoint = stock_of(seed, steps=100, channels=24, depth=3, dt_min=1 / 200, dt_max=0.5)
    network, samples = lower(checkpoint), samples_of(checkpoint)
    exact = software.run(network, samples)
    emitted = {"input": encode(network, samples), **exact.spikes}
    for population in network.layers:
        plan = plan_population(network, population)
        buffers = [
            ring_buffer(
                [
                    Arrival(emitted[p.source], plan.stored(p)[receptor])
                    for p in network.incoming(population.name)
                ]
            )
            for receptor in (0, 1)
        ]
        constants = stock_constants(plan.cell, network.timestep)
        found = run_stock(constants, buffers[0], buffers[1], plan.shifts)
        wanted = exact.spikes[population.name]
        assert (found.spikes != wanted).sum() <= 1e-3 * wanted.size


@pytest.mark.parametrize("timestep", [1.0, 0.1])
def test_the_decays_of_training_are_those_of_the_board(timestep):
    n = np.r_[np.arange(70, 2000, 7), np.arange(2000, 32768, 997)]
    cell = dataclasses.replace(
        NETWORK.layers[0].cell,
        **{name: np.zeros(len(n)) for name in ("d", "theta", "bias")},
        tau=timestep * (2.0**15 / n)[:, None],
        c_re=np.ones((len(n), 1)),
    )
    layer = dataclasses.replace(NETWORK.layers[0], cell=cell)
    weights = np.ones((NETWORK.source.size, len(n)))
    network = SimpleNamespace(
        timestep=timestep,
        steps=40,
        source=NETWORK.source,
        incoming=lambda *_: [dataclasses.replace(NETWORK.projections[0], weights=weights)],
    )
    plan = plan_population(network, layer)
    exponent = [kdiv(to_s1615(timestep), to_s1615(t)) for t in plan.cell.tau_syn_E]
    drift = np.abs(np.array(exponent) - n)
    assert (stock_constants(plan.cell, timestep).tc == 0).all()  # V has no memory
    if timestep == 1:
        assert (drift == 0).all()
    else:  # s16.15 holds a tenth as many time constants, of which one is the nearest
        assert (drift <= 5 * n**2 / 2.0**30 + 0.5).all()


def test_a_held_population_is_silent_and_then_spikes():
    checkpoint = stock_of(channels=6)
    theta = np.r_[np.full(5, -0.01), -1e9]
    cell = dataclasses.replace(lower(checkpoint).layers[0].cell, theta=theta)
    network = lower(checkpoint)
    layer = dataclasses.replace(network.layers[0], cell=cell)
    plan = plan_population(network, layer)
    constants = stock_constants(plan.cell, network.timestep)
    current = np.zeros((1, 5, 6), np.int32)
    current[:, :2] = to_s1615(HOLD)
    found = run_stock(constants, None, None, plan.shifts, current=current)
    assert not found.spikes[:, :2].any() and found.spikes[:, 2:].all()


def test_extreme_thresholds_are_always_or_never_reached():
    cell = dataclasses.replace(
        NETWORK.layers[0].cell, theta=np.r_[np.inf, -1e9, np.zeros(22)]
    )
    plan = plan_population(*_with_cell(cell))
    assert plan.cell.v_thresh[0] > 32767 and plan.cell.v_thresh[1] < -32767
    assert plan.cell.v_thresh[2] == 2.0**-15


@pytest.mark.parametrize("tau", [0.5, 2.8, 100.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_no_input_moves_a_state_beyond_an_extreme_threshold(tau, sign):
    """All sources of one sign at every step; a neuron's weights add up to almost a power of two."""
    cell = dataclasses.replace(
        NETWORK.layers[0].cell, tau=np.full((24, 1), tau), theta=np.full(24, sign * 1e9)
    )
    network, layer = _with_cell(cell)
    first = NETWORK.projections[0]
    sources = len(first.weights)
    first = dataclasses.replace(first, weights=np.full((sources, 24), sign * 0.999 / sources))
    network = dataclasses.replace(network, projections=(first, *NETWORK.projections[1:]), steps=500)
    plan = plan_population(network, layer)
    spikes = np.ones((1, 500, sources), np.uint8)
    buffers = [ring_buffer([Arrival(spikes, stored)]) for stored in plan.stored(first)]
    found = run_stock(stock_constants(plan.cell, network.timestep), *buffers, plan.shifts)
    assert (found.spikes == (sign < 0)).all()


def _with_cell(cell):
    layer = dataclasses.replace(NETWORK.layers[0], cell=cell)
    network = dataclasses.replace(NETWORK, populations=(layer, *NETWORK.populations[1:]))
    return network, layer


@pytest.mark.parametrize("tau", [np.inf, 1e6, 1e-3])
def test_a_time_constant_that_the_board_lacks(tau):
    cell = dataclasses.replace(NETWORK.layers[0].cell, tau=np.full((24, 1), tau))
    with pytest.raises(SpinnakerStockError, match=rf"'layer0', neuron 0: tau is {tau} ms at"):
        plan_population(*_with_cell(cell))


# --- refusals that need no sPyNNaker -------------------------------------------------------------


def test_a_negative_weight_to_a_receptor():
    with pytest.raises(SignError, match=r"weight \[1, 0\] onto the excitatory receptor is -0.5"):
        connection_list([[1.0, 0.0], [-0.5, 2.0]], "excitatory", 1.0)
    rows = connection_list([[1.0, 0.0], [0.5, 2.0]], "inhibitory", 3.0, copies=2)
    assert rows.tolist() == [
        [0, 0, 1, 3], [1, 0, 0.5, 3], [1, 1, 2, 3], [2, 2, 1, 3], [3, 2, 0.5, 3], [3, 3, 2, 3],
    ]


def test_delays_and_neurons_a_core_beyond_the_limit():
    assert [max_delay(n) for n in (1, 64, 65, 256)] == [8192, 128, 64, 32]
    network = lower(CHECKPOINT, delay=40)
    SpinnakerStock(64).check(network)
    with pytest.raises(DelayLimitError, match=r"delay 40 steps; expected at most 32 with 256"):
        SpinnakerStock(256).check(network)
    for count in (0, 257):
        with pytest.raises(CoreSizeError, match=rf"{count} neurons a core; expected 1 to 256"):
            spinnaker.execute(NETWORK, SAMPLES, Board(neurons_per_core=count))


def test_a_network_that_does_not_fit_says_which_population_and_by_how_much():
    network = lower(stock_of(channels=60, depth=3))
    board = Board(machine_version=201, neurons_per_core=1)
    expected = r"'layer2' does not fit: it needs 60 cores .* 29 of the 150 cores .*; 31 too many"
    with pytest.raises(DoesNotFitError, match=expected):
        spinnaker.execute(network, samples_of(stock_of()), board)
    server = Board("https://server/spalloc/", neurons_per_core=1)
    spinnaker.check_fits(network, server, SpinnakerStock(1), 16)


def test_boards_that_there_are_none_of():
    with pytest.raises(BoardError, match="machine version 4 is unknown; use one of 3"):
        Board(machine_version=4)
    with pytest.raises(BoardError, match="version 248 is SpiNNaker 2.*does not run"):
        Board("192.168.240.253", machine_version=248)
    with pytest.raises(BoardError, match="--board is ' '"):
        Board(" ")
    with pytest.raises(BoardError, match="time scale factor 0"):
        Board(time_scale_factor=0)


def test_misfitting_samples():
    with pytest.raises(InputError):
        spinnaker.execute(NETWORK, SAMPLES[:, :, 1:], Board())


def test_the_configuration_is_the_runs_own(tmp_path):
    assert "machine_name = 192.168.1.1\n" in configuration(Board("192.168.1.1"))
    assert "spalloc_server = https://a/b\n" in configuration(Board("https://a/b"))
    environment = {}
    with pytest.raises(MissingConfigurationError, match=r"has no spynnaker.cfg"):
        use_configuration(tmp_path, environment)
    assert not environment and not list(tmp_path.iterdir())
    write_configuration(tmp_path, Board(time_scale_factor=3))
    assert "virtual_board = True\nversion = 5\ntime_scale_factor = 3" in (
        (tmp_path / "spynnaker.cfg").read_text()
    )
    use_configuration(tmp_path, environment)
    assert all(Path(value).is_relative_to(tmp_path) for value in environment.values())
    assert (Path(environment["HOME"]) / ".spynnaker.cfg").read_text() == ""


# --- the process --------------------------------------------------------------------------------


def test_a_refusal_in_the_process_comes_through(tmp_path, monkeypatch):
    (tmp_path / "request.json").write_text("{}")
    assert spinnaker_worker.main(tmp_path) == 1
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["error"] == "MissingConfigurationError"
    assert "spynnaker.cfg" in result["message"]

    def refuse(command, cwd, **_):
        (Path(cwd) / "result.json").write_text(json.dumps(result))
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(spinnaker.subprocess, "run", refuse)
    with pytest.raises(MissingConfigurationError, match="has no spynnaker.cfg"):
        spinnaker.execute(NETWORK, SAMPLES, Board())


def test_a_process_that_dies_is_quoted(monkeypatch, tmp_path):
    def die(command, cwd, stdout, **_):
        stdout.write(b"Traceback\nMemoryError\n")
        return SimpleNamespace(returncode=-9)

    monkeypatch.setattr(spinnaker.subprocess, "run", die)
    with pytest.raises(BoardError, match="status -9 and no result; it said Traceback / Memory"):
        spinnaker.execute(NETWORK, SAMPLES, Board(), tmp_path / "run")
    assert (tmp_path / "run" / "sPyNNaker.log").is_file()


@pytest.mark.parametrize(
    ("name", "kind"), [("PacmanPlaceException", DoesNotFitError), ("OddError", BoardError)]
)
def test_what_spynnaker_raises_comes_through_with_its_words(name, kind):
    def setup(**_):
        raise type(name, (Exception,), {})("no room")

    with pytest.raises(kind, match=f"on the board: {name}: no room"):
        spinnaker_worker._run(
            SimpleNamespace(setup=setup), NETWORK, SAMPLES, SpinnakerStock(), "the board"
        )


# --- sPyNNaker itself ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """The network mapped on each machine, with an empty home of the user's own."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o555)
    before = os.environ.get("HOME", "")
    os.environ["HOME"] = os.fspath(home)
    boards = [Board(machine_version=v, neurons_per_core=16) for v in (5, 201, 248)]
    try:
        runs = [spinnaker.execute(NETWORK, SAMPLES, boards[0])]  # a process from its start
        with forked.workers(), ThreadPoolExecutor() as threads:
            runs += threads.map(lambda b: spinnaker.execute(NETWORK, SAMPLES, b), boards[1:])
    finally:
        os.environ["HOME"] = before
    return dict(zip((5, 201, 248), runs, strict=True)), boards, home


@needs_spynnaker
def test_mapping_and_weights_on_every_machine(mapped):
    runs, _, home = mapped
    nonzero = sum(
        int(np.count_nonzero(plan_population(NETWORK, p).stored(q)))
        for p in NETWORK.layers
        for q in NETWORK.incoming(p.name)
    )
    for version, chips in ((5, 48), (201, 1), (248, 48)):
        report = runs[version].report
        assert runs[version].recording is None
        machine = report["machine"]
        assert machine["chips"] == chips
        free = machine["cores"] - machine["system_cores"]
        assert free == spinnaker.CORES[version]
        assert [row["name"] for row in report["populations"]] == [
            "input", "layer0", "layer1", "layer2"
        ]
        for row in report["populations"][1:]:
            assert (row["neurons"], row["cores"], row["per_core"]) == (24, 2, 16)
            assert row["sdram"] > 0
        # As read back from sPyNNaker's own projections, compared with the plan in the process.
        assert report["weights"] == {"projections": 6, "synapses": nonzero, "differing": 0}
        assert 0 < report["routing"]["largest"] <= machine["router_entries"]
    assert not list(home.iterdir())


@needs_spynnaker
def test_the_tables_say_what_was_mapped(mapped):
    runs, boards, _ = mapped
    text = describe(NETWORK, boards[0], runs[5].report)
    assert "48 chip(s), 808 cores" in text
    assert "0 differ from the planned ones" in text
    assert "Estimate for SpiNNaker 1" in text and "time_scale_factor" in text
    assert "(assumed)" in text and "does not run" in text
    assert "SpiNNaker 2: mapping only" not in text
    assert "longest tick" not in text
    text = describe(NETWORK, boards[1], runs[201].report, SAMPLES)
    assert "SpiNNaker 2: mapping only" in text and "(assumed)" not in text
    assert "longest tick" in text


@needs_spynnaker
def test_run_and_inspect_on_the_virtual_board(tmp_path, capsys, monkeypatch):
    save_network(NETWORK, tmp_path / "network")
    np.savez(tmp_path / "samples.npz", inputs=SAMPLES, labels=[0, 1])
    arguments = ["--backend", "spinnaker", "--board", "virtual", "--machine-version", "5"]
    data = ["--data", str(tmp_path / "samples.npz")]
    smaller = ["--neurons-per-core", "12", "--time-scale-factor", "3"]
    with forked.workers():
        assert main(["run", str(tmp_path / "network"), *arguments, *data, *smaller]) == 0
    text = capsys.readouterr().out
    assert "0 differ from the planned ones" in text
    rows = [line.split() for line in text.splitlines() if line.startswith("layer")]
    assert [(row[1], row[3]) for row in rows[:3]] == [("24", "12")] * 3, text
    assert main(["inspect", str(tmp_path / "network"), "--board", "10.0.0.1"]) == 2
    assert "use --board virtual or emulated" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "network"), "--board", "virtual",
                 "--machine-version", "4"]) == 2
    assert "machine version 4 is unknown" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "network"), "--board", "virtual",
                 "--time-scale-factor", "0"]) == 2
    assert "time scale factor 0" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "network"), "--board", "virtual",
                 "--neurons-per-core", "257"]) == 2
    assert "257 neurons a core" in capsys.readouterr().err


VIRTUAL_SCRIPT = """
import sys
import numpy as np
from export import load_network
from export.pynn import BackendError, build, setup_arguments, simulator

network = load_network(sys.argv[1])
sim = simulator("spiNNaker")
sim.setup(**setup_arguments("spynnaker.pyNN", network))
built = build(sim, network, np.zeros((1, network.source.channels, network.steps)))
built.record()
sim.run(built.duration)
try:
    built.recording()
except BackendError as error:
    print("refused:", error)
"""


@needs_spynnaker
def test_a_script_gets_no_silence_from_the_virtual_board(tmp_path):
    save_network(NETWORK, tmp_path / "network")
    (tmp_path / ".spynnaker.cfg").write_text("[Machine]\nvirtualBoard = y\nversion = 5\n")
    done = subprocess.run(
        [sys.executable, "-c", VIRTUAL_SCRIPT, tmp_path / "network"], cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )
    assert "refused: the virtual board only maps and computes nothing" in done.stdout, done.stderr


# --- lags -------------------------------------------------------------------------------------


def test_rows_have_a_delay_each():
    weights, delays = np.array([[0.5, 0.0], [0.25, 2.0]]), np.array([[3.0, 9.0], [1.0, 4.0]])
    rows = connection_list(weights, "excitatory", delays, copies=2)
    assert rows.tolist() == [
        [0, 0, 0.5, 3.0], [1, 0, 0.25, 1.0], [1, 1, 2.0, 4.0],
        [2, 2, 0.5, 3.0], [3, 2, 0.25, 1.0], [3, 3, 2.0, 4.0],
    ]


def test_a_streamed_network_with_lags_runs_a_sample_at_a_time():
    """A core has no gap between samples, in which spikes that are on their way could run out."""
    plain, looped = checkpoint_of(), checkpoint_of(recurrent=True)
    leaky = lower(checkpoint_of(cells="lif", recurrent=True))
    assert SpinnakerNative().samples_a_run(lower(plain)) is None
    assert SpinnakerLif().samples_a_run(leaky) == 4
    network = lower(looped)
    assert SpinnakerNative().samples_a_run(network) == 1
    with pytest.raises(BackendError, match="2 samples in one run; expected at most 1 of this netw"):
        build(None, network, samples_of(looped, 2), backend=SpinnakerNative())


def test_learned_delays_beyond_a_ring_buffer_are_refused_before_the_run():
    network = lower(checkpoint_of(cells="lif", delays=200, delay_per="axon"))
    with pytest.raises(DelayLimitError, match=r"'layer0' -> 'layer1': delay \d+ steps; expected a"):
        SpinnakerLif().check(network)


@needs_spynnaker
def test_a_forked_process_is_one_of_its_own(tmp_path):
    """``support.forked``, by which most of the boards' processes of these tests begin."""
    (tmp_path / "script.py").write_text(
        "import os, sys\n"
        "print(os.getcwd(), os.environ['HERE'], sys.argv, 'spynnaker' in sys.modules)\n"
        "sys.exit(int(sys.argv[1]) or int('none'))\n"
    )
    environment = os.environ | {"HERE": "there"}
    for status, said in (("3", "there"), ("0", "ValueError: invalid literal")):
        command = [sys.executable, str(tmp_path / "script.py"), status]
        done = forked.run(command, cwd=tmp_path, env=environment)
        assert done.returncode == (int(status) or 1)
        assert done.stdout.startswith(f"{tmp_path} there {command[1:]} True\n")
        assert said in done.stdout
    assert "HERE" not in os.environ
