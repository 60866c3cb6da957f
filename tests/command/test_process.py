"""The command line as a process: streams, signals, its exit status, outputs that exist."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.files import ROOT
from support.random_networks import checkpoint_of, samples_of

from export.command import networks
from export.command.arguments import main, make_parser
from export.description.storage import load_network
from export.samples.recording import Recording
from export.verification.backends import choice
from snn_ssm.checkpoint import save_checkpoint

CHECKPOINT = checkpoint_of(5, steps=20)


@pytest.fixture
def files(tmp_path):
    """A checkpoint, its exported network and an .npz of samples, in one directory."""
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", CHECKPOINT)
    np.savez(tmp_path / "samples.npz", inputs=samples_of(CHECKPOINT, 4), labels=[0, 1, 2, 0])
    assert main(["export", str(tmp_path / "checkpoint"), str(tmp_path / "network")]) == 0
    return tmp_path


def command(*argv, **options):
    """The process of a command, as a shell starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "snn_ssm", *map(str, argv)], text=True, stderr=subprocess.PIPE,
        **options,
    )  # fmt: skip


# --- options ------------------------------------------------------------------------------------


def test_every_option_of_every_command_is_explained():
    parser = make_parser()
    commands = next(a.choices for a in parser._actions if a.choices and a.dest == "command")
    assert len(commands) > 9
    for name, one in commands.items():
        assert one.description, name
        for action in one._actions:
            assert action.help, f"{name} {action.dest}"


@pytest.mark.parametrize("quiet", [False, True])
def test_a_log_has_no_bars_and_a_line_an_epoch(tmp_path, quiet):
    np.savez(tmp_path / "train.npz", inputs=samples_of(CHECKPOINT, 8), labels=[0, 1, 2, 0] * 2)
    np.savez(tmp_path / "test.npz", inputs=samples_of(CHECKPOINT, 4), labels=[0, 1, 2, 0])
    config = tmp_path / "config.toml"
    config.write_text(
        "\ufeff[task]\nname = 'smnist'\nsteps = 20\n[model]\nclasses = 3\ninput_bits = 4\n"
        "channels = 4\ndepth = 1\nmodes = 2\n[training]\nepochs = 2\nbatch_size = 4\n"
    )  # with the byte order mark of some editors
    done = command(
        "train", "smnist", "--config", config, "--data", tmp_path, "--out", tmp_path / "run",
        *(["--quiet"] if quiet else []), stdout=subprocess.PIPE,
    )
    out, said = done.communicate(timeout=120)
    assert done.returncode == 0, said
    assert out.startswith("test accuracy ")
    lines = said.splitlines()
    if quiet:
        assert lines == []
    else:
        assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
        assert "\r" not in said and "spike rate" in lines[0]


def test_json_on_standard_output_is_all_that_is_there(files, capsys):
    network, data = str(files / "network"), str(files / "samples.npz")
    for arguments, key in (
        (["run", network, "--data", data], "accuracy"),
        (["inspect", network], "populations"),
        (["inspect", network, "--spinnaker"], "ring_buffers"),
        (["evaluate", str(files / "checkpoint"), "--data", data], "test_accuracy"),
        (["job", network, str(files / "job"), "--data", data], "manifest_sha256"),
        (["export", str(files / "checkpoint"), str(files / "other")], "neurons"),
    ):
        capsys.readouterr()
        assert main([*arguments, "--json", "-"]) == 0
        printed = capsys.readouterr()
        assert key in json.loads(printed.out), arguments
        assert printed.err


def test_what_has_no_bound_is_null_in_json(tmp_path, capsys):
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", checkpoint_of(input_bits=0))
    assert main(["export", str(tmp_path / "checkpoint"), str(tmp_path / "network")]) == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "network"), "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["populations"][0]["max_u"] is None


# --- outputs that exist -------------------------------------------------------------------------


def test_nothing_is_overwritten_without_being_told(files, capsys):
    network, data = str(files / "network"), ["--data", str(files / "samples.npz")]
    for path in (files / "old.json", files / "old.safetensors", files / "old.html"):
        path.write_text("kept")
    verify = ["--checkpoint", str(files / "checkpoint"), "--backends", "torch,software", *data]
    for arguments, path in (
        (["run", network, *data, "--json"], files / "old.json"),
        (["run", network, *data, "--out"], files / "old.safetensors"),
        (["verify", network, *verify, "--json"], files / "old.json"),
        (["report", network, *verify, "--out"], files / "old.html"),
    ):
        capsys.readouterr()
        assert main([*arguments, str(path)]) == 2
        assert path.read_text() == "kept"
        assert capsys.readouterr().err.endswith(
            f"snn-ssm: ExistsError: {path} exists; nothing was written. Name another file, or "
            "replace it with --force.\n"
        )
    assert main(["run", network, *data, "--out", str(files / "old.safetensors"), "--force"]) == 0
    assert Recording.load(files / "old.safetensors").spikes


def test_a_network_is_replaced_when_told_and_kept_when_the_command_fails(files, capsys):
    network, out = files / "network", str(files / "network")
    again = ["export", str(files / "checkpoint"), out, "--input", "current"]
    assert main(again) == 2
    assert "exists; nothing was written. Name a new directory, or replace it" in (
        capsys.readouterr().err
    )
    assert main([*again, "--timestep", "0", "--force"]) == 2
    assert load_network(network).source.encoding == "bits"
    assert main([*again, "--force"]) == 0
    assert load_network(network).source.encoding == "current"
    assert sorted(p.name for p in files.iterdir()) == ["checkpoint", "network", "samples.npz"]


def test_a_directory_with_files_of_a_user_is_not_replaced(files, capsys):
    (files / "network" / "notes.txt").write_text("kept")
    assert main(["export", str(files / "checkpoint"), str(files / "network"), "--force"]) == 2
    assert "holds notes.txt, which is none of its own files; it is not replaced" in (
        capsys.readouterr().err
    )
    assert (files / "network" / "notes.txt").read_text() == "kept"


def test_a_job_with_results_is_not_replaced(files, capsys):
    job = ["job", str(files / "network"), str(files / "job"), "--data", str(files / "samples.npz")]
    assert main(job) == 0
    assert main([*job, "--samples", "2", "--force"]) == 0
    (files / "job" / "results").mkdir()
    assert main([*job, "--force"]) == 2
    assert "holds results" in capsys.readouterr().err


# --- streams ------------------------------------------------------------------------------------


def test_a_reader_that_goes_away():
    started = command("--help", stdout=subprocess.PIPE)
    started.stdout.close()
    _, said = started.communicate(timeout=60)
    assert said == ""
    # The help is shorter than a pipe's buffer: a process that had written it before is done.
    assert started.returncode in (0, 141)


def test_many_lines_into_a_closed_pipe(capfd):
    read, write = os.pipe()
    os.close(read)
    started = command("config", "smnist", stdout=write)
    os.close(write)
    _, said = started.communicate(timeout=60)
    assert (started.returncode, said) == (141, "")


def test_a_full_disk():
    with open("/dev/full", "w") as full:
        started = command("config", "smnist", stdout=full)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 2
    assert said == (
        "snn-ssm: the output cannot be written (No space left on device). Make room for it.\n"
    )


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(files, closed):
    line = (
        f"{sys.executable} -m snn_ssm run {files}/network --data {files}/samples.npz "
        f"--out {files}/spikes.safetensors {closed}"
    )
    assert subprocess.run(["sh", "-c", line], check=False).returncode == 0
    assert Recording.load(files / "spikes.safetensors").spikes
    line = f"{sys.executable} -m snn_ssm run {files}/none {closed}"
    assert subprocess.run(["sh", "-c", line], check=False).returncode == 2


# --- how it ends --------------------------------------------------------------------------------


def test_a_bug_is_told_apart_from_a_refusal(files, capsys, monkeypatch):
    def broken(*_):
        raise RuntimeError("never seen before")

    monkeypatch.setattr(networks, "samples_of", broken)
    assert main(["run", str(files / "network"), "--data", "anything"]) == 70
    said = capsys.readouterr().err
    assert "RuntimeError: never seen before" in said
    assert said.splitlines()[-1] == (
        "snn-ssm: this is a bug in snn-ssm; please report it with the lines above."
    )


def test_too_little_memory_is_no_bug(files, capsys, monkeypatch):
    def large(*_):
        raise MemoryError

    monkeypatch.setattr(networks, "samples_of", large)
    assert main(["run", str(files / "network"), "--data", "anything"]) == 2
    assert "there is not enough memory" in capsys.readouterr().err


def test_an_interrupt_while_a_library_is_loaded_is_no_bug(files, capsys, monkeypatch):
    def loaded(*_):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise ImportError("initialization failed") from interrupt

    monkeypatch.setattr(networks, "samples_of", loaded)
    assert main(["run", str(files / "network"), "--data", "anything"]) == 130
    assert capsys.readouterr().err == "snn-ssm: interrupted\n"


def test_an_interrupt_while_a_string_is_executed_is_one_as_well(files):
    script = (
        "import sys\n"
        "from export.command import networks\n"
        "networks.samples_of = lambda *_: exec('raise KeyboardInterrupt')\n"
        "from snn_ssm.__main__ import main\n"
        "sys.exit(main())\n"
    )
    (files / "started_as_a_module.py").write_text(script)
    path = os.pathsep.join([str(files), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "started_as_a_module", "run", str(files / "network"), "--data", "x"],
        text=True, capture_output=True, timeout=60, env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "snn-ssm: interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_done_is_done_though_its_end_is_interrupted(files, number):
    script = (
        "import atexit, os, sys, time\n"
        "from snn_ssm.__main__ import main\n"
        "status = main()\n"
        "atexit.register(lambda: (print('ending', flush=True), time.sleep(60)))\n"
        "sys.exit(status)\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", script, "inspect", str(files / "network")], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while started.stdout.readline() != "ending\n":
        assert started.poll() is None
    started.send_signal(number)
    _, said = started.communicate(timeout=50)
    assert (started.returncode, said) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_it_starts(tmp_path, number):
    module = tmp_path / "numpy.py"  # stands for an import that takes long
    module.write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    started = command(
        "--help", stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(tmp_path)}
    )
    assert started.stdout.readline() == "importing\n"
    started.send_signal(number)
    _, said = started.communicate(timeout=60)
    assert (started.returncode, said) == (130, "snn-ssm: interrupted\n")


def children_of(process):
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return found.read_text().split() if found.exists() else []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_processes_that_share_the_samples(tmp_path, number):
    checkpoint = checkpoint_of(1, steps=2000, channels=64, modes=32)
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", checkpoint)
    samples = samples_of(checkpoint, 400)
    np.savez(tmp_path / "samples.npz", inputs=samples, labels=np.zeros(400, np.int64))
    assert main(["export", str(tmp_path / "checkpoint"), str(tmp_path / "network")]) == 0
    started = command(
        "run", tmp_path / "network", "--processes", 2, "--data", tmp_path / "samples.npz",
        stdout=subprocess.PIPE,
    )
    begun = time.monotonic()
    while len(children := children_of(started)) < 2:  # and a watcher of shared memory
        assert started.poll() is None and time.monotonic() - begun < 60
        time.sleep(0.01)
    started.send_signal(number)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130 and said.endswith("snn-ssm: interrupted\n")
    begun = time.monotonic()
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() - begun < 20
        time.sleep(0.05)


def test_predict_and_verify_share_the_samples_out(files, monkeypatch):
    asked = []

    def alone(make, network, options):
        asked.append(options.processes)
        return make(network, options)

    monkeypatch.setattr(choice, "shared_out", alone)
    shared = ["--data", str(files / "samples.npz"), "--processes", "3"]
    assert main(["predict", str(files / "network"), *shared]) == 0
    backends = "software,spinnaker-software"
    assert main(["verify", str(files / "network"), "--backends", backends, *shared]) == 0
    assert asked == [3, 3, 3]


def test_an_interrupt_in_nest_is_soon_heard(tmp_path):
    pytest.importorskip("nest", reason="NEST is not installed")
    checkpoint = checkpoint_of(1, steps=2000, channels=64, modes=32)
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", checkpoint)
    samples = samples_of(checkpoint, 40)
    np.savez(tmp_path / "samples.npz", inputs=samples, labels=np.zeros(40, np.int64))
    assert main(["export", str(tmp_path / "checkpoint"), str(tmp_path / "network")]) == 0
    script = (
        "import sys, pyNN.nest as sim\n"
        "run = sim.run\n"
        "def told(*a):\n    print('running', flush=True)\n    return run(*a)\n"
        "sim.run = told\n"
        "from export.command import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", script, "run", str(tmp_path / "network"), "--backend", "nest",
         "--data", str(tmp_path / "samples.npz")],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while "running" not in started.stdout.readline():
        assert started.poll() is None
    started.send_signal(signal.SIGINT)
    sent = time.monotonic()
    _, said = started.communicate(timeout=120)
    assert started.returncode == 130 and said.endswith("snn-ssm: interrupted\n")
    # Not a timing of anything: a run to its end takes far longer than this on any machine.
    assert time.monotonic() - sent < 20


@pytest.mark.slow
def test_a_backend_of_a_notebook_that_is_not_there(files):
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.no_such_backend"}
    started = command(
        "report", files / "network", "--checkpoint", files / "checkpoint", "--backends",
        "torch,nest", "--out", files / "page.html", "--data", files / "samples.npz",
        env=environment, stdout=subprocess.PIPE,
    )  # fmt: skip
    _, said = started.communicate(timeout=120)
    assert started.returncode == 0, said
