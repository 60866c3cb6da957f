"""Sparse attacks: flips that turn an answer, few of them, each needed, and the same in NEST."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.gated_networks import lowered
from support.random_networks import checkpoint_of, samples_of

pytest.importorskip("torch", reason="PyTorch is not installed")

import torch

from export.command.arguments import main
from export.lowering.network import lower
from export.samples.readout import logits, needed_membranes
from export.software.simulation import run
from export.verification.backends.torch import sensitivity_of
from export.verification.sparse_attack import AttackError, attack, flipped, margins
from snn_ssm.checkpoint import save_checkpoint
from snn_ssm.model.restore import load_network
from snn_ssm.model.sensitivity import margins as torch_margins
from snn_ssm.model.sensitivity import sensitivity


def answers(network, samples):
    recording = run(network, samples, membranes=needed_membranes(network))
    return logits(network, samples, recording).argmax(axis=1)


def case(kind="glu", seed=1, steps=40):  # of a margin that no bias decides
    checkpoint, network, samples = lowered(kind, seed, steps, 4)
    return checkpoint, network, samples, answers(network, samples)


@pytest.mark.parametrize("kind", ["glu", "gsu", "integer", "lif", "events", "events gsu"])
def test_flips_turn_answers_and_each_is_needed(kind):
    checkpoint, network, samples, labels = case(kind)
    gradient = sensitivity_of(checkpoint, network)
    turned = 0
    for sample, label in zip(samples, labels, strict=True):
        found = attack(network, sample, int(label), gradient)
        assert (flipped(sample.astype(np.int64), found.flips) == found.sample).all()
        assert answers(network, found.sample[None])[0] == found.answer
        assert (found.answer != label) == found.turned
        if not found.turned:
            continue
        turned += 1
        assert len({tuple(f) for f in found.flips}) == len(found.flips) > 0
        # One flip fewer, the weakest of them, and the answer is the old one.
        fewer = flipped(sample.astype(np.int64), found.flips[:-1])
        assert margins(network, fewer[None], np.array([label]))[0] >= 0
    assert turned >= 2


def test_as_many_random_flips_turn_less():
    rng = np.random.default_rng(0)
    ours = random = 0
    for seed in (0, 3):
        checkpoint, network, samples, labels = case("glu", seed)
        gradient = sensitivity_of(checkpoint, network)
        for sample, label in zip(samples, labels, strict=True):
            found = attack(network, sample, int(label), gradient)
            ours += found.turned
            places = [
                rng.integers(0, n, len(found.flips))
                for n in (*sample.shape, network.source.bits)
            ]
            other = flipped(sample.astype(np.int64), np.stack(places, axis=1))
            random += answers(network, other[None])[0] != label
    assert ours > 3 * random


def test_a_wrong_answer_needs_no_flips():
    checkpoint, network, samples, labels = case()
    found = attack(
        network, samples[0], int(1 - min(labels[0], 1)), sensitivity_of(checkpoint, network)
    )
    assert found.turned and len(found.flips) == 0 and found.answer == labels[0]


def test_of_equal_scores_the_first_class_is_the_answer():
    """Nothing reaches the decoder: all scores are 0."""
    checkpoint = checkpoint_of(1, steps=9)
    zeros = {k: 0 * v if k.startswith("decoder") else v for k, v in checkpoint.arrays.items()}
    network = lower(replace(checkpoint, arrays=zeros))
    samples, labels = samples_of(checkpoint, 3), np.arange(3)
    assert answers(network, samples).tolist() == [0, 0, 0]
    assert ((margins(network, samples, labels) < 0) == (labels != 0)).all()
    found = attack(network, samples[1], 1, lambda p, _: np.zeros(p.shape))
    assert found.turned and len(found.flips) == 0 and found.answer == 0


def test_one_class_has_no_other():
    network = lower(checkpoint_of(1, steps=9, classes=1))
    with pytest.raises(AttackError, match="knows one class, '0': there is no other answer"):
        attack(network, np.zeros((1, 9), int), 0, lambda p, _: np.zeros(p.shape))


def test_what_cannot_be_turned_is_said_so():
    """No gradient, so that nothing is tried."""
    _, network, samples, labels = case()
    found = attack(network, samples[0], int(labels[0]), lambda p, _: np.zeros(p.shape))
    assert not found.turned and len(found.flips) == 0 and found.answer == labels[0]


@pytest.mark.parametrize("encoding", ["current", "token"])
def test_inputs_without_spikes_of_their_own_are_refused(encoding):
    if encoding == "token":
        checkpoint, network, samples = lowered("token")
    else:
        checkpoint = checkpoint_of(0)
        network, samples = lower(checkpoint, encoding="current"), samples_of(checkpoint)
    with pytest.raises(AttackError, match=f"encoding '{encoding}', which has no spikes to flip"):
        attack(network, samples[0], 0, sensitivity_of(checkpoint, network))


def test_another_checkpoint_is_refused():
    _, network, _ = lowered("glu")
    with pytest.raises(AttackError, match="was not exported from this checkpoint"):
        sensitivity_of(checkpoint_of(1), network)
    with pytest.raises(AttackError, match="was not exported from this checkpoint"):
        sensitivity_of(checkpoint_of(1), replace(network, origin={}))


def test_the_gradient_is_that_of_the_margin():
    """Of a network without spikes, where it is no surrogate's: finite differences."""
    network = load_network(checkpoint_of(2, activation="tanh", input_bits=0))
    rng = np.random.default_rng(0)
    p, labels = rng.normal(size=(3, 1, 24)).astype(np.float32), np.array([0, 1, 2])
    found = sensitivity(network, p, labels)
    network = network.eval().double()
    with torch.no_grad():
        for b, k in ((0, 3), (1, 10), (2, 23)):
            ends = []
            for step in (-1e-5, 1e-5):
                moved = p.astype(np.float64)
                moved[b, 0, k] += step
                out = network(torch.from_numpy(moved)).logits
                ends.append(float(torch_margins(out, torch.from_numpy(labels))[b]))
            slope = (ends[1] - ends[0]) / 2e-5
            assert found.gradient[b, 0, k] == pytest.approx(slope, rel=1e-2, abs=1e-5)
    scores = network(torch.from_numpy(p.astype(np.float64))).logits.detach().numpy()
    expected = [row[c] - np.delete(row, c).max() for row, c in zip(scores, labels, strict=True)]
    assert found.margins == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_an_attack_leaves_the_network_as_it_was():
    checkpoint, _, samples, labels = case()
    network = load_network(checkpoint)
    before = [(block.surrogate, block.slope) for block in network.blocks]
    sensitivity(network, samples, labels)
    assert [(block.surrogate, block.slope) for block in network.blocks] == before


def test_the_command_writes_samples_that_nest_answers_wrongly_too(tmp_path, capsys):
    pytest.importorskip("nest", reason="NEST is not installed")
    checkpoint, _, samples, labels = case("glu", 1)
    labels[0] = (labels[0] + 1) % 3  # wrong before, and not attacked
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", checkpoint)
    np.savez(tmp_path / "samples.npz", inputs=samples, labels=labels)
    net, out = str(tmp_path / "network"), str(tmp_path / "out.npz")
    assert main(["export", str(tmp_path / "checkpoint"), net]) == 0
    arguments = ["attack", net, "--checkpoint", str(tmp_path / "checkpoint"), "--out", out]
    arguments += ["--data", str(tmp_path / "samples.npz"), "--json", str(tmp_path / "a.json")]
    assert main(arguments) == 0
    told = json.loads((tmp_path / "a.json").read_text())
    assert (told["samples"], told["attacked"]) == (4, 3)
    assert told["input_bits"] == 4 * 40 and told["turned"] == len(told["flips"]) > 0
    assert "3 answered rightly and attacked" in capsys.readouterr().out
    for backend in ("software", "nest"):
        arguments = ["run", net, "--data", out, "--backend", backend, "--json", "-"]
        assert main(arguments) == 0
        accuracy = set(json.loads(capsys.readouterr().out)["accuracy"].values())
        assert accuracy == {(3 - told["turned"]) / 4}
    np.savez(tmp_path / "wrong.npz", inputs=samples[:1], labels=labels[:1])
    arguments = ["attack", net, "--checkpoint", str(tmp_path / "checkpoint")]
    assert main([*arguments, "--data", str(tmp_path / "wrong.npz")]) == 2
    assert "none of the 1 samples is answered rightly" in capsys.readouterr().err
