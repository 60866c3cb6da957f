"""Board jobs: made, moved, stripped of all but *.py, killed, resumed, compared."""

import ast
import base64
import configparser
import hashlib
import io
import json
import signal
import time
import zipfile

import numpy as np
import pytest
from support.files import ROOT
from support.job_runs import (
    CHECKPOINT,
    SAMPLES,
    manifest_of,
    rewrite,
    run_here,
    run_there,
    start,
    verify,
)
from support.random_networks import samples_of

from export.job import make as job
from export.job import runner as job_runner
from export.job.settings import BoardSettings
from export.samples.recording import Recording
from snn_ssm.tasks import Samples

# The bundle.


def test_every_file_is_in_the_manifest_and_in_the_sums(made_job):
    bundle = made_job / "job"
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


def test_the_same_network_and_samples_make_the_same_job(made_job, tmp_path):
    digest = job.make_job(
        made_job / "network", SAMPLES, tmp_path / "again", BoardSettings()
    )
    assert digest == hashlib.sha256((made_job / "job" / "manifest.py").read_bytes()).hexdigest()


def test_the_code_is_what_a_run_needs(made_job):
    found = {name: data for name, data in job.code().items() if name.endswith(".py")}
    assert {
        "export/pynn/built.py", "export/software/simulation.py", "pynn_models/nest/neuron.py"
    } <= set(found)
    assert {n for n in found if n.startswith("snn_ssm")} == {
        "snn_ssm/__init__.py", "snn_ssm/files.py", "snn_ssm/npz.py", "snn_ssm/reading.py",
        "snn_ssm/kinds/__init__.py",
        *(f"snn_ssm/kinds/outputs/{name}.py" for name in (
            "__init__", "answered", "classes", "kind", "multi_label", "values",
        )),
    }
    for room in ("command", "lowering", "pages"):
        assert (ROOT / "export" / room / "__init__.py").is_file()
        assert not any(name.startswith(f"export/{room}/") for name in found)
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
    lines = (ROOT / "export" / "job" / "template" / "requirements.txt").read_text().splitlines()
    needed = [line for line in lines if not line.startswith("#")]
    assert len(needed) == 7
    for line in needed:
        assert line in known.splitlines() or line.startswith("scipy"), line


# Running.

BLOCKED = ("torch", "safetensors", "tomli_w", "tqdm", "snn_ssm", "export", "pynn_models")


@pytest.mark.parametrize("simulator", ["software", "nest"])
def test_it_runs_moved_from_elsewhere_with_only_its_python_files(job_files, tmp_path, simulator):
    if simulator == "nest":
        pytest.importorskip("pyNN.nest", reason="PyNN and NEST are not installed")
    bundle, elsewhere = job_files / "job", tmp_path / "elsewhere"
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
    assert sorted(p.name for p in results.glob("*.safetensors")) == sorted(summary["files"])
    assert [p.stem for p in sorted(results.glob("*.mat"))] == [
        name.removesuffix(".safetensors") for name in sorted(summary["files"])
    ]
    assert not list(elsewhere.glob("samples*"))
    assert verify(job_files, results, "--json", tmp_path / "v.json") == 0
    result = json.loads((tmp_path / "v.json").read_text())
    name = "recording" if simulator == "software" else "nest"
    assert result["backends"][name]["mismatched_spikes"] == 0 and result["samples"] == 8
    assert result["backends"][name]["accuracy"] == summary["accuracy"]
    assert result["spikes"] == sum(summary["spikes"].values())


def test_a_killed_run_goes_on_where_it_was(job_files, tmp_path):
    many = Samples(samples_of(CHECKPOINT, 60, seed=3), np.zeros(60, np.int64))
    bundle = tmp_path / "long"
    job.make_job(job_files / "network", many, bundle)
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
    assert verify(job_files, results, "--data", bundle / "inputs.npz") == 0


def test_an_interrupted_run_says_what_is_missing(job_files, capsys, monkeypatch):
    whole, calls = job_runner._execute, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(job_runner, "_execute", interrupted)
    assert run_here(job_files / "job", "software", "--chunk", 3) == 130
    assert "goes on from here" in capsys.readouterr().err
    results = job_files / "job" / "results" / "software"
    summary = json.loads((results / "summary.json").read_text())
    assert (summary["missing"], summary["samples_done"]) == ([[6, 8]], 6)
    assert verify(job_files, results) == 1
    assert "missing: samples 6 to 7" in capsys.readouterr().out
    assert run_here(job_files / "job", "software", "--chunk", 3) == 0
    assert "2 samples run now" in capsys.readouterr().out
    assert verify(job_files, results) == 0


@pytest.mark.parametrize("damage", ["truncated", "no json", "half a json", "no spikes"])
def test_a_result_that_is_not_whole_is_run_again(job_files, capsys, damage):
    assert run_here(job_files / "job", "software", "--chunk", 4) == 0
    results = job_files / "job" / "results" / "software"
    spikes, chunk = (results / f"samples-000004-000008.{end}" for end in ("safetensors", "json"))
    if damage == "truncated":
        spikes.write_bytes(spikes.read_bytes()[:-100])
    elif damage == "half a json":
        chunk.write_text(chunk.read_text()[:50])
    else:
        (chunk if damage == "no json" else spikes).unlink()
    assert verify(job_files, results) == 1
    capsys.readouterr()
    assert run_here(job_files / "job", "software", "--chunk", 2) == 0
    out = capsys.readouterr().out
    assert "samples 4 to 5 of 8" in out and "4 samples run now" in out
    assert ("not whole, runs again: samples-000004-000008" in out) == (damage != "no json")
    assert not chunk.exists()
    assert verify(job_files, results) == 0


def test_a_spike_that_differs_is_found(job_files, tmp_path, capsys):
    assert run_here(job_files / "job", "software", "--chunk", 5) == 0
    results = job_files / "job" / "results" / "software"
    path = results / "samples-000005-000008.safetensors"
    recording = Recording.load(path)
    recording.spikes["layer1"][1, 7, 2] ^= True
    recording.save(path)
    rewrite(path.with_suffix(".json"), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert verify(job_files, results, "--json", tmp_path / "v.json") == 1
    found = json.loads((tmp_path / "v.json").read_text())["backends"]["recording"]
    assert found["mismatched_spikes"] == 1
    first = found["first_divergence"]
    assert [first[k] for k in ("sample", "layer", "step", "neuron")] == [6, "layer1", 7, 2]
    assert first["reference"] is not None and first["value"] is None
