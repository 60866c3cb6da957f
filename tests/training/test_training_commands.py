"""``snn-ssm train --init`` and ``snn-ssm evaluate``: what they print, write and refuse."""

import json

import numpy as np
import pytest
from support.files import save_splits
from support.random_networks import checkpoint_of, samples_of

from export.command.arguments import main
from snn_ssm.checkpoint import load_checkpoint, save_checkpoint
from snn_ssm.files import FileError
from snn_ssm.tasks import TASKS

pytest.importorskip("torch", reason="PyTorch is not installed")

CHECKPOINT = checkpoint_of(5, steps=20)


@pytest.fixture
def files(tmp_path):
    """A checkpoint and samples of both splits, in one directory."""
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", CHECKPOINT)
    save_splits(tmp_path / "data", inputs=samples_of(CHECKPOINT, 6), labels=[0, 1, 2, 0, 1, 2])
    return tmp_path


def configuration(path, **model):
    """A configuration file for the model of the checkpoint, with keys changed."""
    values = {
        "classes": 3, "channels": 6, "depth": 2, "modes": 4, "input_bits": 4,
        "input_scale": 0.125, "dt_min": 0.02, "dt_max": 0.6,
    }
    lines = "".join(f"{key} = {value}\n" for key, value in (values | model).items())
    path.write_text(
        f"[task]\nname = 'smnist'\nsteps = 20\n[model]\n{lines}"
        "[training]\nepochs = 1\nbatch_size = 4\nrate = 1e-30\nmode_rate = 1e-30\n"
    )
    return path


def arguments(files, config, *more):
    command = ["train", "smnist", "--config", config, "--data", files / "data"]
    return [str(a) for a in [*command, "--out", files / "out", *more]]


def test_evaluate_prints_and_writes_the_metrics(files, capsys):
    out = files / "metrics.json"
    command = ["evaluate", files / "checkpoint", "--data", files / "data", "--json", out]
    assert main([str(a) for a in command]) == 0
    printed = capsys.readouterr().out
    result = json.loads(out.read_text())
    operations = result["synaptic_operations"]
    assert f"Binary S4D, linear, smnist: accuracy {result['test_accuracy']:.2%} on 6" in printed
    for value in (operations["Effective_ACs"], operations["Dense"], result["footprint"]):
        assert f"{value:,.0f}" in printed
    assert [line.split()[:2] for line in printed.splitlines()[-3:]] == [
        ["0", "2"], ["1", "2"], ["2", "2"],
    ]


def test_train_starts_from_a_checkpoint(files):
    config = configuration(files / "config.toml")
    assert main(arguments(files, config, "--init", files / "checkpoint")) == 0
    trained = load_checkpoint(files / "out")
    for name, array in CHECKPOINT.arrays.items():
        if "running" not in name and "tracked" not in name:  # the norms follow the data
            assert np.allclose(trained.arrays[name], array, rtol=1e-6), name


def test_another_model_is_refused(files, capsys):
    config = configuration(files / "config.toml", depth=3)
    assert main(arguments(files, config, "--init", files / "checkpoint")) == 2
    message = capsys.readouterr().err
    assert "StartError: cannot start from" in message
    assert "depth is 2 there and 3 in the configuration" in message
    assert not (files / "out").exists()


def test_what_has_no_layers_of_spikes_has_no_spike_rate(tmp_path, capsys):
    checkpoint = checkpoint_of(5, steps=20, architecture="transformer", heads=2)
    save_checkpoint(tmp_path, checkpoint)
    np.savez(tmp_path / "data.npz", inputs=samples_of(checkpoint, 3), labels=[0, 1, 2])
    assert main(["evaluate", str(tmp_path), "--data", str(tmp_path / "data.npz")]) == 0
    assert "on 3 samples; spike rate none\n" in capsys.readouterr().out


def test_a_checkpoints_own_configuration_trains(files):
    assert main(arguments(files, files / "checkpoint" / "config.toml")) == 0
    found, expected = (load_checkpoint(files / n).config for n in ("out", "checkpoint"))
    assert found == expected


def test_a_finished_run_without_its_model(files, capsys):
    config = configuration(files / "config.toml")
    assert main(arguments(files, config)) == 0
    (files / "out" / "model.safetensors").unlink()
    assert main(arguments(files, config, "--resume")) == 2
    assert "FileError: cannot read checkpoint" in capsys.readouterr().err


def test_a_run_that_could_not_write_its_checkpoint_is_resumed(files, capsys, monkeypatch):
    config = configuration(files / "config.toml")

    def full(*_):
        raise FileError("cannot write: No space left on device.")

    with monkeypatch.context() as patch:
        patch.setattr("snn_ssm.training.run.save_checkpoint", full)
        assert main(arguments(files, config)) == 2
    assert main(arguments(files, config, "--resume")) == 0


@pytest.mark.parametrize(
    ("device", "reason"),
    [("gpu", "expected cpu, cuda or cuda:N"), ("mps", "expected cpu, cuda or cuda:N"),
     ("cuda:99", "torch finds")],
)
def test_a_device_that_is_not_there(files, capsys, device, reason):
    config = configuration(files / "config.toml")
    assert main(arguments(files, config, "--device", device)) == 2
    message = capsys.readouterr().err
    assert f"DeviceError: --device is '{device}'" in message and reason in message
    assert not (files / "out").exists()


def test_the_help_of_train_names_every_task(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in TASKS)
