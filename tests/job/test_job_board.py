"""A job for a board: what it needs there, said before it is queued, and carried with it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.gated_networks import lowered
from support.job_runs import CHECKPOINT, manifest_of, run_here, verify
from support.random_networks import checkpoint_of, samples_of

from export.boards.cost import budgets, time_scale, traffic_of
from export.command.arguments import main
from export.description.storage import save_network
from export.fixed_point import simulation as integers
from export.job.chunk import JobError, inputs_digest
from export.job.preflight import preflight
from export.job.settings import BoardSettings, board_settings
from export.lowering.network import lower
from export.pynn.registry import board_backend
from export.samples.recording import Recording

INPUTS = samples_of(CHECKPOINT, 8)
NETWORK = lower(CHECKPOINT)


@pytest.fixture
def files(tmp_path):
    save_network(NETWORK, tmp_path / "network")
    np.savez(tmp_path / "samples.npz", inputs=INPUTS, labels=np.arange(8) % 3)
    return tmp_path


def make(files, *more):
    arguments = ["job", files / "network", files / "job", "--data", files / "samples.npz", *more]
    return main([str(a) for a in arguments])


def refusal(capsys, *arguments):
    capsys.readouterr()
    assert make(*arguments) == 2
    return capsys.readouterr().err


def on_board(monkeypatch, found):
    """``run.py spiNNaker`` without a board: SpiNNaker's integers, with the backend's own plans."""

    def run(name, network, inputs, *, membranes, backend):
        assert membranes == []
        found.append((backend.neurons_per_core, backend.setup_arguments(network)))
        plan = integers.SpinnakerPlan(
            {p.name: backend.plan(network, p) for p in backend.mapped(network)}, calibrated=True
        )
        recording = integers.run(network, inputs, plan=plan, allow_overflow=True)
        return Recording("pyNN.spiNNaker", network.timestep, recording.spikes)

    monkeypatch.setattr("export.pynn.built.run", run)


def start(files):
    (files / "job" / "spynnaker.cfg").write_text(
        "[Machine]\nmachine_name = 127.0.0.1\nversion = 5\n"
    )
    return run_here(files / "job", "spiNNaker", "--chunk", 4)


def test_the_planned_factor_is_carried_and_used(files, capsys, monkeypatch):
    assert make(files, "--neurons-per-core", "3", "--json", files / "job.json") == 0
    printed = capsys.readouterr().out
    result = json.loads((files / "job.json").read_text())
    planned = preflight(NETWORK, INPUTS, 3)
    assert result["board"]["time_scale_factor"] == planned.factor
    assert [row["cores"] for row in result["populations"]] == [2, 2, 1]
    assert f"time scale factor {planned.factor} for the longest tick" in printed
    found = []
    on_board(monkeypatch, found)
    assert start(files) == 0
    assert found == [(3, {"timestep": 1.0, "min_delay": 1.0,
                          "time_scale_factor": planned.factor})] * 2
    assert verify(files, files / "job" / "results" / "spiNNaker") == 0


@pytest.mark.parametrize("kind", ["soft reset", "hard reset", "history"])
def test_neurons_on_which_spikes_act_back_make_jobs_like_any(tmp_path, monkeypatch, kind):
    """Made, planned, run by SpiNNaker's integers in the board's place, and verified: E4."""
    _, network, inputs = lowered(kind, 2, steps=12, count=8)
    save_network(network, tmp_path / "network")
    np.savez(tmp_path / "samples.npz", inputs=inputs, labels=np.arange(8) % 3)
    assert make(tmp_path) == 0
    found = []
    on_board(monkeypatch, found)
    assert start(tmp_path) == 0 and len(found) == 2
    results = tmp_path / "job" / "results" / "spiNNaker"
    assert verify(tmp_path, results, "--json", tmp_path / "v.json") == 0
    report = json.loads((tmp_path / "v.json").read_text())
    assert report["contract"] == {"E4": True} and report["spikes"] > 0


def test_the_factor_is_that_of_the_busiest_population():
    network = lower(checkpoint_of(3, steps=20, channels=48, modes=32, depth=5))
    samples = samples_of(checkpoint_of(3, steps=20), 4)
    found = preflight(network, samples)
    assert found.factor == max(row["factor"] for row in found.rows) > 1
    traffic = traffic_of(network, samples)
    wanted = budgets(network, board_backend(network), 1, traffic)
    assert [row["instructions"] for row in found.rows] == [row.longest for row in wanted]
    assert [row["rate"] for row in found.rows] == [traffic[r.population].mean() for r in wanted]
    assert found.worst == max(time_scale(row.most, 1.0) for row in wanted) >= found.factor
    assert found.sources == 1 and found.cores == 1 + sum(row.cores for row in wanted)


def test_a_smaller_factor_is_said_to_be_one(files, capsys):
    network = lower(checkpoint_of(3, steps=20, channels=48, modes=32, depth=5))
    save_network(network, files / "large")
    arguments = ["job", files / "large", files / "job", "--data", files / "samples.npz"]
    assert main([str(a) for a in [*arguments, "--time-scale-factor", "1"]]) == 0
    assert "--time-scale-factor 1 is less than the" in capsys.readouterr().out
    assert manifest_of(files / "job")["board"]["time_scale_factor"] == 1


def test_a_calibrated_job_is_verified_with_its_own_calibration(files, capsys, monkeypatch):
    np.savez(files / "train.npz", inputs=INPUTS[:4], labels=np.zeros(4, np.int64))
    (files / "data").mkdir()
    (files / "train.npz").rename(files / "data" / "train.npz")
    np.savez(files / "data" / "test.npz", inputs=INPUTS, labels=np.zeros(8, np.int64))
    assert make(files, "--calibration", files / "data") == 0
    manifest = manifest_of(files / "job")
    assert manifest["board"]["calibration_sha256"] == inputs_digest(INPUTS[:4])
    found = []
    on_board(monkeypatch, found)
    assert start(files) == 0
    results = files / "job" / "results" / "spiNNaker"
    own = files / "job" / "calibration.npz"
    assert verify(files, results, "--calibration", own, "--json", files / "v.json") == 0
    assert json.loads((files / "v.json").read_text())["contract"] == {"E4": True}
    capsys.readouterr()
    assert verify(files, results) == 2
    assert "was run with scalings for samples of SHA-256" in capsys.readouterr().err
    assert verify(files, results, "--calibration", files / "none.npz") == 2
    assert "cannot be read as a job's calibration.npz" in capsys.readouterr().err


def test_calibration_is_for_results(files, capsys):
    arguments = ["verify", files / "network", "--data", files / "samples.npz", "--backends",
                 "software,spinnaker-software", "--calibration", files / "samples.npz"]
    assert main([str(a) for a in arguments]) == 2
    assert "--calibration is for a job's results" in capsys.readouterr().err


def test_what_cannot_run_there_is_refused_when_the_job_is_made(tmp_path, capsys):
    _, network, inputs = lowered("lif", 1, steps=12, count=3)
    layer = network.layers[0]
    cell = replace(layer.cell, theta=layer.cell.theta - 10)
    network = replace(network, populations=(replace(layer, cell=cell), *network.populations[1:]))
    reason = "'layer0', neuron 0: theta is"
    save_network(network, tmp_path / "network")
    np.savez(tmp_path / "samples.npz", inputs=inputs, labels=[0, 1, 2])
    assert reason in refusal(capsys, tmp_path)
    assert not (tmp_path / "job").exists()
    assert make(tmp_path, "--without-board") == 0
    assert "run.py nest|software" in capsys.readouterr().out
    assert run_here(tmp_path / "job", "software") == 0
    capsys.readouterr()
    assert run_here(tmp_path / "job", "spiNNaker") == 2
    assert "this job was made --without-board: it runs in NEST and in software" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(("bits", "remedy"), [
    (4, "Export the network with --input bits, which is exact."),
    (0, "Export it with --input bits and --data, the training samples: quantised."),
])
def test_the_advice_for_currents_leads_somewhere(tmp_path, capsys, bits, remedy):
    checkpoint = checkpoint_of(5, steps=20, input_bits=bits)
    save_network(lower(checkpoint, encoding="current"), tmp_path / "network")
    np.savez(tmp_path / "samples.npz", inputs=INPUTS, labels=np.zeros(8, np.int64))
    assert remedy in refusal(capsys, tmp_path)


@pytest.mark.parametrize("option", [
    ["--time-scale-factor", "2"], ["--neurons-per-core", "4"], ["--calibration", "data"],
])
def test_what_is_for_a_board_is_refused_without_one(files, capsys, option):
    message = refusal(capsys, files, "--without-board", *option)
    assert f"{option[0]} is for a board, and --without-board makes a job for NEST" in message


@pytest.mark.parametrize(("values", "said"), [
    ({"time_scale_factor": 0}, "time scale factor 0; expected 1 (real time) to 10000"),
    ({"time_scale_factor": 10**6}, "time scale factor 1000000; expected 1"),
    ({"neurons_per_core": 0}, "0 neurons a core; expected at least 1"),
])
def test_settings_that_are_none(values, said):
    with pytest.raises(JobError) as caught:
        BoardSettings(**values)
    assert str(caught.value).startswith(said)


def test_settings_of_a_manifest():
    settings = BoardSettings(3, 16)
    assert board_settings({"board": settings.described()}) == settings
    with pytest.raises(JobError, match="the job's settings are none"):
        board_settings({"board": {"speed": 3}})


def test_two_at_once_in_one_directory(files, capsys, monkeypatch):
    assert make(files) == 0
    said = []

    def second(name, network, inputs, *, membranes, backend):
        said.append(run_here(files / "job", "spiNNaker"))
        raise JobError("enough")

    monkeypatch.setattr("export.pynn.built.run", second)
    assert start(files) == 2 and said == [2]
    assert "another run writes its results to" in capsys.readouterr().err
    monkeypatch.undo()
    on_board(monkeypatch, [])
    assert start(files) == 0  # the lock is gone with its holder
