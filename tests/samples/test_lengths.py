"""Filled-up samples: the answer is that of the sample alone, whatever runs it and however it reads.

And what is read at each step or through a filter is the trained model's, in every backend.
"""

import functools
from dataclasses import replace

import numpy as np
import pytest
from support.random_networks import checkpoint_of, samples_of
from support.trained_model import close

from export.fixed_point import simulation as spinnaker_software
from export.lowering.network import lower
from export.pynn import built
from export.samples.readout import accumulated_logits, logits, scores_of
from export.software import simulation as software

pytest.importorskip("torch", reason="PyTorch is not installed")
from snn_ssm.model.reference import run_reference

LENGTHS = np.array([7, 24, 1, 13])
STEPS = 24
OUTPUTS = {
    "classes": {}, "labels": {"output": "labels"}, "values": {"output": "values"},
    "values at each step": {"output": "values", "per_step": True},
    "multi-label": {"output": "multi-label"},
}
POOLINGS = ("mean", "last", "filter")
GSU = {
    "mixing": "gsu", "activation": "ternary-constant", "gsu_norm": "batch", "membrane_norm": True,
}
STOCK = {"cells": "stock", "mode_init": "s4d-real", "modes": 1}
FAMILIES = {
    "native": {}, "gsu": GSU, "stock": STOCK,
    "lif": {"cells": "lif"},
}


def model_of(seed, **changes):
    """A checkpoint, its network, and samples filled up with noise behind their ends."""
    checkpoint = checkpoint_of(seed, STEPS, pooling_tau=5.0, **changes)
    return checkpoint, lower(checkpoint), samples_of(checkpoint, len(LENGTHS))


def alone(network, samples, b):
    """A sample by itself: the network of so many steps, and its input."""
    n = int(LENGTHS[b])
    return replace(network, steps=n), samples[b : b + 1, :, :n]


def run_nest(network, samples, membranes):
    pytest.importorskip("pyNN.nest", reason="NEST is not installed")
    return built.run("nest", network, samples, membranes=membranes)


RUNS = {
    "software": lambda network, samples, m: software.run(network, samples, membranes=m),
    "nest": run_nest,
    "spinnaker-software": lambda network, samples, m, plan: spinnaker_software.run(
        network, samples, membranes=m, plan=plan
    ),
}


def read(network, samples, recording, lengths):
    """The scores of both ways: from spikes on the host, and from the accumulators if they ran."""
    found = {}
    if network.linear_readout:
        found["host"] = logits(network, samples, recording, lengths)
    if "readout" in recording.membranes:
        found["accumulators"] = accumulated_logits(network, recording, lengths)
    return found


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("backend", RUNS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_filled_up_sample_has_the_answer_of_the_sample_alone(family, backend, pooling):
    _, network, samples = model_of(1, pooling=pooling, **FAMILIES[family])
    membranes = ["readout"] if network.family.streams else []
    run = RUNS[backend]
    if backend == "spinnaker-software":  # in the integers that the filled-up samples have
        run = functools.partial(run, plan=spinnaker_software.plan_network(network))
    padded = read(network, samples, run(network, samples, membranes), LENGTHS)
    for b in range(len(LENGTHS)):
        short, part = alone(network, samples, b)
        expected = read(short, part, run(short, part, membranes), None)
        assert padded.keys() == expected.keys() and padded
        for way, scores in expected.items():
            assert (padded[way][b] == scores[0]).all(), way


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_torch_reads_a_filled_up_sample_as_the_sample_alone(output, pooling):
    checkpoint, _, samples = model_of(2, pooling=pooling, **OUTPUTS[output])
    found = run_reference(checkpoint, samples, lengths=LENGTHS)
    for b, n in enumerate(LENGTHS):
        expected = run_reference(checkpoint, samples[b : b + 1, :, :n]).logits[0]
        scores = found.logits[b, :n] if checkpoint.config.model.each_step else found.logits[b]
        assert close(scores, expected)


@pytest.mark.parametrize("method", ["forward", "scan", "steps"])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_the_three_ways_of_torch_agree(output, pooling, method):
    import torch

    from snn_ssm.model.restore import load_network

    checkpoint, _, samples = model_of(3, pooling=pooling, **OUTPUTS[output])
    network = load_network(checkpoint).double()
    given = torch.from_numpy(samples.astype(np.int64))
    out = getattr(network, method)(given, lengths=torch.from_numpy(LENGTHS))
    expected = run_reference(checkpoint, samples, lengths=LENGTHS).logits
    assert close(out.logits.detach().numpy(), expected)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_software_answers_as_the_trained_model(output, pooling, family):
    checkpoint, network, samples = model_of(
        4, pooling=pooling, **(OUTPUTS[output] | FAMILIES[family])
    )
    recording = software.run(network, samples, membranes=["readout"])
    for lengths in (None, LENGTHS):
        expected = run_reference(checkpoint, samples, lengths=lengths).logits
        for scores in read(network, samples, recording, lengths).values():
            assert scores.shape == expected.shape and close(scores, expected)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("output", ["classes", "labels"])
@pytest.mark.parametrize("family", ["native", "gsu"])
def test_nest_has_the_readouts_membranes_bit_for_bit(family, output, pooling):
    _, network, samples = model_of(
        5, pooling=pooling, **(OUTPUTS[output] | FAMILIES[family])
    )
    runs = [RUNS[name](network, samples, ["readout"]) for name in ("software", "nest")]
    assert (runs[0].membranes["readout"] == runs[1].membranes["readout"]).all()
    assert np.ptp(runs[0].membranes["readout"]) > 0


def test_a_filters_membrane_is_the_average_by_hand():
    checkpoint, network, samples = model_of(6, pooling="filter")
    recording = software.run(network, samples, membranes=["readout"])
    tau = np.exp(checkpoint.arrays["pooling.log_tau"].astype(float))
    a = np.exp(-1 / tau)
    assert len(set(a.tolist())) == 3  # one a class
    plain = replace(network, readout=replace(network.readout, pooling="last"))
    last = network.population("readout")
    cell = plain.readout.kind.accumulator(last.cell.bias)
    plain = replace(plain, populations=(*network.populations[:-1], replace(last, cell=cell)))
    u = software.run(plain, samples, membranes=["readout"]).membranes["readout"]
    z = np.zeros_like(u[:, 0])
    for k in range(STEPS):
        z = a * z + (1 - a) * u[:, k]
        assert close(recording.membranes["readout"][:, k], z)


def test_scores_of_a_backend_that_gives_its_own_are_read_where_samples_end():
    from export.verification.backends.torch import torch_runner
    from snn_ssm.checkpoint import save_checkpoint

    checkpoint, network, samples = model_of(7)
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), checkpoint)
        recording = torch_runner(Path(folder), network)(samples, [])
    expected = run_reference(checkpoint, samples, lengths=LENGTHS).logits
    assert (scores_of(network, samples, recording, LENGTHS) == expected).all()
    assert (scores_of(network, samples, recording) == recording.logits).all()
