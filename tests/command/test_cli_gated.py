"""The command line on gated, leaky and token networks: what it prints, proves and refuses."""

import json

import numpy as np
import pytest
from support.gated_networks import KINDS, checkpoint_of_kind, lowered

from export.command.arguments import main
from export.description import storage
from export.samples.messages import sent
from export.samples.recording import Recording
from snn_ssm.checkpoint import save_checkpoint

LABELS = [0, 1, 2, 0, 1]


def make(folder, kind, *options, **changes):
    """A checkpoint, its exported network and an .npz of samples, in one directory."""
    (folder / "checkpoint").mkdir()
    save_checkpoint(folder / "checkpoint", checkpoint_of_kind(kind, 5, steps=15, **changes))
    _, _, samples = lowered(kind, 5, steps=15, count=5, **changes)
    np.savez(folder / "samples.npz", inputs=samples, labels=LABELS)
    assert call("export", folder / "checkpoint", folder / "network", *options) == 0
    return folder


def call(*arguments):
    return main([str(a) for a in arguments])


def refusal(capsys, *arguments):
    capsys.readouterr()
    assert call(*arguments) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_export_run_and_verify(tmp_path, capsys, kind):
    options = ["--input", "spikes"] if kind.startswith("events") else []
    files = make(tmp_path, kind, *options)
    network, data = files / "network", files / "samples.npz"
    exported, stored = capsys.readouterr().out, storage.load_network(network)
    assert f"{sum(p.size for p in stored.populations)} neurons" in exported
    assert ("--residual relayed has one population do that" in exported) == stored.folded
    assert stored.folded == ("glu" in kind or "gsu" in kind)
    assert call("run", network, "--data", data, "--out", files / "run.safetensors") == 0
    out = capsys.readouterr().out
    assert ("from spike counts" in out) == ("glu" not in kind and "gsu" not in kind)
    assert ("from the population 'readout'" in out) == ("lif" not in kind)
    assert ", 5 samples" in out
    recording = Recording.load(files / "run.safetensors")
    assert recording.spikes["layer1"].shape == (5, 15, 6)
    assert ("layer1_negative" in recording.spikes) == ("gsu" in kind or kind == "ternary")
    assert (recording.spikes["layer1"].max() > 1) == (
        "integer" in kind or "differences" in kind  # counts of spikes
    )
    status = call(
        "verify", network, "--checkpoint", files / "checkpoint", "--backends", "torch,software",
        "--data", data, "--json", files / "verify.json",
    )
    assert status == 0
    result = json.loads((files / "verify.json").read_text())
    assert result["samples"] == 5 and result["contract"] == {"E2": True, "E5": True}
    assert result["backends"]["software"]["mismatched_spikes"] == 0
    counted = sent(storage.load_network(network), recording)
    assert result["spikes"] == sum(int(s.sum()) for s in counted.values()) > 0


def test_accuracy_is_that_of_the_readout(tmp_path, capsys):
    files = make(tmp_path, "glu")
    call("verify", files / "network", "--backends", "torch,software", "--checkpoint",
         files / "checkpoint", "--data", files / "samples.npz", "--json", files / "v.json")
    accuracy = json.loads((files / "v.json").read_text())["backends"]["software"]["accuracy"]
    capsys.readouterr()
    assert call("run", files / "network", "--data", files / "samples.npz") == 0
    assert capsys.readouterr().out == (
        f"accuracy {accuracy:.2%} from the population 'readout', 5 samples\n"
    )


@pytest.mark.parametrize(("kind", "said"), [
    ("gsu", ["layer0 -> layer1 (gate0, graded)", "layer0_negative -> layer1 (value0)",
             "stream -> readout (graded)"]),
    ("token glu", ["7 symbols as token, 7 source(s)", "layer0 -> stream (gate0)"]),
    ("lif", ["reset"]),
])
def test_inspect(tmp_path, capsys, kind, said):
    files = make(tmp_path, kind)
    capsys.readouterr()
    assert call("inspect", files / "network") == 0
    out = capsys.readouterr().out
    for text in said:
        assert text in out


def test_every_input_of_events(tmp_path):
    files = make(tmp_path, "events")
    for encoding in ("bits", "current", "spikes"):
        assert call("export", files / "checkpoint", files / encoding, "--input", encoding) == 0
        assert storage.load_network(files / encoding).source.encoding == encoding


def test_the_page_of_a_gated_network(tmp_path, undrawn):
    files = make(tmp_path, "gsu")
    status = call(
        "report", files / "network", "--checkpoint", files / "checkpoint", "--backends",
        "torch,software", "--data", files / "samples.npz", "--out", files / "report.html",
    )
    assert status == 0
    page = (files / "report.html").read_text()
    assert "Membrane of neuron" in page and "layer1_negative" in page


def test_evaluate_a_gated_checkpoint(tmp_path, capsys):
    files = make(tmp_path, "gsu")
    assert call("evaluate", files / "checkpoint", "--data", files / "samples.npz") == 0
    assert "5 samples; spike rate" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["glu", "gsu", "lif"])
def test_spinnakers_arithmetic_by_every_command(tmp_path, capsys, kind):
    files = make(tmp_path, kind)
    network, data = files / "network", files / "samples.npz"
    assert call("inspect", network, "--spinnaker") == 0
    assert "SpiNNaker's arithmetic, planned for all inputs" in capsys.readouterr().out
    backend = ["--backend", "spinnaker-software"]
    for more in ([], ["--calibration", data]):
        assert call("run", network, "--data", data, *backend, *more) == 0
        assert "5 samples" in capsys.readouterr().out
    names = "software,spinnaker-software"
    assert call("verify", network, "--data", data, "--backends", names) == 0
    assert call("inspect", network, "--spinnaker", "--json", tmp_path / "plan.json") == 0
    rows = json.loads((tmp_path / "plan.json").read_text())
    assert rows["projections"][0]["projection"] == "input -> layer0"
    assert bool(rows["sums"]) == (kind != "lif")


def test_what_does_not_lower_is_refused_and_nothing_written(tmp_path, capsys):
    files = make(tmp_path, "token")
    checkpoint = files / "checkpoint"
    message = refusal(capsys, "export", checkpoint, files / "new", "--input", "bits")
    assert "an embedding does not read the input encoding 'bits'" in message
    message = refusal(capsys, "export", checkpoint, files / "new", "--cells", "stock")
    assert "native cells, which IF_curr_exp cannot be" in message
    (files / "layer").mkdir()
    save_checkpoint(files / "layer", checkpoint_of_kind("gsu", gsu_norm="layer"))
    assert "gsu_norm = \"batch\"" in refusal(capsys, "export", files / "layer", files / "new")
    assert not (files / "new").exists()


def test_symbols_that_there_are_none_of_are_refused(tmp_path, capsys):
    files = make(tmp_path, "token")
    inputs = np.full((5, 1, 15), 7)
    np.savez(files / "wrong.npz", inputs=inputs, labels=LABELS)
    message = refusal(capsys, "run", files / "network", "--data", files / "wrong.npz")
    assert "sample element [0, 0, 0] is 7" in message and "one of 7 symbols, 0 to 6" in message
