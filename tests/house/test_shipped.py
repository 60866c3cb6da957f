"""The shipped checkpoints: small, of their configurations, as good as they say, equal in NEST."""

import json

import numpy as np
import pytest
from support.files import ROOT

from export import load_network, lower, save_network
from export.fixed_point import simulation as spinnaker_software
from export.samples.readout import logits, needed_membranes
from export.software import simulation as software
from export.verification.comparison import mismatches
from snn_ssm import config, load_checkpoint
from snn_ssm.tasks import Samples, get_task, read_samples

CHECKPOINTS = sorted(p.parent for p in (ROOT / "examples/checkpoints").glob("*/config.toml"))
SAMPLES = read_samples(ROOT / "examples/data/mnist-test-200.npz")
# Of all test samples.
ACCURACY = {
    "smnist-binary-s4d": 0.988, "smnist-sparse": 0.988, "smnist-stock": 0.97,
    "smnist-glu": 0.988, "smnist-gsu": 0.995, "smnist-gsu-early": 0.994,
    "smnist-gsu-sparse": 0.992, "psmnist-gsu": 0.965, "psmnist-gsu-wide": 0.974,
    "image-gsu": 0.77, "text-gsu": 0.83, "listops-gsu": 0.52, "pathfinder-gsu": 0.714,
    "mitbih-intervals": 0.90,
}
OF_DIGITS = [p for p in CHECKPOINTS if "mnist" in p.name]
OF_SMNIST = [p for p in OF_DIGITS if not p.name.startswith("ps")]


def short(accuracy, count):
    """Three standard errors of an accuracy on ``count`` samples."""
    return 3 * (accuracy * (1 - accuracy) / count) ** 0.5


of_smnist = pytest.mark.parametrize("path", OF_SMNIST, ids=lambda p: p.name)
every_checkpoint = pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda p: p.name)


def digits(checkpoint):
    """The test images in the order that the checkpoint reads them in."""
    order = checkpoint.config.task.permutation
    inputs = SAMPLES.inputs[..., list(order)] if order else SAMPLES.inputs
    return Samples(inputs, SAMPLES.labels)


def random_inputs(network, count):
    """Inputs (B, C, L) of a network of another task than digits: bytes, or symbols."""
    limit = network.source.symbols or 2**network.source.bits
    shape = (count, network.source.channels, network.steps)
    return np.random.default_rng(0).integers(1, limit, shape).astype(np.uint8)


def accuracy(network, samples, recording):
    return float((logits(network, samples.inputs, recording).argmax(1) == samples.labels).mean())


def test_every_shipped_checkpoint_has_its_accuracy_here():
    assert [p.name for p in CHECKPOINTS] == sorted(ACCURACY)


@every_checkpoint
def test_it_is_small_and_of_its_configuration(path):
    checkpoint = load_checkpoint(path)
    task = checkpoint.config.task.name
    if task == "smnist" or path.name == "psmnist-gsu-wide":
        expected = config.load(ROOT / "examples/configs" / f"{path.name}.toml")
    else:
        expected = get_task(task).config()
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


@of_smnist
def test_float64_and_spinnakers_integers_classify_as_well(path):
    checkpoint = load_checkpoint(path)
    network, samples = lower(checkpoint), digits(checkpoint)
    if checkpoint.config.model.mixing != "linear":
        samples = samples.head(20)  # products take their time
    needed = needed_membranes(network)
    exact = accuracy(network, samples, software.run(network, samples.inputs, membranes=needed))
    least = ACCURACY[path.name]
    assert exact >= least - short(least, len(samples))
    integers = spinnaker_software.runner(network)(samples.inputs, needed)
    assert abs(accuracy(network, samples, integers) - exact) * len(samples) <= 2


@pytest.mark.parametrize(
    "path",
    # One sample of text takes NEST 10 s.
    [pytest.param(p, marks=[pytest.mark.slow] * (p.name == "text-gsu")) for p in CHECKPOINTS],
    ids=lambda p: p.name,
)
def test_nest_spikes_as_software_does(path, tmp_path):
    pytest.importorskip("nest", reason="NEST is not installed")
    from export.pynn import built as pynn

    save_network(lower(load_checkpoint(path)), tmp_path / "network")
    network = load_network(tmp_path / "network")
    few = random_inputs(network, 1)
    if path in OF_DIGITS:
        few = digits(load_checkpoint(path)).head(4 if "gsu" not in path.name else 1).inputs
    run = pynn.run("nest", network, few)
    assert mismatches(software.run(network, few), run) == 0
    assert all(spikes.any() for spikes in run.spikes.values())
