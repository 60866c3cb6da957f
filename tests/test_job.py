"""Board jobs: made, moved, stripped of all but *.py, killed, resumed, compared; and refusals."""

import ast
import base64
import configparser
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, checkpoint_of, samples_of

from export import job, job_results, job_runner, neo_files, storage
from export.cli import main
from export.lower import lower
from export.pynn import BackendError
from export.recording import Recording, RecordingError
from snn_ssm.files import FileError
from snn_ssm.tasks import Samples

pytest.importorskip("scipy", reason="SciPy, which writes Neo's MAT files, is not installed")
CHECKPOINT = checkpoint_of(5, steps=20)
SAMPLES = Samples(samples_of(CHECKPOINT, 8), np.arange(8) % 3)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A network and its job; tests that change something take a copy."""
    folder = tmp_path_factory.mktemp("made")
    storage.save_network(lower(CHECKPOINT), folder / "network")
    job.make_job(folder / "network", SAMPLES, folder / "job")
    return folder


@pytest.fixture
def files(made, tmp_path):
    """A copy of the network and its job, at another place."""
    shutil.copytree(made, tmp_path / "moved here")
    return tmp_path / "moved here"


def manifest_of(bundle):
    text = (bundle / "manifest.py").read_text()
    return ast.literal_eval(text[text.index("{") :])


def run_here(bundle, *arguments):
    """The runner in this process: fast, with the checkout's code."""
    return job_runner.main(bundle, manifest_of(bundle), [str(a) for a in arguments])


def start(bundle, *arguments, cwd, **environment):
    """``python run.py`` as a process, numba's compiler off: the networks are small."""
    command = [sys.executable, str(bundle / "run.py"), *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"} | environment,
    )


def run_there(bundle, *arguments, **options):
    process = start(bundle, *arguments, **options)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def verify(files, results, *more):
    arguments = ["verify", files / "network", "--recording", results, *more]
    if "--data" not in more:
        arguments += ["--data", files / "job" / "inputs.npz"]
    return main([str(a) for a in arguments])


def refusal(capsys, call, *arguments):
    capsys.readouterr()
    assert call(*arguments) == 2
    return capsys.readouterr().err


# The bundle.

def test_every_file_is_in_the_manifest_and_in_the_sums(made):
    bundle = made / "job"
    manifest = manifest_of(bundle)
    there = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert there == {*manifest["files"], "manifest.py"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest
    sums = dict(
        reversed(line.split("  ", 1)) for line in (bundle / "SHA256SUMS").read_text().splitlines()
    )
    assert {"run.py", "inputs.npz", "network/network.json", "code/snn_ssm/files.py"} <= set(sums)
    assert sums.items() <= manifest["files"].items()
    assert (manifest["samples"], manifest["schema"]) == (8, 1)


def test_the_same_network_and_samples_make_the_same_job(made, tmp_path):
    digest = job.make_job(made / "network", SAMPLES, tmp_path / "again")
    assert digest == hashlib.sha256((made / "job" / "manifest.py").read_bytes()).hexdigest()


def test_the_code_is_what_a_run_needs(made):
    found = {name: data for name, data in job.code().items() if name.endswith(".py")}
    assert {"export/pynn.py", "export/software.py", "pynn_models/nest/neuron.py"} <= set(found)
    assert {n for n in found if n.startswith("snn_ssm")} == {
        "snn_ssm/__init__.py", "snn_ssm/files.py",
    }
    assert not {"export/cli.py", "export/lower.py", "export/report.py"} & set(found)
    for name, data in found.items():
        for node in ast.walk(ast.parse(data)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [getattr(node, "module", None), *(alias.name for alias in node.names)]
                assert not any(str(n).split(".")[0] == "torch" for n in names), name


def test_a_large_payload_comes_in_pieces(monkeypatch):
    monkeypatch.setattr(job, "_PAYLOAD_CHARACTERS", 1000)
    content = np.random.default_rng(0).bytes(2500)
    pieces = job._payload({"a/b.bin": content})
    assert len(pieces) > 3
    text = ""
    for name in sorted(pieces):
        module = {}
        exec(compile(pieces[name], name, "exec"), module)
        text += module["DATA"]
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(text))) as archive:
        assert archive.read("a/b.bin") == content


def test_the_requirements_are_those_of_the_package():
    declared = configparser.ConfigParser()
    declared.read(ROOT / "setup.cfg")
    known = declared["options"]["install_requires"]
    known += "".join(declared["options.extras_require"].values())
    lines = (ROOT / "export" / "job_template" / "requirements.txt").read_text().splitlines()
    needed = [line for line in lines if not line.startswith("#")]
    assert len(needed) == 7
    for line in needed:
        assert line in known.splitlines() or line.startswith("scipy"), line


# Running.

BLOCKED = ("torch", "safetensors", "tomli_w", "tqdm", "snn_ssm", "export", "pynn_models")


@pytest.mark.parametrize("simulator", ["software", "nest"])
def test_it_runs_moved_from_elsewhere_with_only_its_python_files(files, tmp_path, simulator):
    if simulator == "nest":
        pytest.importorskip("pyNN.nest", reason="PyNN and NEST are not installed")
    bundle, elsewhere = files / "job", tmp_path / "elsewhere"
    for path in list(bundle.rglob("*")):
        if path.is_file() and path.suffix != ".py":
            path.unlink()
    elsewhere.mkdir()
    for name in BLOCKED:  # importable from here only, and that fails: the job has its own
        (elsewhere / f"{name}.py").write_text(f"raise ImportError('{name} is blocked')\n")
    status, out, err = run_there(
        bundle, simulator.upper(), "--chunk", 3, cwd=elsewhere, PYTHONPATH=str(elsewhere)
    )
    assert status == 0, err
    assert "from payload_*.py" in out and "complete, 8 samples run now" in out
    for name, digest in manifest_of(bundle)["files"].items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest
    results = bundle / "results" / simulator
    summary = json.loads((results / "summary.json").read_text())
    assert summary["complete"] and summary["samples_done"] == 8 and summary["missing"] == []
    assert summary["simulator"] == simulator and summary["versions"]["numpy"]
    assert set(summary["spikes"]) == {"layer0", "layer1"} and sum(summary["spikes"].values()) > 0
    assert sorted(p.name for p in results.glob("*.mat")) == sorted(summary["files"])
    assert not list(elsewhere.glob("samples*"))
    assert verify(files, results, "--json", tmp_path / "v.json") == 0
    result = json.loads((tmp_path / "v.json").read_text())
    name = "recording" if simulator == "software" else "nest"
    assert result["backends"][name]["mismatched_spikes"] == 0 and result["samples"] == 8
    assert result["backends"][name]["accuracy"] == summary["accuracy"]
    assert result["spikes"] == sum(summary["spikes"].values())


def test_a_killed_run_goes_on_where_it_was(files, tmp_path):
    many = Samples(samples_of(CHECKPOINT, 60, seed=3), np.zeros(60, np.int64))
    bundle = tmp_path / "long"
    job.make_job(files / "network", many, bundle)
    results = tmp_path / "out"
    process = start(bundle, "software", "--chunk", 1, "--out", results, cwd=tmp_path)
    begun = time.monotonic()
    while len(list(results.glob("samples-*.json"))) < 3 and process.poll() is None:
        assert time.monotonic() - begun < 60
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = {p.name: p.stat().st_mtime_ns for p in results.glob("samples-*.json")}
    assert 3 <= len(done) < 60
    assert not json.loads((results / "summary.json").read_text())["complete"]
    status, out, err = run_there(bundle, "software", "--out", results, cwd=tmp_path)
    assert status == 0, err
    assert f"{60 - len(done)} samples run now" in out
    for name, written in done.items():
        assert (results / name).stat().st_mtime_ns == written
    assert verify(files, results, "--data", bundle / "inputs.npz") == 0


def test_an_interrupted_run_says_what_is_missing(files, capsys, monkeypatch):
    whole, calls = job_runner._execute, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(job_runner, "_execute", interrupted)
    assert run_here(files / "job", "software", "--chunk", 3) == 130
    assert "goes on from here" in capsys.readouterr().err
    results = files / "job" / "results" / "software"
    summary = json.loads((results / "summary.json").read_text())
    assert (summary["missing"], summary["samples_done"]) == ([[6, 8]], 6)
    assert verify(files, results) == 1
    assert "missing: samples 6 to 7" in capsys.readouterr().out
    assert run_here(files / "job", "software", "--chunk", 3) == 0
    assert "2 samples run now" in capsys.readouterr().out
    assert verify(files, results) == 0


@pytest.mark.parametrize("damage", ["truncated", "no json", "half a json", "no mat"])
def test_a_result_that_is_not_whole_is_run_again(files, capsys, damage):
    assert run_here(files / "job", "software", "--chunk", 4) == 0
    results = files / "job" / "results" / "software"
    spikes, chunk = (results / f"samples-000004-000008.{end}" for end in ("mat", "json"))
    if damage == "truncated":
        spikes.write_bytes(spikes.read_bytes()[:-100])
    elif damage == "half a json":
        chunk.write_text(chunk.read_text()[:50])
    else:
        (chunk if damage == "no json" else spikes).unlink()
    assert verify(files, results) == 1
    capsys.readouterr()
    assert run_here(files / "job", "software", "--chunk", 2) == 0
    out = capsys.readouterr().out
    assert "samples 4 to 5 of 8" in out and "4 samples run now" in out
    assert ("not whole, runs again: samples-000004-000008" in out) == (damage != "no json")
    assert not chunk.exists()
    assert verify(files, results) == 0


def test_a_spike_that_differs_is_found(files, tmp_path, capsys):
    assert run_here(files / "job", "software", "--chunk", 5) == 0
    results = files / "job" / "results" / "software"
    path = results / "samples-000005-000008.mat"
    recording = neo_files.from_block(neo_files.load_block(path))
    recording.spikes["layer1"][1, 7, 2] ^= True
    path.write_bytes(neo_files.block_bytes(neo_files.to_block(recording)))
    chunk = json.loads(path.with_suffix(".json").read_text())
    chunk["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(chunk))
    assert verify(files, results, "--json", tmp_path / "v.json") == 1
    found = json.loads((tmp_path / "v.json").read_text())["backends"]["recording"]
    assert found["mismatched_spikes"] == 1
    first = found["first_divergence"]
    assert [first[k] for k in ("sample", "layer", "step", "neuron")] == [6, "layer1", 7, 2]
    assert first["reference"] is not None and first["value"] is None


# Refusals of run.py itself.

def check_refusal(bundle, tmp_path):
    status, _, err = run_there(bundle, "software", cwd=tmp_path)
    assert status == 2
    assert not (bundle / "results").exists()
    return err


def test_a_changed_or_missing_file_is_named(files, tmp_path):
    bundle = files / "job"
    source = bundle / "code" / "export" / "readout.py"
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


def test_a_job_without_its_manifest_or_with_another_payload(files, tmp_path):
    bundle = files / "job"
    payload = bundle / "payload_000.py"
    payload.write_text(payload.read_text().replace('DATA = """\\\n', 'DATA = """\\\nAAAA'))
    assert "payload_000.py was altered" in check_refusal(bundle, tmp_path)
    (bundle / "manifest.py").unlink()
    err = check_refusal(bundle, tmp_path)
    assert "manifest.py cannot be read" in err and "make it anew with 'snn-ssm job'" in err


def test_a_job_that_cannot_be_restored(files, monkeypatch, capsys):
    bundle = files / "job"
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

def test_an_unknown_simulator_and_a_chunk_of_none(files, capsys):
    message = refusal(capsys, run_here, files / "job", "neuron")
    assert "unknown simulator 'neuron'; expected one of spiNNaker, nest, software" in message
    assert "--chunk is 0" in refusal(capsys, run_here, files / "job", "nest", "--chunk", "0")


def on_spinnaker(bundle, capsys, monkeypatch, home):
    """What a run with ``spiNNaker`` answers, and what the simulator found where it was started."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    seen = {}

    def started(name, network, inputs):
        seen["home"] = os.environ["HOME"]
        seen["there"] = Path("spynnaker.cfg").is_file() and Path("spynnaker.cfg").read_text()
        raise BackendError(f"no {name} here")

    monkeypatch.setattr("export.pynn.run", started)
    before = Path.cwd()
    message = refusal(capsys, run_here, bundle, "spiNNaker")
    assert Path.cwd() == before and os.environ["HOME"] == str(home)
    return message, seen


def test_spinnaker_is_started_with_the_jobs_configuration(files, tmp_path, capsys, monkeypatch):
    bundle = files / "job"
    message, seen = on_spinnaker(bundle, capsys, monkeypatch, tmp_path)
    assert "sPyNNaker has no configuration. Copy" in message and not seen
    (tmp_path / ".spynnaker.cfg").write_text("[Machine]\nversion = 5\n")
    message, seen = on_spinnaker(bundle, capsys, monkeypatch, tmp_path)
    assert "no spinnaker here" in message
    assert seen == {"home": str(tmp_path), "there": False}
    (bundle / "spynnaker.cfg").write_text("[Machine]\nmachine_name = 10.0.0.1\n")
    message, seen = on_spinnaker(bundle, capsys, monkeypatch, tmp_path)
    assert "machine_name = 10.0.0.1" in seen["there"]
    assert Path(seen["home"]).is_relative_to(bundle / "results" / "spiNNaker")


def test_a_configuration_that_returns_no_spikes_or_is_none(files, tmp_path, capsys, monkeypatch):
    for text, expected in (
        ("[Machine]\nvirtual_board = True\n", "names the virtual board"),
        ("machine", "is no configuration"),
    ):
        (files / "job" / "spynnaker.cfg").write_text(text)
        message, seen = on_spinnaker(files / "job", capsys, monkeypatch, tmp_path)
        assert expected in message and not seen


def test_spinnaker_that_is_not_installed(files, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyNN.spiNNaker", None)
    (files / "job" / "spynnaker.cfg").write_text("[Machine]\nversion = 5\n")
    message = refusal(capsys, run_here, files / "job", "spiNNaker")
    assert "pyNN.spiNNaker cannot be imported" in message


def test_nothing_to_write_results_with(files, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    message = refusal(capsys, run_here, files / "job", "software")
    assert "scipy cannot be imported" in message and "pip install -r requirements.txt" in message


def test_no_place_for_results(files, capsys, monkeypatch):
    (files / "file").write_text("")
    message = refusal(capsys, run_here, files / "job", "software", "--out", files / "file" / "out")
    assert "no results can be written to" in message and "--out DIR" in message

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job_runner, "write_atomic", full)
    message = refusal(capsys, run_here, files / "job", "software")
    assert "No space left on device. Make room or give another --out" in message


def test_results_of_another_job_are_not_added_to(files, tmp_path, capsys):
    out = tmp_path / "out"
    assert run_here(files / "job", "software", "--out", out, "--chunk", 8) == 0
    message = refusal(capsys, run_here, files / "job", "nest", "--out", out)
    assert "their simulator is software, this job's nest" in message
    storage.save_network(lower(checkpoint_of(6, steps=20)), tmp_path / "other")
    job.make_job(tmp_path / "other", SAMPLES, tmp_path / "other job")
    message = refusal(capsys, run_here, tmp_path / "other job", "software", "--out", out)
    assert "results of another job: their network (SHA-256) is" in message
    shutil.copy(out / "samples-000000-000008.mat", out / "samples-000008-000016.mat")
    chunk = json.loads((out / "samples-000000-000008.json").read_text())
    chunk |= {"network_sha256": "0", "file": "samples-000008-000016.mat"}
    (out / "samples-000008-000016.json").write_text(json.dumps(chunk))
    assert "holds results of two jobs" in refusal(capsys, verify, files, out)


# Refusals of the command line.

def test_a_job_is_made_from_the_command_line(files, tmp_path, capsys):
    data = tmp_path / "samples.npz"
    np.savez(data, inputs=SAMPLES.inputs, labels=SAMPLES.labels)
    arguments = ["job", files / "network", tmp_path / "new", "--data", data, "--samples", 5]
    arguments = [str(a) for a in arguments]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    digest = hashlib.sha256((tmp_path / "new" / "manifest.py").read_bytes()).hexdigest()
    assert "5 samples" in out and digest in out
    message = refusal(capsys, main, arguments)
    assert "the job directory" in message and "exists; nothing was written" in message


def test_samples_that_do_not_fit_make_no_job(files, tmp_path, capsys):
    np.savez(tmp_path / "s.npz", inputs=SAMPLES.inputs[:, :, :9], labels=SAMPLES.labels)
    arguments = ["job", files / "network", tmp_path / "new", "--data", tmp_path / "s.npz"]
    message = refusal(capsys, main, [str(a) for a in arguments])
    assert "(B, 1, 20)" in message
    assert not (tmp_path / "new").exists()


def test_verify_refuses_results_of_something_else(files, tmp_path, capsys):
    results = files / "job" / "results" / "software"
    message = refusal(capsys, verify, files, results)
    assert "holds no whole result; found no samples-*.json" in message
    assert run_here(files / "job", "software") == 0
    storage.save_network(lower(checkpoint_of(6, steps=20)), tmp_path / "network")
    message = refusal(
        capsys, verify, tmp_path, results, "--data", files / "job" / "inputs.npz"
    )
    assert "results of another network" in message and "the job was made from" in message
    np.savez(tmp_path / "s.npz", inputs=SAMPLES.inputs[::-1], labels=SAMPLES.labels)
    message = refusal(capsys, verify, files, results, "--data", tmp_path / "s.npz")
    assert "results of other samples" in message and "the job's own inputs.npz" in message
    message = refusal(capsys, verify, files, results, "--samples", "3")
    assert "of 8 samples; there are 3 to compare with" in message


# Results.

@pytest.mark.parametrize("timestep", [1.0, 0.1])
def test_spikes_come_back_from_neo(tmp_path, timestep):
    rng = np.random.default_rng(1)
    spikes = {"a": rng.random((3, 11, 4)) < 0.3, "b": np.zeros((3, 11, 2), bool)}
    spikes["b"][1, 4, 1] = True  # one neuron is silent, the other spikes once
    block = neo_files.to_block(Recording("nest", timestep, spikes), start=6, word="x")
    (tmp_path / "r.mat").write_bytes(neo_files.block_bytes(block))
    again = neo_files.load_block(tmp_path / "r.mat")
    assert (again.annotations["start"], again.annotations["word"]) == (6, "x")
    train = again.segments[0].spiketrains[5]
    assert (train.annotations["population"], train.annotations["source_index"]) == ("b", 1)
    assert train.rescale("ms").magnitude == pytest.approx([(11 + 4 + 1) * timestep])
    recording = neo_files.from_block(again)
    assert (recording.backend, recording.timestep) == ("nest", timestep)
    assert set(recording.spikes) == {"a", "b"}
    for name in spikes:
        np.testing.assert_array_equal(recording.spikes[name], spikes[name])


def test_a_file_that_is_no_result(tmp_path):
    (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(RecordingError, match=r"x\.mat cannot be read as a Neo block"):
        neo_files.load_block(tmp_path / "x.mat")
    plain = Recording("nest", 1.0, {"a": np.ones((1, 2, 1), bool)}).to_neo()
    with pytest.raises(RecordingError, match="no recording of samples back to back"):
        neo_files.from_block(plain)
    early = neo_files.to_block(Recording("nest", 1.0, {"a": np.ones((1, 2, 1), bool)}))
    early.segments[0].spiketrains[0][0] = 0 * early.segments[0].spiketrains[0].units
    with pytest.raises(RecordingError, match="a spike before the end of the first step"):
        neo_files.from_block(early)


def test_gaps_between_chunks():
    def chunk(start, stop):
        values = dict.fromkeys(job_results.Chunk.__dataclass_fields__, 0)
        return job_results.Chunk(**(values | {"start": start, "stop": stop}))

    assert job_results.gaps([], 5) == [(0, 5)]
    assert job_results.gaps([chunk(0, 2), chunk(2, 5)], 5) == []
    assert job_results.gaps([chunk(1, 2), chunk(3, 4)], 6) == [(0, 1), (2, 3), (4, 6)]


def test_errors_are_the_projects_own():
    assert issubclass(job_results.JobError, FileError.__base__)
