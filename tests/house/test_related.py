"""The related systems' checkpoints: small, as good as docs/related.md says, equal in NEST."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from support.files import ROOT

from export import load_network, lower, save_network
from export.fixed_point import simulation as integers
from export.samples.readout import logits, needed_membranes
from export.software import simulation as software
from export.verification.backends import torch_runner
from export.verification.comparison import mismatches
from snn_ssm import load_checkpoint, shipped
from snn_ssm.tasks import Samples, read_samples

PAGE = (ROOT / "docs/related.md").read_text()
NAMES = sorted(shipped.related())
# What a row is compared with: the same budget without its part.
PLAIN = {"d-rf": "normed", "integer": "normed", "soft": "plain", "alif": "alif-plain",
         "c-silif": "c-silif-plain", "spiking-ssm": "plain", "sigma-delta": "integer"}
KEPT = sorted(path.name for path in (ROOT / "docs/related").iterdir())
every = pytest.mark.parametrize("name", NAMES)


def images(checkpoint, count):
    """Test images in the order, and at the stride, that the checkpoint reads them in."""
    samples, task = read_samples(shipped.images()).head(count), checkpoint.config.task
    every_pixel = task.permutation or tuple(range(samples.inputs.shape[-1]))
    order = list(every_pixel)[:: task.stride][: task.steps]
    return Samples(samples.inputs[..., order], samples.labels)


def metrics(name):
    return json.loads((shipped.related()[name] / "metrics.json").read_text())


@every
def test_it_is_small_and_its_line_says_its_figures(name):
    path, found = shipped.related()[name], metrics(name)
    assert sorted(p.name for p in path.iterdir()) == [
        "config.toml", "metrics.json", "model.safetensors",
    ]
    assert sum(p.stat().st_size for p in path.iterdir()) < 200_000
    (line,) = re.findall(rf"^\| `{name}` .*$", PAGE, re.MULTILINE)
    rate = sum(found["spike_rates"]) / len(found["spike_rates"])
    assert f"| {100 * found['test_accuracy']:.2f} | {100 * rate:.1f} |" in line


def test_budgets_are_those_of_the_plain_counterparts():
    for name, plain in PLAIN.items():
        one, other = (load_checkpoint(shipped.related()[n]).config for n in (name, plain))
        if name == "sigma-delta":  # its part is to penalise what is sent
            one = replace(one, training=replace(one.training, rate_penalty=0.0))
        assert one.training == other.training and one.task == other.task
        assert (one.model.channels, one.model.depth) == (other.model.channels, other.model.depth)


def test_what_each_part_is_for():
    """History: sparser, and no worse; integer spikes: better, with no more of them; differences of
    them: far fewer, and no worse; a reset."""
    rates = {n: sum(metrics(n)["spike_rates"]) for n in NAMES}
    accuracy = {n: metrics(n)["test_accuracy"] for n in NAMES}
    assert rates["d-rf"] < 0.75 * rates["normed"] and accuracy["d-rf"] > accuracy["normed"]
    assert rates["integer"] < rates["normed"] and accuracy["integer"] > accuracy["normed"] + 0.03
    assert rates["sigma-delta"] < 0.4 * rates["integer"]
    assert accuracy["sigma-delta"] > accuracy["integer"] - 0.01
    for name in ("soft", "c-silif", "alif", "spiking-ssm"):  # a reset: sparser, about as good
        assert rates[name] < (0.75 if name == "spiking-ssm" else 0.7) * rates[PLAIN[name]], name
        assert accuracy[name] > accuracy[PLAIN[name]] - 0.02, name


@every
def test_torch_and_software_have_every_spike_and_the_accuracy(name):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    path = shipped.related()[name]
    checkpoint = load_checkpoint(path)
    network, samples = lower(checkpoint), images(checkpoint, 200)
    run = software.run(network, samples.inputs)
    right = (logits(network, samples.inputs, run).argmax(1) == samples.labels).mean()
    expected = metrics(name)["test_accuracy"]
    assert abs(right - expected) < 4 * (expected * (1 - expected) / 200) ** 0.5
    few = samples.head(10).inputs
    trained = torch_runner(path, network)(few, [])
    assert mismatches(software.run(network, few), trained) == 0


@every
def test_spinnakers_integers_have_the_classes_and_nearly_every_spike(name):
    """The page says of 200 images what the mismatches are: less than 1 in 500, and so here."""
    (line,) = re.findall(rf"^\| `{name}` .*$", PAGE, re.MULTILINE)
    (figures,) = re.findall(r"0 of ([\d,]+) \| ([\d,]+) \|$", line)
    total, differ = (int(v.replace(",", "")) for v in figures)
    assert 0 < differ < total / 500
    checkpoint = load_checkpoint(shipped.related()[name])
    network, few = lower(checkpoint, messages="counts"), images(checkpoint, 10).inputs
    wanted, found = software.run(network, few), integers.run(network, few)
    spikes = sum(int(s.sum()) for s in wanted.spikes.values())
    assert mismatches(wanted, found) < spikes / 200
    classes = (logits(network, few, run).argmax(1) for run in (wanted, found))
    assert np.array_equal(*classes)


@every
def test_nest_has_every_spike(name, tmp_path, quiet_nest):
    pytest.importorskip("nest", reason="NEST is not installed")
    from export.pynn import built

    checkpoint = load_checkpoint(shipped.related()[name])
    save_network(lower(checkpoint), tmp_path / "network")
    network, few = load_network(tmp_path / "network"), images(checkpoint, 4).inputs
    run = built.run("nest", network, few)
    assert mismatches(software.run(network, few), run) == 0
    assert all(spikes.any() for spikes in run.spikes.values())


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_of_projections_is_as_good_as_the_page_says(name):
    """Of the images that are shipped, whose every spike ``software`` has as torch does."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    checkpoint = load_checkpoint(ROOT / "docs/related" / name)
    found = json.loads((ROOT / "docs/related" / name / "metrics.json").read_text())
    parameters = f"{found['parameters']:,}"
    (stated,) = re.findall(rf"^\| .* \| {parameters} \| \*\*([\d.]+) %\*\* ", PAGE, re.MULTILINE)
    count = 40 if checkpoint.config.model.cells == "egru" else 200  # a step of these takes longer
    network, samples = lower(checkpoint), images(checkpoint, count)
    run = software.run(network, samples.inputs, membranes=needed_membranes(network))
    right = (logits(network, samples.inputs, run).argmax(1) == samples.labels).mean()
    expected = float(stated) / 100
    assert abs(right - expected) < 4 * (expected * (1 - expected) / count) ** 0.5
    assert abs(found["test_accuracy"] - expected) < 0.04
    few = samples.head(5).inputs
    trained = torch_runner(ROOT / "docs/related" / name, network)(few, [])
    assert mismatches(software.run(network, few), trained) == 0


def test_nest_has_every_event_of_the_gated_units(quiet_nest):
    pytest.importorskip("nest", reason="NEST is not installed")
    from export.pynn import built

    checkpoint = load_checkpoint(ROOT / "docs/related/psmnist-egru")
    network, few = lower(checkpoint), images(checkpoint, 1).inputs
    names = [p.name for p in network.populations]
    found = built.run("nest", network, few, membranes=names)
    expected = software.run(network, few, membranes=names)
    assert mismatches(expected, found) == 0 and all(s.any() for s in found.spikes.values())
    assert all((found.membranes[n] == expected.membranes[n]).all() for n in names)
