"""Two CPU processes, started by torchrun, train what one process trains."""

import json
import subprocess
import sys

import numpy as np
import pytest
from support.files import ROOT, save_splits

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.distributed_worker import MODELS, config, in_float64  # noqa: E402
from support.toy_problem import TEST, TRAIN, config_of, without_times  # noqa: E402

from export.command.arguments import main  # noqa: E402
from snn_ssm import config as configuration  # noqa: E402
from snn_ssm.checkpoint import load_checkpoint  # noqa: E402
from snn_ssm.files import read_arrays  # noqa: E402
from snn_ssm.model.norms import ChannelBatchNorm  # noqa: E402
from snn_ssm.training import batches  # noqa: E402
from snn_ssm.training import run as training  # noqa: E402
from snn_ssm.training.distributed import World, is_first, join  # noqa: E402
from snn_ssm.training.loop import train  # noqa: E402
from snn_ssm.training.run import METRICS_FILE  # noqa: E402
from snn_ssm.training.run_state import STATE_FILE, TrainingError  # noqa: E402

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone",
            "--nproc-per-node", "2"]


def launch(*command, cwd):
    """Run two processes of a command; their output where one fails."""
    result = subprocess.run(
        [*TORCHRUN, *map(str, command)],
        cwd=cwd, capture_output=True, text=True, timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The runs of two processes, in one directory."""
    out = tmp_path_factory.mktemp("two")
    launch("-m", "support.distributed_worker", out, cwd=ROOT / "tests")
    return out


@pytest.mark.parametrize("name", [name for name in MODELS if name != "dropped"])
def test_two_processes_train_what_one_does(two, tmp_path, monkeypatch, name):
    monkeypatch.setattr(training, "build_network", in_float64)
    one = train(config(name), TRAIN, TEST, tmp_path / "one")
    metrics = json.loads((two / name / METRICS_FILE).read_text())
    for found, expected in zip(metrics["epochs"], one["epochs"], strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6)
        for key in ("train_accuracy", "train_rates", "test_accuracy", "test_rates"):
            assert found[key] == pytest.approx(expected[key], rel=1e-12), key
    for key in ("classes", "train_samples", "test_samples", "spike_rates"):
        assert metrics[key] == one[key], key
    assert metrics["hardware"].startswith("2 x ")
    found, expected = load_checkpoint(two / name), load_checkpoint(tmp_path / "one")
    for array, value in expected.arrays.items():
        assert np.allclose(found.arrays[array], value, rtol=1e-7, atol=1e-9), array


def test_a_killed_run_of_two_continues_to_the_same_result(two):
    whole, resumed = (two / name for name in ("dropped", "resumed"))
    stored = [json.loads((run / METRICS_FILE).read_text()) for run in (whole, resumed)]
    assert without_times(stored[0]) == without_times(stored[1])
    one, other = (read_arrays(run / STATE_FILE, "state")[0] for run in (whole, resumed))
    assert {"random.0.cpu", "random.1.cpu"} < set(one) == set(other)
    assert not np.array_equal(one["random.0.cpu"], one["random.1.cpu"])  # dropout of their own
    for name, array in one.items():
        assert np.array_equal(array, other[name]), name


def test_no_communication_thread_outlives_its_group(two):
    """One that did would abort the process now and then, when the interpreter is gone."""
    for rank in range(2):
        threads = (two / f"threads.{rank}").read_text()
        assert threads.strip() and "gloo" not in threads, threads


@pytest.mark.slow
def test_what_the_first_process_refuses_ends_the_others_too(tmp_path):
    (tmp_path / "penalised").mkdir()
    (tmp_path / "penalised" / "kept.txt").write_text("")
    result = subprocess.run(
        [*TORCHRUN, "-m", "support.distributed_worker", tmp_path],
        cwd=ROOT / "tests", capture_output=True, text=True, timeout=300,
    )
    assert result.returncode != 0
    assert "FileError: the output directory" in result.stderr
    assert "Connection closed" not in result.stderr


def test_a_run_of_two_processes_is_not_resumed_by_one(two, tmp_path):
    with pytest.raises(TrainingError) as caught:
        train(config("dropped"), TRAIN, TEST, two / "dropped", resume=True)
    message = str(caught.value)
    assert 'trained by processes with the devices [["cpu"], ["cpu"]], this run has [["cpu"]]' in (
        message
    )
    assert "Resume on as many of the same kind" in message


@pytest.mark.slow
def test_torchrun_runs_the_command(tmp_path):
    settings = config_of(dropout=0.0, epochs=1, activation="gelu")
    text = configuration.dumps(settings).replace('"toy"', '"smnist"')
    (tmp_path / "config.toml").write_text(text)
    save_splits(tmp_path / "data", inputs=TRAIN.inputs, labels=TRAIN.labels)
    command = ["train", "smnist", "--config", tmp_path / "config.toml", "--data", tmp_path / "data"]
    printed = launch("-m", "snn_ssm", *command, "--out", "two", cwd=tmp_path)
    assert printed.count("test accuracy") == 1  # the first process's
    assert main([*map(str, command), "--out", str(tmp_path / "one")]) == 0
    found, expected = (
        json.loads((tmp_path / run / METRICS_FILE).read_text()) for run in ("two", "one")
    )
    assert found["epochs"][0]["loss"] == pytest.approx(expected["epochs"][0]["loss"], rel=1e-5)
    found, expected = (load_checkpoint(tmp_path / run).arrays for run in ("two", "one"))
    for name, array in expected.items():
        assert np.allclose(found[name], array, rtol=1e-4, atol=1e-5), name


def test_a_batch_too_small_for_all_processes_is_refused(tmp_path, monkeypatch):
    many = World(rank=0, size=7)
    monkeypatch.setattr("snn_ssm.training.loop.join", lambda device: many)
    with pytest.raises(TrainingError) as caught:
        train(config_of(), TRAIN, TEST, tmp_path / "run")
    message = str(caught.value)
    assert "the last of the batches of 16 of 70 samples has 6, too few for 7 processes" in message
    assert "Choose another training.batch_size" in message
    assert not (tmp_path / "run").exists()


def test_the_samples_that_settle_the_norms_must_do_for_all_processes_too(monkeypatch):
    monkeypatch.setattr(batches, "NORM_SAMPLES", 33)
    batches.check_shares(config_of(), TRAIN, 1)
    with pytest.raises(TrainingError, match="batches of 16 of 33 samples has 1, too few for 2 pr"):
        batches.check_shares(config_of(), TRAIN, 2)


def test_alone_there_is_nothing_to_exchange():
    world = join("cpu")
    assert (world.rank, world.size, world.device.type) == (0, 1, "cpu") and is_first()
    x = torch.ones(3, requires_grad=True)
    assert world.sum(x) is x
    assert world.gather("a") == ["a"] and world.first(5) == 5
    network = training.Run(config_of(), ROOT, world).network
    assert type(network.blocks[0].norm) is ChannelBatchNorm
