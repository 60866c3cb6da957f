"""The shipped checkpoints: small, of their configurations, as good as they say, equal in NEST."""

import json

import pytest
from support.files import ROOT

from export import load_network, lower, save_network
from export.fixed_point import simulation as spinnaker_software
from export.samples.readout import logits
from export.software import simulation as software
from export.verification.comparison import mismatches
from snn_ssm import config, load_checkpoint
from snn_ssm.tasks import get_task, read_samples

CHECKPOINTS = sorted(p.parent for p in (ROOT / "examples/checkpoints").glob("*/config.toml"))
SAMPLES = read_samples(ROOT / "examples/data/mnist-test-200.npz")
# Of all 10,000 test images; what 200 of them may fall short of it by is three standard errors.
ACCURACY = {"smnist-binary-s4d": 0.988, "smnist-sparse": 0.988, "smnist-stock": 0.97}
SHORT = 0.036

every_checkpoint = pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda p: p.name)


def accuracy(network, samples, recording):
    return float((logits(network, samples.inputs, recording).argmax(1) == samples.labels).mean())


def test_every_shipped_checkpoint_has_its_accuracy_here():
    assert [p.name for p in CHECKPOINTS] == sorted(ACCURACY)


@every_checkpoint
def test_it_is_small_and_of_its_configuration(path):
    checkpoint = load_checkpoint(path)
    expected = config.load(ROOT / "examples/configs" / f"{path.name}.toml")
    assert (checkpoint.config.task, checkpoint.config.model) == (expected.task, expected.model)
    assert sum(p.stat().st_size for p in path.iterdir()) < 1_000_000
    metrics = json.loads((path / "metrics.json").read_text())
    assert metrics["test_accuracy"] >= ACCURACY[path.name]
    assert metrics["parameters"] <= 100_000
    assert len(metrics["epochs"]) == checkpoint.config.training.epochs


def test_the_first_is_what_train_trains():
    checkpoint = load_checkpoint(ROOT / "examples/checkpoints/smnist-binary-s4d")
    assert checkpoint.config == get_task("smnist").config()
    assert checkpoint.config == config.load(ROOT / "examples/configs/smnist-binary-s4d.toml")


@every_checkpoint
def test_float64_and_spinnakers_integers_classify_as_well(path):
    network = lower(load_checkpoint(path))
    exact = accuracy(network, SAMPLES, software.run(network, SAMPLES.inputs))
    assert exact >= ACCURACY[path.name] - SHORT
    integers = spinnaker_software.runner(network)(SAMPLES.inputs, [])
    assert abs(accuracy(network, SAMPLES, integers) - exact) <= 0.01  # two of the 200


@every_checkpoint
def test_nest_spikes_as_software_does(path, tmp_path):
    pytest.importorskip("nest", reason="NEST is not installed")
    from export.pynn import built as pynn

    save_network(lower(load_checkpoint(path)), tmp_path / "network")
    network = load_network(tmp_path / "network")
    few = SAMPLES.head(4).inputs
    run = pynn.run("nest", network, few)
    assert mismatches(software.run(network, few), run) == 0
    assert all(spikes.any() for spikes in run.spikes.values())
