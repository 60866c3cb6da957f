"""``snn-ssm board``: it starts, shows, is stopped; and runs in which a side is killed."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from support.files import ROOT
from support.random_networks import checkpoint_of, samples_of

pytest.importorskip("unicorn", reason="Unicorn, which executes ARM code, is not installed")

from export.boards.config import Board, BoardError
from export.boards.execution import execute
from export.command.arguments import main
from export.command.board import Shown
from export.description.storage import save_network
from export.fixed_point import simulation as software
from export.lowering.network import lower
from pynn_models.spinnaker.board import emulated_board

needs_spynnaker = pytest.mark.skipif(
    importlib.util.find_spec("spynnaker") is None, reason="sPyNNaker is not installed"
)


@pytest.fixture
def process():
    """``snn-ssm board``, its address, and the lines that it printed until it stood."""
    made = subprocess.Popen(
        [sys.executable, "-m", "snn_ssm", "board", "--machine-version", "3"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    lines = []
    while not lines or "Ctrl-C" not in lines[-1]:
        lines.append(made.stdout.readline())
        assert lines[-1], made.stderr.read()
    [address] = [line.split()[2] for line in lines if line.startswith("machine_name")]
    yield made, address, "".join(lines)
    made.kill()
    made.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_board_says_how_to_reach_it_and_stops_when_asked(process, number):
    made, address, printed = process
    assert "[Machine]" in printed and "version = 3" in printed and "an estimate of time" in printed
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        host.settimeout(2)
        host.sendto(bytes((0, 0, 0x87, 255, 0, 255, 0, 0, 0, 0)) + bytes(16), (address, 17893))
        assert b"SC&MP" in host.recv(1024)
    made.send_signal(number)
    out, err = made.communicate(timeout=10)
    assert made.returncode == 0 and "stopped after 0 ticks" in out and err == ""


class Told:
    """What a board tells, as it changes."""

    cores, ticks, packets, errors, late = 0, 0, 0, [], []


def test_what_happens_on_a_board_is_shown_once(capsys):
    shown = Shown(Told, quiet=False)
    shown.go_on()
    Told.cores, Told.ticks, Told.packets, Told.errors = 3, 10, 7, ["core 0, 0, 1: it failed"]
    shown.go_on()
    shown.go_on()
    Told.cores, Told.late = 0, ["core 0, 0, 2 would exceed its tick"]
    shown.go_on()
    Told.cores = 3  # the same script again
    shown.go_on()
    Told.cores = 0
    shown.go_on()
    shown.end()
    out, err = capsys.readouterr()
    assert err == "core 0, 0, 1: it failed\n"
    assert out.splitlines() == [
        "3 cores, 10 ticks, 7 packets", "0 cores, 10 ticks, 7 packets",
        "core 0, 0, 2 would exceed its tick", "3 cores, 10 ticks, 7 packets",
        "0 cores, 10 ticks, 7 packets", "core 0, 0, 2 would exceed its tick",
        "stopped after 10 ticks",
    ]  # fmt: skip


def test_a_board_for_others_to_reach_is_refused(capsys):
    assert main(["board", "0.0.0.0"]) == 2
    assert "Give one of 127.*" in capsys.readouterr().err


@pytest.fixture
def network(tmp_path):
    checkpoint = checkpoint_of(3, 20, cells="stock", mode_init="s4d-real", modes=1, channels=8)
    save_network(lower(checkpoint), tmp_path / "network")
    inputs = samples_of(checkpoint, 2)
    np.savez(tmp_path / "data.npz", inputs=inputs, labels=np.zeros(2, int))
    return [str(tmp_path / "network"), "--data", str(tmp_path / "data.npz")]


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        ("verify", ["--neurons-per-core", "8"], "--neurons-per-core means nothing without --board"),
        ("verify", ["--board", "emulated", "--backends", "software,nest"],
         "--board is given, and none of the backends software, nest runs on it"),
        ("verify", ["--board", "emulated", "--recording", "x"], "leave --board out"),
        ("verify", ["--backends", "software,spinnaker"], "give --board an address or 'emulated'"),
        ("job", ["JOB", "--board", "127.0.0.9"], "Use --board emulated"),
        ("job", ["JOB", "--board", "emulated", "--without-board"], "--board is for a board"),
    ],
)  # fmt: skip
def test_a_board_that_means_nothing_is_refused(network, tmp_path, capsys, command, arguments, said):
    given = [str(tmp_path / "job") if a == "JOB" else a for a in arguments]
    assert main([command, network[0], *given, *network[1:]]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "job").exists()


def small():
    checkpoint = checkpoint_of(3, 400, cells="stock", mode_init="s4d-real", modes=1, channels=8)
    return lower(checkpoint), samples_of(checkpoint, 1)


def started(board, seconds=60):
    """Wait until the board ticks."""
    until = time.monotonic() + seconds
    while not board.ticks:
        assert time.monotonic() < until
        time.sleep(0.02)


@needs_spynnaker
@pytest.mark.slow
def test_a_board_killed_under_a_run_is_told(tmp_path):
    network, samples = small()
    board = emulated_board()
    failed = []

    def run():
        try:
            execute(network, samples, Board(board.address), tmp_path / "run")
        except BoardError as error:
            failed.append(str(error))

    with board:
        host = threading.Thread(target=run)
        host.start()
        started(board)
    host.join(timeout=300)
    [message] = failed
    assert board.address in message and "Check the board's address and state" in message


@needs_spynnaker
@pytest.mark.slow
def test_a_run_after_one_that_was_killed(tmp_path):
    network, samples = small()
    with emulated_board() as board:
        (tmp_path / "spynnaker.cfg").write_text(board.configuration)
        scripts = ROOT / "tests" / "support" / "board_scripts.py"
        example = ROOT / "examples" / "board" / "live_spikes.py"
        with subprocess.Popen(
            [sys.executable, str(scripts), str(example)], cwd=tmp_path,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        ) as killed:  # fmt: skip
            started(board)
            killed.kill()
        assert board.cores > 0  # as the script left them
        found = execute(network, samples, Board(board.address)).recording
        assert board.errors == ["the script that ran here is gone; its programs are stopped"]
    wanted = software.run(network, samples).spikes
    for name, spikes in found.spikes.items():
        assert np.array_equal(spikes, wanted[name])
