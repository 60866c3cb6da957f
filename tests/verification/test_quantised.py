"""A quantised input: E2, E3 and E4 of the values that it reads, and what it changes, told."""

import json
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.extended_simulator import simulate
from support.on_board import differing, needs_board, own_board
from support.quantised_networks import quantised, real_samples

pytest.importorskip("torch", reason="PyTorch is not installed")

from export.command.arguments import main
from export.description.encodings.quantised import quantise, values_of
from export.description.inspection import verification_table
from export.description.quantisation import lost, quantiser_for
from export.description.storage import digest
from export.interchange import from_nir, to_nir
from export.lowering import in_integers, lower, margins
from export.pynn import built
from export.samples.readout import logits, needed_membranes
from export.software import simulation as software
from export.verification import verify
from export.verification.backends.torch import sensitivity_of, torch_runner
from export.verification.sparse_attack import attack, flipped
from export.verification.sparse_attack import margins as margins_of
from snn_ssm.checkpoint import save_checkpoint
from snn_ssm.files import pack_arrays, sha256
from snn_ssm.levels import levels
from snn_ssm.model.reference import run_reference

KINDS = ["native", "stock", "lif", "glu", "gsu", "ternary", "integer", "soft reset", "history"]


def trained_spikes(checkpoint, network, samples):
    """The trained model's own, in float64, step by step, of the integers."""
    read = quantise(network.source, samples)
    found = run_reference(in_integers(checkpoint, network.source), read)
    spikes = {}
    for i, (positive, negative) in enumerate(zip(found.spikes, found.negative, strict=True)):
        spikes[f"layer{i}"] = positive
        if negative is not None:
            spikes[f"layer{i}_negative"] = negative
    return spikes, found


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, spikes in one.items():
        assert (spikes == other[name]).all(), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [3, 12, 16])
def test_e2_of_what_it_reads(kind, bits):
    checkpoint, network, samples = quantised(kind, 4, bits)
    spikes, found = trained_spikes(checkpoint, network, samples)
    run = software.run(network, samples, membranes=needed_membranes(network))
    assert_equal(run.spikes, spikes)
    assert any(0.02 < s.mean() < 0.98 for s in spikes.values())
    largest = np.abs(found.logits).max()
    assert np.abs(logits(network, samples, run) - found.logits).max() <= 1e-9 * largest


@settings(max_examples=25)
@given(
    st.sampled_from(["native", "stock", "lif", "glu"]), st.integers(0, 10**6), st.integers(2, 16),
    st.sampled_from([1e-15, 1e-6, 1.0, 1e9]),
)
def test_the_model_that_was_trained_reads_the_same_in_units_of_its_own(kind, seed, bits, scale):
    """In extended precision: the checkpoint as it is, of the values that the integers stand for."""
    checkpoint, network, samples = quantised(kind, seed, bits, steps=12, scale=scale)
    values = values_of(network.source, quantise(network.source, samples))
    assert np.abs(values - samples).max() > 0
    known = [(x.theta, x.value) for x in levels(in_integers(checkpoint, network.source))]
    expected = simulate(checkpoint, values, known).spikes
    assert_equal(software.run(network, samples).spikes, expected)
    assert_equal(trained_spikes(checkpoint, network, samples)[0], expected)


def test_ties_are_ties():
    """A leaky neuron whose input adds up to its threshold exactly: nobody spikes at it."""
    checkpoint, _, _ = quantised("lif", 0, inputs=1, norm="none", depth=1)
    arrays = dict(checkpoint.arrays)
    third = np.float32(1.0) / 3
    arrays["encoder.weight"] = np.full_like(arrays["encoder.weight"], third)
    arrays["encoder.bias"] = np.zeros_like(arrays["encoder.bias"])
    checkpoint = type(checkpoint)(checkpoint.config, arrays)
    samples = np.full((1, 1, 20), 1.0 / float(third))
    network = lower(checkpoint, quantiser=quantiser_for(samples, 16))
    spikes, _ = trained_spikes(checkpoint, network, samples)
    assert_equal(software.run(network, samples).spikes, spikes)
    known = margins(checkpoint, network)["layer0"]
    assert (known > margins(checkpoint)["layer0"]).all()  # the input counts


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.usefixtures("quiet_nest")
@pytest.mark.skipif(find_spec("nest") is None, reason="nest-simulator is not installed")
@pytest.mark.parametrize("kind", ["native", "stock", "lif", "gsu", "integer"])
def test_e3_membranes_included(kind):
    _, network, samples = quantised(kind, 5, 10)
    names = [p.name for p in network.populations] if network.cells == "native" else []
    here = software.run(network, samples, membranes=names)
    there = built.run("nest", network, samples, membranes=names)
    assert_equal(here.spikes, there.spikes)
    assert any(s.any() for s in here.spikes.values())
    if kind == "native":
        assert names and all((here.membranes[n] == there.membranes[n]).all() for n in names)


@needs_board
@pytest.mark.parametrize(("kind", "number"), [("stock", 41), ("lif", 42)])
def test_e4_on_the_emulated_board(kind, number):
    _, network, samples = quantised(kind, 6, 12, steps=40, channels=18, depth=2)
    address, board = own_board(number)
    with board:
        counts, report = differing(network, samples, address)
        assert board.errors == []
    assert all(count == 0 for count, _ in counts.values()), counts
    assert sum(total for _, total in counts.values()) > 100
    assert report["weights"]["differing"] == 0 < report["weights"]["synapses"]


# --- what it changes, told ----------------------------------------------------------------------


def test_verify_says_what_the_quantiser_took(tmp_path):
    checkpoint, network, samples = quantised("native", 5, 2, count=60)  # two chunks
    save_checkpoint(tmp_path, checkpoint)
    labels = np.arange(60) % 3
    trained = torch_runner(tmp_path, network, "convolution")
    real = torch_runner(tmp_path, network, "convolution", quantised=False)
    result = verify(
        network, samples, labels,
        {"torch": torch_runner(tmp_path, network),
         "software": lambda part, names: software.run(network, part, membranes=names)},
        convolution=trained, real=real, margins=margins(checkpoint, network),
    )
    assert result["contract"] == {"E2": True, "E5": True}
    found = result["quantiser"]
    whole = lost(network.source, samples).entry()
    assert found.keys() == {*whole, "same_class", "real"} and found["samples"] == 60
    np.testing.assert_allclose(found["rms_error"], whole["rms_error"])
    answers = run_reference(checkpoint, samples, method="convolution").logits.argmax(1)
    read = quantise(network.source, samples)
    ours = run_reference(
        in_integers(checkpoint, network.source), read, method="convolution"
    ).logits.argmax(1)
    assert found["same_class"] == (answers == ours).mean() < 1  # 2 bits
    assert found["real"]["accuracy"] == (answers == labels).mean()
    table = verification_table(result)
    assert "input quantised, of 60 samples, channel" in table
    assert f"values as they are: accuracy {found['real']['accuracy']:.2%}, the same class on " in (
        table
    )
    alone = verify(
        network, samples, labels,
        {"software": lambda part, names: software.run(network, part, membranes=names)},
    )
    assert "real" not in alone["quantiser"]
    assert "values as they are" not in verification_table(alone)


def test_other_inputs_have_nothing_of_it(tmp_path):
    checkpoint, _, samples = quantised("native", 7)
    network = lower(checkpoint)
    assert network.source.encoding == "current"
    result = verify(
        network, samples, np.arange(3),
        {"software": lambda part, names: software.run(network, part, membranes=names)},
    )
    assert "quantiser" not in result
    assert in_integers(checkpoint, network.source) is checkpoint


# --- attacks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["glu", "lif"])
def test_flips_of_its_bits_turn_answers(kind):
    checkpoint, network, samples = quantised(kind, 2, 6, count=4, steps=40)
    pristine = network.origin["model_sha256"]
    assert pristine == sha256(pack_arrays(checkpoint.arrays))
    gradient = sensitivity_of(checkpoint, network)
    run = software.run(network, samples, membranes=needed_membranes(network))
    labels = logits(network, samples, run).argmax(1)
    turned, signs = 0, 0
    for sample, label in zip(samples, labels, strict=True):
        found = attack(network, sample, int(label), gradient)
        start = quantise(network.source, sample)
        ended = quantise(network.source, found.sample)
        assert (values_of(network.source, ended) == found.sample).all()
        assert (flipped(start % 64, found.flips) == ended % 64).all()
        now = margins_of(network, found.sample[None], np.array([label]))[0]
        assert (now < 0) == found.turned
        turned += found.turned
        signs += int((found.flips[:, 2] == 5).sum())
    assert turned >= 2 and signs > 0


# --- the command line ---------------------------------------------------------------------------


def real_data(folder, count=40, steps=20):
    """Own samples of two channels of real values, of two classes."""
    folder.mkdir()
    for seed, split in enumerate(("train", "test")):
        inputs, labels = real_samples(seed, count, 2, steps), np.arange(count) % 2
        inputs[:, 0] += labels[:, None]
        np.savez(folder / f"{split}.npz", inputs=np.clip(inputs, -3.5, 3.5), labels=labels)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    real_data(folder / "data")
    settings = {
        "channels": 6, "depth": 2, "task.encode": "none", "model.cells": "stock",
        "model.mode_init": "s4d-real", "model.modes": 1,
    }
    options = [f"--set={k}={v}" for k, v in settings.items()]
    assert run("train", "own", "--data", folder / "data", "--out", folder / "run", "--epochs", "2",
               *options) == 0
    return folder


def run(*arguments):
    return main([str(a) for a in arguments])


def test_from_own_data_to_a_job(trained, tmp_path, capsys):
    data, net = trained / "data", tmp_path / "net"
    assert run("export", trained / "run", net, "--input", "bits", "--data", data, "--bits", "9",
               "--json", tmp_path / "e.json") == 0
    said = capsys.readouterr().out
    assert "quantised to 9 bits, channel 0: -4 to 3.98438, rounded by 0.00781 at most" in said
    assert "quantised, of 40 samples, channel" in said
    assert json.loads((tmp_path / "e.json").read_text())["quantiser"]["cut_off"] == [0, 0]
    assert run("inspect", net) == 0
    assert "2 channel(s) of real values as quantised, 18 source(s)" in capsys.readouterr().out
    assert run("inspect", net, "--spinnaker", "--json", tmp_path / "plan.json") == 0
    assert "quantised, of 40 samples" in capsys.readouterr().out
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["input"]["quantiser"]["samples"] == 40 and plan["input"]["bits"] == 9
    assert run("verify", net, "--checkpoint", trained / "run", "--data", data, "--backends",
               "torch,software,spinnaker-software", "--json", tmp_path / "v.json") == 0
    found = json.loads((tmp_path / "v.json").read_text())
    assert found["contract"] == {"E2": True, "E5": True}
    assert {"same_class", "real"} < set(found["quantiser"])
    assert run("run", net, "--backend", "software", "--data", data, "--samples", "5", "--json",
               tmp_path / "run.json") == 0
    assert "input quantised, of 5 samples" in capsys.readouterr().out
    assert json.loads((tmp_path / "run.json").read_text())["quantiser"]["values"] == 200
    assert run("predict", net, "--data", data / "test.npz", "--out", tmp_path / "a.csv") == 0
    assert run("attack", net, "--checkpoint", trained / "run", "--data", data, "--samples", "6",
               "--out", tmp_path / "flipped.npz") == 0
    assert run("run", net, "--backend", "software", "--data", tmp_path / "flipped.npz") == 0
    assert run("report", net, "--checkpoint", trained / "run", "--data", data, "--samples", "4",
               "--backends", "torch,software", "--out", tmp_path / "r.html") == 0
    assert "quantised to 9 bits" in (tmp_path / "r.html").read_text()


def test_a_job_of_it(trained, tmp_path, capsys):
    import subprocess
    import sys

    data, net, job = trained / "data", tmp_path / "net", tmp_path / "job"
    assert run("export", trained / "run", net, "--input", "bits", "--data", data) == 0
    assert run("job", net, job, "--data", data, "--samples", "4") == 0
    done = subprocess.run(
        [sys.executable, "-I", job / "run.py", "software"], capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    assert run("verify", net, "--recording", job / "results" / "software", "--data",
               job / "inputs.npz", "--backends", "software") == 0
    assert "0 of 160 values cut off" in capsys.readouterr().out


def test_it_comes_back_from_an_interchange_format():
    pytest.importorskip("nir", reason="nir is not installed")
    for kind in ("native", "stock", "lif"):
        _, network, samples = quantised(kind, 8)
        found = from_nir(to_nir(network))
        assert digest(found) == digest(network) and found.source.fraction
        assert_equal(software.run(found, samples).spikes, software.run(network, samples).spikes)


def test_a_live_signal_is_quantised_step_by_step(trained, tmp_path):
    from export.description.storage import load_network
    from export.streaming import Session

    net = tmp_path / "net"
    assert run("export", trained / "run", net, "--input", "bits", "--data", trained / "data") == 0
    network = load_network(net)
    samples = real_samples(1, 1)[:, :, :20]
    whole = software.run(network, samples, membranes=["readout"])
    session = Session(network)
    answers = [session.step(samples[0, :, k]) for k in range(20)]
    assert (answers[-1].scores == logits(network, samples, whole)[0]).all()


def test_confidence_is_calibrated_of_what_it_reads(trained, tmp_path, capsys):
    """A table of the values as they are promises nothing of rounded ones."""
    data, net, other = trained / "data", tmp_path / "net", tmp_path / "other"
    shutil.copytree(trained / "run", tmp_path / "run")
    for place, options in ((net, ["--bits", "3"]), (other, ["--bits", "4"])):
        assert run("export", tmp_path / "run", place, "--input", "bits", "--data", data,
                   *options) == 0
    assert run("calibrate", tmp_path / "run", net, "--data", data, "--json",
               tmp_path / "c.json") == 0
    assert f"{net}, of a quantised input:" in capsys.readouterr().out
    told = json.loads((tmp_path / "c.json").read_text())
    assert told["calibrated"] == 20 and told["quantised"][0]["networks"] == [str(net)]
    tables = [json.loads((p / "confidence.json").read_text()) for p in (tmp_path / "run", net)]
    assert tables[0]["model"] != tables[1]["model"]
    assert tables[0]["temperatures"] != tables[1]["temperatures"]
    early = ["--backend", "software", "--data", data, "--confidence", "0.6"]
    assert run("run", net, *early) == 0
    shutil.copy(net / "confidence.json", other)
    assert run("run", other, *early) == 2
    assert "another model than that of this network, or for another quantised" in (
        capsys.readouterr().err
    )
    # Exported after it was calibrated: the checkpoint's table goes with plain networks alone.
    assert run("export", tmp_path / "run", tmp_path / "later", "--input", "bits", "--data", data,
               ) == 0
    assert "is of values that are not quantised, and stays there" in capsys.readouterr().out
    assert run("export", tmp_path / "run", tmp_path / "plain") == 0
    assert not (tmp_path / "later" / "confidence.json").exists()
    assert (tmp_path / "plain" / "confidence.json").exists()


@pytest.mark.parametrize(("arguments", "said"), [
    (["--input", "bits"], "it reads real values, whose bits are those of a quantiser; expected "),
    (["--bits", "8"], "--bits is for real values as bits, and --input is not given. Add --input"),
    (["--data", "DATA"], "--data is for real values as bits, and --input is not given"),
    (["--input", "current", "--bits", "8"], "and --input is current. Add --input bits"),
    (["--input", "bits", "--bits", "8"], "--bits is given, and no range of the values"),
    (["--input", "bits", "--bits", "1", "--data", "DATA"], "real values in 1 bits; expected 2"),
    (["--input", "bits", "--data", "OTHER"], "--data has samples of 1 channels; expected 2"),
])
def test_what_is_refused(trained, tmp_path, capsys, arguments, said):
    if not (tmp_path / "other").exists():
        (tmp_path / "other").mkdir()
        for split in ("train", "test"):
            np.savez(tmp_path / "other" / f"{split}.npz", inputs=np.ones((3, 1, 20)) / 3,
                     labels=np.array([0, 1, 0]))
    places = {"DATA": trained / "data", "OTHER": tmp_path / "other"}
    given = [places.get(a, a) for a in arguments]
    assert run("export", trained / "run", tmp_path / "net", *given) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "net").exists()


def test_integers_and_symbols_are_not_quantised(tmp_path, capsys):
    from support.random_networks import checkpoint_of

    for number, changes in enumerate(({}, {"encoder": "embedding", "inputs": 7, "input_bits": 0})):
        (tmp_path / str(number)).mkdir()
        save_checkpoint(tmp_path / str(number), checkpoint_of(0, **changes))
        assert run("export", tmp_path / str(number), tmp_path / "net", "--input", "bits",
                   "--bits", "8") == 2
        assert "reads integers or symbols, which are spikes as they are" in capsys.readouterr().err
