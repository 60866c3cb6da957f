"""Board jobs: what run.py, the runner and the command line refuse, and how they say so."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from support.files import ROOT
from support.job_runs import SAMPLES, refusal, rewrite, run_here, run_there, verify
from support.random_networks import checkpoint_of

from export.command.arguments import main
from export.description import storage
from export.job import chunk as job_chunk
from export.job import make as job
from export.lowering.network import lower
from export.pynn.built import BackendError
from snn_ssm import files
from snn_ssm.files import FileError

# Refusals of run.py itself.


def check_refusal(bundle, tmp_path):
    status, _, err = run_there(bundle, "software", cwd=tmp_path)
    assert status == 2
    assert not (bundle / "results").exists()
    return err


def test_a_changed_or_missing_file_is_named(job_files, tmp_path):
    bundle = job_files / "job"
    source = bundle / "code" / "export" / "samples" / "readout.py"
    whole = source.read_bytes()
    source.write_bytes(whole + b"\n")
    err = check_refusal(bundle, tmp_path)
    assert str(source) in err and hashlib.sha256(whole).hexdigest() in err
    assert hashlib.sha256(whole + b"\n").hexdigest() in err and "Copy the job again" in err
    source.unlink()
    assert "readout.py is missing; expected a file of SHA-256" in check_refusal(bundle, tmp_path)
    source.write_bytes(whole)
    arrays = bundle / "network" / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-1])
    err = check_refusal(bundle, tmp_path)
    assert "arrays.safetensors was altered" in err and "Delete it: run.py then restores it" in err
    arrays.unlink()
    assert run_there(bundle, "software", cwd=tmp_path)[0] == 0


def test_a_job_without_its_manifest_or_with_another_payload(job_files, tmp_path):
    bundle = job_files / "job"
    payload = bundle / "payload_000.py"
    payload.write_text(payload.read_text().replace('DATA = """\\\n', 'DATA = """\\\nAAAA'))
    assert "payload_000.py was altered" in check_refusal(bundle, tmp_path)
    (bundle / "manifest.py").unlink()
    err = check_refusal(bundle, tmp_path)
    assert "manifest.py cannot be read" in err and "make it anew with 'snn-ssm job'" in err


def test_a_job_that_cannot_be_restored(job_files, monkeypatch, capsys):
    bundle = job_files / "job"
    (bundle / "inputs.npz").unlink()
    module = {"__name__": "run", "__file__": str(bundle / "run.py")}
    exec(compile((bundle / "run.py").read_bytes(), "run.py", "exec"), module)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module["tempfile"], "mkstemp", refuse)
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    assert module["main"]() == 2
    err = capsys.readouterr().err
    assert "inputs.npz is missing and cannot be restored: Permission denied" in err
    assert "a directory that you may write to" in err


# Refusals of the runner.

def test_an_unknown_simulator_and_a_chunk_of_none(job_files, capsys):
    message = refusal(capsys, run_here, job_files / "job", "neuron")
    assert "unknown simulator 'neuron'; expected one of spiNNaker, nest, software" in message
    assert "--chunk is 0" in refusal(capsys, run_here, job_files / "job", "nest", "--chunk", "0")


BOARD = "[Machine]\nmachine_name = 127.0.0.1\nversion = 5\n"


def on_spinnaker(bundle, capsys, monkeypatch, home, settings=None):
    """What a run with ``spiNNaker`` answers, and what the simulator found where it was started."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    if settings:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(settings))
    seen = {}

    def started(name, network, inputs, *, membranes, backend):
        seen["home"] = os.environ["HOME"]
        seen["there"] = Path("spynnaker.cfg").is_file() and Path("spynnaker.cfg").read_text()
        raise BackendError(f"no {name} here")

    monkeypatch.setattr("export.pynn.built.run", started)
    before = Path.cwd()
    message = refusal(capsys, run_here, bundle, "spiNNaker")
    assert Path.cwd() == before and os.environ["HOME"] == str(home)
    assert os.environ.get("XDG_CONFIG_HOME") == (settings and str(settings))
    return message, seen


def test_spinnaker_is_started_with_the_jobs_configuration(job_files, tmp_path, capsys, monkeypatch):
    bundle = job_files / "job"
    message, seen = on_spinnaker(bundle, capsys, monkeypatch, tmp_path)
    assert "sPyNNaker has no configuration. Copy" in message and not seen
    (tmp_path / ".spynnaker.cfg").write_text(BOARD)
    message, seen = on_spinnaker(bundle, capsys, monkeypatch, tmp_path)
    assert "no spinnaker here" in message
    assert seen == {"home": str(tmp_path), "there": False}
    (tmp_path / ".spynnaker.cfg").write_text("[Machine]\nvirtual_board = True\n")
    (bundle / "spynnaker.cfg").write_text(BOARD)
    message, seen = on_spinnaker(bundle, capsys, monkeypatch, tmp_path)
    assert "machine_name = 127.0.0.1" in seen["there"]
    assert Path(seen["home"]).is_relative_to(bundle / "results" / "spiNNaker")


def test_a_configuration_in_the_current_directory_overrides_the_users(
    job_files, tmp_path, capsys, monkeypatch
):
    (tmp_path / ".spynnaker.cfg").write_text("[Machine]\nvirtual_board = True\n")
    here = tmp_path / "here"
    here.mkdir()
    (here / "spynnaker.cfg").write_text(f"{BOARD}virtual_board = False\n")
    monkeypatch.chdir(here)
    message, seen = on_spinnaker(job_files / "job", capsys, monkeypatch, tmp_path)
    assert "no spinnaker here" in message
    assert seen == {"home": str(tmp_path), "there": (here / "spynnaker.cfg").read_text()}
    (job_files / "job" / "spynnaker.cfg").write_text(BOARD)
    _, seen = on_spinnaker(job_files / "job", capsys, monkeypatch, tmp_path)
    assert seen["there"] == BOARD  # the job's own is all that counts


def test_a_configuration_among_the_users_settings(job_files, tmp_path, capsys, monkeypatch):
    for settings in (tmp_path / ".config", tmp_path / "settings"):
        settings.mkdir()
        given = settings if settings.name == "settings" else None
        message, seen = on_spinnaker(job_files / "job", capsys, monkeypatch, tmp_path, given)
        assert "sPyNNaker has no configuration" in message and not seen
        (settings / ".spynnaker.cfg").write_text(BOARD)
        message, seen = on_spinnaker(job_files / "job", capsys, monkeypatch, tmp_path, given)
        assert "no spinnaker here" in message and seen["there"] is False


def test_a_configuration_that_returns_no_spikes_or_is_none(
    job_files, tmp_path, capsys, monkeypatch
):
    for text, expected in (
        *(
            (f"{BOARD}{line}\n", "names the virtual board, which maps a network and returns no")
            for line in ("virtual_board = True", "virtualBoard = yes", "VIRTUALBOARD: t")
        ),
        ("machine", "is no configuration"),
        ("[Machine]\nvirtual_board = perhaps\n", "virtual_board is 'perhaps'; expected True or"),
        (BOARD.replace("M", "m", 1), "has a section [machine]; expected [Machine]"),
        ((ROOT / "export/job/template/spynnaker.cfg.template").read_text(), "names no machine"),
        ("[Mapping]\n", "names no machine; expected one of machine_name, spalloc_server"),
        (f"{BOARD}spalloc_server = https://host/\n", "names machine_name and spalloc_server"),
        (BOARD.replace("5", "None"), "gives version = None; expected one of 2, 3, 4, 5, 201, 248"),
        (BOARD.replace("127.0.0.1", "no.such.host.invalid"), "which is no known host"),
        ("[Machine]\nspalloc_server = https://host/spalloc\n", "and no user; expected one in the"),
        ("[Machine]\nspalloc_server = https://[host/\n", "which is no address"),
    ):
        (job_files / "job" / "spynnaker.cfg").write_text(text)
        monkeypatch.delenv("SPALLOC_USER", raising=False)
        message, seen = on_spinnaker(job_files / "job", capsys, monkeypatch, tmp_path)
        assert expected in message and not seen


def test_spinnaker_that_is_not_installed(job_files, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyNN.spiNNaker", None)
    (job_files / "job" / "spynnaker.cfg").write_text(BOARD)
    message = refusal(capsys, run_here, job_files / "job", "spiNNaker")
    assert "pyNN.spiNNaker cannot be imported" in message


@pytest.mark.parametrize("missing", ["neo", "scipy"])
def test_without_neo_the_results_are_the_same(job_files, capsys, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    assert run_here(job_files / "job", "software") == 0
    assert "run.py: no .mat files for Neo: " in capsys.readouterr().out
    results = job_files / "job" / "results" / "software"
    assert not list(results.glob("*.mat")) and verify(job_files, results) == 0


def test_no_place_for_results(job_files, capsys, monkeypatch):
    bundle, file = job_files / "job", job_files / "file"
    file.write_text("")
    message = refusal(capsys, run_here, bundle, "software", "--out", file / "out")
    assert "no results can be written to" in message and "--out DIR" in message

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_replace", full)
    message = refusal(capsys, run_here, bundle, "software")
    assert "No space left on device" in message and "Make room or give another --out" in message


def test_results_of_another_job_are_not_added_to(job_files, tmp_path, capsys):
    out = tmp_path / "out"
    assert run_here(job_files / "job", "software", "--out", out, "--chunk", 8) == 0
    message = refusal(capsys, run_here, job_files / "job", "nest", "--out", out)
    assert "their simulator is software, this one's nest" in message
    storage.save_network(lower(checkpoint_of(6, steps=20)), tmp_path / "other")
    job.make_job(tmp_path / "other", SAMPLES, tmp_path / "other job")
    message = refusal(capsys, run_here, tmp_path / "other job", "software", "--out", out)
    assert "results of another job: their network (SHA-256) is" in message
    for end in ("safetensors", "json"):
        shutil.copy(out / f"samples-000000-000008.{end}", out / f"samples-000008-000016.{end}")
    other = {"network_sha256": "0", "start": 8, "stop": 16, "samples": 16}
    rewrite(out / "samples-000008-000016.json", **other)
    assert "holds results of two jobs" in refusal(capsys, verify, job_files, out)


# Refusals of the command line.

def test_a_job_is_made_from_the_command_line(job_files, tmp_path, capsys):
    data = tmp_path / "samples.npz"
    np.savez(data, inputs=SAMPLES.inputs, labels=SAMPLES.labels)
    arguments = ["job", job_files / "network", tmp_path / "new", "--data", data, "--samples", 5]
    arguments = [str(a) for a in arguments]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    digest = hashlib.sha256((tmp_path / "new" / "manifest.py").read_bytes()).hexdigest()
    assert "5 samples" in out and digest in out
    message = refusal(capsys, main, arguments)
    assert "the job directory" in message and "exists; nothing was written" in message


def test_samples_that_do_not_fit_make_no_job(job_files, tmp_path, capsys):
    np.savez(tmp_path / "s.npz", inputs=SAMPLES.inputs.repeat(2, 1), labels=SAMPLES.labels)
    arguments = ["job", job_files / "network", tmp_path / "new", "--data", tmp_path / "s.npz"]
    message = refusal(capsys, main, [str(a) for a in arguments])
    assert "(B, 1, 20)" in message
    assert not (tmp_path / "new").exists()


def test_verify_refuses_results_of_something_else(job_files, tmp_path, capsys):
    results = job_files / "job" / "results" / "software"
    message = refusal(capsys, verify, job_files, results)
    assert "holds no whole result; found no samples-*.json" in message
    assert run_here(job_files / "job", "software") == 0
    storage.save_network(lower(checkpoint_of(6, steps=20)), tmp_path / "network")
    message = refusal(
        capsys, verify, tmp_path, results, "--data", job_files / "job" / "inputs.npz"
    )
    assert "results of another network" in message and "Name the network that was run" in message
    np.savez(tmp_path / "s.npz", inputs=SAMPLES.inputs[::-1], labels=SAMPLES.labels)
    message = refusal(capsys, verify, job_files, results, "--data", tmp_path / "s.npz")
    assert "results of other samples" in message and "the job's own inputs.npz" in message
    message = refusal(capsys, verify, job_files, results, "--samples", "3")
    assert "of 8 samples; there are 3 to compare with" in message


def test_errors_are_the_projects_own():
    assert issubclass(job_chunk.JobError, FileError.__base__)
