"""Board jobs of gated networks: their classes come from the readout's membrane, not from spikes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support.gated_networks import lowered
from support.job_runs import make, rewrite, run_here, verify

from export.job import results as job_results
from export.job.chunk import JobError
from export.samples.readout import logits
from export.samples.recording import Recording
from export.software import simulation as software
from snn_ssm.tasks import Samples

_, NETWORK, INPUTS = lowered("gsu", 5, steps=12, count=6)
LABELS = np.arange(6) % 3
BACKEND = {"nest": "nest", "software": "recording"}  # beside the reference software


@pytest.fixture(scope="module")
def made_job(tmp_path_factory):
    """A gated network and its job."""
    return make(tmp_path_factory.mktemp("made"), NETWORK, Samples(INPUTS, LABELS))


def expected_classes():
    recording = software.run(NETWORK, INPUTS, membranes=["readout"])
    return logits(NETWORK, INPUTS, recording).argmax(axis=1)


@pytest.mark.parametrize("simulator", ["software", "nest"])
def test_it_runs_from_its_python_files_only_and_verifies(job_files, tmp_path, simulator):
    if simulator == "nest":
        pytest.importorskip("pyNN.nest", reason="PyNN and NEST are not installed")
    bundle = job_files / "job"
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
    assert verify(job_files, results, "--json", tmp_path / "v.json") == 0
    result = json.loads((tmp_path / "v.json").read_text())
    found = result["backends"][BACKEND[simulator]]
    assert found["mismatched_spikes"] == 0 and found["accuracy"] == summary["accuracy"]
    assert result["spikes"] == sum(summary["spikes"].values()) > 0


def test_the_classes_stand_beside_the_spikes(job_files):
    assert run_here(job_files / "job", "software", "--chunk", 4) == 0
    results = job_files / "job" / "results" / "software"
    chunks, broken = job_results.read_chunks(results)
    assert not broken and [(c.start, c.stop) for c in chunks] == [(0, 4), (4, 6)]
    predictions = [label for chunk in chunks for label in chunk.predictions]
    assert predictions == expected_classes().tolist()


@pytest.mark.parametrize(
    "logits", [None, np.zeros((3, 3)), np.zeros((4, 2)), np.full((4, 3), np.nan)]
)
def test_classes_that_are_none(job_files, logits):
    assert run_here(job_files / "job", "software", "--chunk", 4) == 0
    results = job_files / "job" / "results" / "software"
    path = results / "samples-000000-000004.safetensors"
    recording = Recording.load(path)
    spikes = recording.spikes
    if logits is not None and len(logits) == 3:
        spikes = {name: values[:3] for name, values in spikes.items()}
    Recording("software", recording.timestep, spikes, logits=logits).save(path)
    rewrite(path.with_suffix(".json"), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    runners = {"software": lambda samples, names: software.run(NETWORK, samples, membranes=names)}
    with pytest.raises(JobError, match=r"Run the job again\.$") as caught:
        job_results.verify_results(
            job_files / "network", NETWORK, INPUTS, LABELS, results, runners
        )
    assert str(path) in str(caught.value)
    # Started again, the job runs these samples anew.
    assert run_here(job_files / "job", "software", "--chunk", 4) == 0
    assert verify(job_files, results) == 0


def test_the_job_of_a_linear_network_needs_no_membranes(made_job, tmp_path, monkeypatch):
    """Its classes are counted from spikes, which is all that a board gives."""
    _, network, inputs = lowered("token", 1, steps=8)
    make(tmp_path, network, Samples(inputs, np.zeros(3, np.int64)))
    asked = []

    def run(*arguments, membranes):
        asked.append(list(membranes))
        return execute(*arguments, membranes=membranes)

    execute = software.run
    monkeypatch.setattr(software, "run", run)
    assert run_here(tmp_path / "job", "software") == 0
    shutil.copytree(made_job / "job", tmp_path / "gated")
    assert run_here(tmp_path / "gated", "software") == 0
    assert asked == [[], ["readout"]]
