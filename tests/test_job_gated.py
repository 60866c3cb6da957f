"""Board jobs of gated networks: their classes come from the readout's membrane, not from spikes."""

import ast
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from gated_networks import lowered

from export import job, job_results, job_runner, software, storage
from export.cli import main
from export.job_results import JobError
from export.readout import logits
from snn_ssm.tasks import Samples

pytest.importorskip("scipy", reason="SciPy, which writes Neo's MAT files, is not installed")
_, NETWORK, INPUTS = lowered("gsu", 5, steps=12, count=6)
LABELS = np.arange(6) % 3
BACKEND = {"nest": "nest", "software": "recording"}  # beside the reference software


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A gated network and its job; tests take copies."""
    folder = tmp_path_factory.mktemp("made")
    storage.save_network(NETWORK, folder / "network")
    job.make_job(folder / "network", Samples(INPUTS, LABELS), folder / "job")
    return folder


@pytest.fixture
def files(made, tmp_path):
    shutil.copytree(made, tmp_path / "moved")
    return tmp_path / "moved"


def run_here(bundle, *arguments):
    """The runner in this process, with the checkout's code."""
    text = (bundle / "manifest.py").read_text()
    manifest = ast.literal_eval(text[text.index("{") :])
    return job_runner.main(bundle, manifest, [str(a) for a in arguments])


def verify(files, results, *more):
    arguments = ["verify", files / "network", "--recording", results, *more]
    arguments += ["--data", files / "job" / "inputs.npz"]
    return main([str(a) for a in arguments])


def expected_classes():
    recording = software.run(NETWORK, INPUTS, membranes=["readout"])
    return logits(NETWORK, INPUTS, recording).argmax(axis=1)


@pytest.mark.parametrize("simulator", ["software", "nest"])
def test_it_runs_from_its_python_files_only_and_verifies(files, tmp_path, simulator):
    if simulator == "nest":
        pytest.importorskip("pyNN.nest", reason="PyNN and NEST are not installed")
    bundle = files / "job"
    for path in list(bundle.rglob("*")):
        if path.is_file() and path.suffix != ".py":
            path.unlink()
    done = subprocess.run(
        [sys.executable, str(bundle / "run.py"), simulator, "--chunk", "4"],
        cwd=tmp_path, text=True, capture_output=True, env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
    )
    assert done.returncode == 0, done.stderr
    results = bundle / "results" / simulator
    summary = json.loads((results / "summary.json").read_text())
    assert summary["complete"] and summary["samples_done"] == 6
    assert set(summary["spikes"]) == {p.name for p in NETWORK.layers}
    assert summary["accuracy"] == np.mean(expected_classes() == LABELS)
    assert verify(files, results, "--json", tmp_path / "v.json") == 0
    result = json.loads((tmp_path / "v.json").read_text())
    found = result["backends"][BACKEND[simulator]]
    assert found["mismatched_spikes"] == 0 and found["accuracy"] == summary["accuracy"]
    assert result["spikes"] == sum(summary["spikes"].values()) > 0


def test_the_classes_stand_beside_the_spikes(files):
    assert run_here(files / "job", "software", "--chunk", 4) == 0
    results = files / "job" / "results" / "software"
    chunks, broken = job_results.read_chunks(results)
    assert not broken and [(c.start, c.stop) for c in chunks] == [(0, 4), (4, 6)]
    predictions = [label for chunk in chunks for label in chunk.predictions]
    assert predictions == expected_classes().tolist()


@pytest.mark.parametrize("predictions", [[0, 1], [0, 1, 2, 3], [0, 1, 2, -1], [0.5, 0, 0, 0], []])
def test_classes_that_are_none(files, predictions):
    assert run_here(files / "job", "software", "--chunk", 4) == 0
    results = files / "job" / "results" / "software"
    path = results / "samples-000000-000004.json"
    chunk = json.loads(path.read_text()) | {"predictions": predictions}
    path.write_text(json.dumps(chunk))
    runners = {"software": lambda samples, names: software.run(NETWORK, samples, membranes=names)}
    with pytest.raises(JobError) as caught:
        job_results.verify_results(
            files / "network", NETWORK, INPUTS, LABELS, results, runners
        )
    assert str(caught.value) == (
        "the predictions beside samples-000000-000004.mat are not one class of 3 a sample. Copy "
        "the results again, or run the job again."
    )


def test_the_job_of_a_linear_network_needs_no_membranes(made, tmp_path, monkeypatch):
    """Its classes are counted from spikes, which is all that a board gives."""
    _, network, inputs = lowered("token", 1, steps=8)
    storage.save_network(network, tmp_path / "network")
    job.make_job(tmp_path / "network", Samples(inputs, np.zeros(3, np.int64)), tmp_path / "job")
    asked = []

    def run(*arguments, membranes):
        asked.append(list(membranes))
        return execute(*arguments, membranes=membranes)

    execute = software.run
    monkeypatch.setattr(software, "run", run)
    assert run_here(tmp_path / "job", "software") == 0
    shutil.copytree(made / "job", tmp_path / "gated")
    assert run_here(tmp_path / "gated", "software") == 0
    assert asked == [[], ["readout"]]
