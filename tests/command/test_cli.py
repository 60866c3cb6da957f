"""The command line: each command on small data, its output, and its refusals."""

import json

import numpy as np
import pytest
from support.files import save_splits
from support.random_networks import checkpoint_of, samples_of

import snn_ssm
from export.command.arguments import main
from export.description import storage
from export.samples.recording import Recording
from snn_ssm.checkpoint import save_checkpoint
from snn_ssm.config import loads

CHECKPOINT = checkpoint_of(5, steps=20)


@pytest.fixture
def files(tmp_path):
    """A checkpoint, its exported network and an .npz of samples, in one directory."""
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    save_checkpoint(checkpoint, CHECKPOINT)
    np.savez(
        tmp_path / "samples.npz", inputs=samples_of(CHECKPOINT, 6), labels=[0, 1, 2, 0, 1, 2]
    )
    assert main(["export", str(checkpoint), str(tmp_path / "network")]) == 0
    return tmp_path


def refusal(capsys, *argv):
    capsys.readouterr()
    assert main([str(a) for a in argv]) == 2
    return capsys.readouterr().err


def test_export_writes_the_network_it_says(files, capsys):
    out = files / "slow"
    arguments = ["export", files / "checkpoint", out, "--input", "current", "--timestep", "0.5"]
    assert main([str(a) for a in arguments]) == 0
    network = storage.load_network(out)
    assert (network.timestep, network.source.encoding) == (0.5, "current")
    neurons = sum(p.size for p in network.populations)
    assert f"{neurons} neurons" in capsys.readouterr().out


def test_inspect(files, capsys):
    assert main(["inspect", str(files / "network")]) == 0
    assert "layer0 -> layer1" in capsys.readouterr().out


def test_run_counts_and_records(files, capsys):
    out = files / "run.safetensors"
    arguments = ["run", files / "network", "--data", files / "samples.npz", "--out", out]
    assert main([str(a) for a in arguments]) == 0
    assert "from spike counts" in capsys.readouterr().out
    recording = Recording.load(out)
    assert recording.backend == "software"
    assert recording.spikes["layer1"].shape == (6, 20, 6)


def test_verify_writes_the_contract_and_answers_by_its_status(files, monkeypatch):
    out = files / "verify.json"
    arguments = [
        "verify", files / "network", "--checkpoint", files / "checkpoint",
        "--backends", "torch,software", "--data", files / "samples.npz", "--samples", "4",
        "--json", out,
    ]
    arguments = [str(a) for a in arguments]
    assert main(arguments) == 0
    result = json.loads(out.read_text())
    assert result["samples"] == 4
    assert result["contract"] == {"E2": True, "E5": True}

    def shifted(network, samples, *, membranes=()):
        shape = (len(samples), network.steps, 6)
        zeros = {p.name: np.zeros(shape, bool) for p in network.layers}
        traces = {name: np.zeros(shape) for name in membranes}
        return Recording("software", 1.0, zeros, traces)

    monkeypatch.setattr("export.software.simulation.run", shifted)
    assert main(arguments) == 2  # the file is there
    assert main([*arguments, "--force"]) == 1
    result = json.loads(out.read_text())
    assert result["contract"]["E2"] is False
    assert result["backends"]["software"]["first_divergence"]["margin"] > 0


def test_evaluate(files, capsys):
    arguments = ["evaluate", str(files / "checkpoint"), "--data", str(files / "samples.npz")]
    assert main(arguments) == 0
    assert "6 samples; spike rate" in capsys.readouterr().out


@pytest.mark.parametrize("same", [True, False])
def test_a_report_says_by_its_status_whether_spikes_differ(files, monkeypatch, undrawn, same):
    out = files / "report.html"
    if not same:
        monkeypatch.setattr("export.verification.contract.holds", lambda result: False)
    arguments = [
        "report", files / "network", "--checkpoint", files / "checkpoint", "--backends",
        "torch,software", "--data", files / "samples.npz", "--out", out,
    ]
    assert main([str(a) for a in arguments]) == int(not same)
    assert out.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(("command", "option"), [
    (["run", "network"], "--out"),
    (["verify", "network", "--backends", "software", "--checkpoint", "checkpoint"], "--json"),
    (["report", "network", "--backends", "software", "--checkpoint", "checkpoint"], "--out"),
    (["evaluate", "checkpoint"], "--json"),
])
def test_where_nothing_can_be_written_nothing_is_run(
    files, capsys, monkeypatch, command, option
):
    monkeypatch.chdir(files)
    with monkeypatch.context() as patch:
        patch.setattr("snn_ssm.tasks.load_samples", None)  # what comes after the check
        message = refusal(capsys, *command, "--data", "samples.npz", option, "none/f")
    assert "FileError: cannot write none/f: No such file or directory." in message


@pytest.mark.parametrize(("backend", "option", "users"), [
    ("nest", ["--board", "virtual"], "spinnaker"),
    ("software", ["--neurons-per-core", "8"], "spinnaker"),
    ("software", ["--time-scale-factor", "2"], "spinnaker"),
    ("spinnaker-software", ["--machine-version", "201"], "spinnaker"),
    ("nest", ["--calibration", "data"], "spinnaker-software"),
])
def test_an_option_that_the_backend_does_not_use(files, capsys, backend, option, users):
    message = refusal(
        capsys, "run", files / "network", "--backend", backend, *option,
        "--data", files / "samples.npz",
    )
    assert message == (
        f"snn-ssm: UsageError: {option[0]} means nothing to the backend {backend}; it is for "
        f"{users}. Leave it out, or choose that backend.\n"
    )


@pytest.mark.parametrize(("options", "said"), [
    (["--neurons-per-core", "8"], "--neurons-per-core means nothing without --board"),
    (["--time-scale-factor", "2"], "--time-scale-factor means nothing without --board"),
    (["--machine-version", "5"], "--machine-version means nothing without --board"),
    (["--spinnaker", "--samples", "3"], "--samples means nothing without --calibration"),
    (["--calibration", "data"], "--calibration means nothing without --spinnaker"),
    (["--spinnaker", "--board", "virtual"], "--board, --spinnaker and --spinnaker2 show differ"),
])
def test_what_inspect_would_ignore_is_refused(files, capsys, options, said):
    assert said in refusal(capsys, "inspect", files / "network", *options)


def test_spikes_of_the_virtual_board_are_not_written(files, capsys):
    out = files / "spikes.safetensors"
    message = refusal(
        capsys, "run", files / "network", "--backend", "spinnaker", "--board", "virtual",
        "--data", files / "samples.npz", "--out", out,
    )
    assert "the virtual board maps only: there are no spikes to write" in message
    assert not out.exists()


def test_run_names_the_backends_that_there_are(files, capsys):
    arguments = ["run", files / "network", "--data", files / "samples.npz", "--backend"]
    known = "torch, software, spinnaker-software, spinnaker2-software, nest, brian2, neuron"
    known += ", spinnaker"
    assert f"unknown backend 'brian'; there are {known}." in refusal(capsys, *arguments, "brian")
    assert "the backend torch needs --checkpoint" in refusal(capsys, *arguments, "torch")


def test_verify_compares_at_least_two_runs(files, capsys):
    data = ["--data", files / "samples.npz"]
    alone = refusal(capsys, "verify", files / "network", "--backends", "software", *data)
    assert "only software would run, and nothing would be compared; expected at least two" in alone
    unread = refusal(
        capsys, "verify", files / "network", "--backends", "software,spinnaker-software",
        "--checkpoint", files / "checkpoint", *data,
    )
    assert "none of the backends software, spinnaker-software reads it; expected torch" in unread


def test_labels_that_the_network_has_no_class_for(files, capsys):
    np.savez(files / "more.npz", inputs=samples_of(CHECKPOINT, 2), labels=[0, 9])
    message = refusal(capsys, "run", files / "network", "--data", files / "more.npz")
    assert "DataError: sample 1 of --data has the label 9; expected 0 to 2." in message


def test_a_file_is_not_trained_on(files, capsys):
    message = refusal(capsys, "train", "smnist", "--data", files / "samples.npz")
    assert "a file has no splits" in message and "Give a directory with train.npz and" in message


def test_the_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"snn-ssm {snn_ssm.__version__}\n"


def test_train_resumes_from_the_command_line(files, capsys, monkeypatch):
    save_splits(files / "data", inputs=samples_of(CHECKPOINT, 12), labels=np.arange(12) % 3)
    config = files / "small.toml"
    config.write_text(
        "[task]\nname = 'smnist'\nsteps = 20\n"
        "[model]\nclasses = 3\nchannels = 4\ndepth = 1\nmodes = 2\ninput_bits = 4\n"
        "[training]\nepochs = 1\nbatch_size = 4\n"
    )
    arguments = ["train", "smnist", "--config", config, "--data", files / "data"]
    arguments = [str(a) for a in [*arguments, "--out", files / "out"]]
    assert main(arguments) == 0
    assert "test accuracy" in capsys.readouterr().out
    assert "exists" in refusal(capsys, *arguments)
    assert main([*arguments, "--resume"]) == 0


@pytest.mark.parametrize("timestep", ["0", "-1", "nan", "inf"])
def test_an_impossible_timestep_is_refused_and_nothing_written(files, capsys, timestep):
    message = refusal(
        capsys, "export", files / "checkpoint", files / "new", f"--timestep={timestep}"
    )
    assert "timestep" in message
    assert "positive" in message
    assert not (files / "new").exists()


def test_refusals_say_what_to_do(files, capsys, monkeypatch):
    network, data = files / "network", files / "samples.npz"
    assert "exists; nothing was written" in refusal(capsys, "export", files / "checkpoint", network)
    assert "expected at least 1" in refusal(capsys, "run", network, "--data", data, "--samples", 0)
    assert "there are 6" in refusal(capsys, "run", network, "--data", data, "--samples", 7)
    assert "software, nest" in refusal(capsys, "run", network, "--data", data, "--backend", "x")
    assert "needs --checkpoint" in refusal(capsys, "verify", network, "--data", data)
    assert "unknown task" in refusal(capsys, "train", "mnist")
    monkeypatch.delenv("SNN_SSM_DATA", raising=False)
    assert "--data DIR or set $SNN_SSM_DATA" in refusal(capsys, "run", network)
    monkeypatch.setenv("SNN_SSM_DATA", str(files / "none"))
    assert "Put the four standard MNIST idx files there" in refusal(capsys, "run", network)
    assert "cannot read network" in refusal(capsys, "inspect", files)
    (network / "network.json").write_text("{")
    assert "truncated or altered" in refusal(capsys, "inspect", network)


def test_a_config_of_another_task_is_refused(files, capsys):
    config = files / "config.toml"
    config.write_text("[task]\nname = 'psmnist'\n")
    message = refusal(capsys, "train", "smnist", "--config", config)
    assert "for task 'psmnist', not 'smnist'" in message


@pytest.mark.parametrize(("name", "task"), [("text", "text"), ("paper-image-gsu", "image")])
def test_config_prints_what_train_takes(capsys, name, task):
    assert main(["config", name]) == 0
    assert loads(capsys.readouterr().out).task.name == task


def test_config_of_what_is_not_there(capsys):
    assert main(["config", "imagenet"]) == 2
    error = capsys.readouterr().err
    assert "no configuration 'imagenet'" in error
    assert "smnist, psmnist" in error and "paper-text-gsu" in error
