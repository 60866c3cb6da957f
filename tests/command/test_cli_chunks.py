"""``--chunk I/N``: the parts of an array job are, put together, what one run is."""

import json
import shutil

import numpy as np
import pytest
from support.gated_networks import checkpoint_of_kind, lowered
from support.random_networks import checkpoint_of, samples_of

from export.command.arguments import main
from export.samples.recording import Recording, concatenate
from snn_ssm.checkpoint import save_checkpoint


def call(*arguments):
    return main([str(a) for a in arguments])


def refusal(capsys, *arguments):
    capsys.readouterr()
    assert call(*arguments) == 2
    return capsys.readouterr().err


def make(folder, checkpoint, samples):
    (folder / "checkpoint").mkdir(parents=True)
    save_checkpoint(folder / "checkpoint", checkpoint)
    labels = np.arange(len(samples)) % 3
    np.savez(folder / "samples.npz", inputs=samples, labels=labels)
    assert call("export", folder / "checkpoint", folder / "network") == 0
    return folder


@pytest.fixture
def files(tmp_path):
    """An exported network and seven samples of it."""
    checkpoint = checkpoint_of(5, steps=20)
    return make(tmp_path / "files", checkpoint, samples_of(checkpoint, 7))


def run(files, *more, command="run"):
    return [command, files / "network", "--data", files / "samples.npz", *more]


def recorded(directory):
    return concatenate([Recording.load(p) for p in sorted(directory.glob("*.safetensors"))])


def test_the_parts_of_a_run_are_the_whole_run(files, capsys):
    assert call(*run(files, "--out", files / "whole", "--json", files / "whole.json")) == 0
    for i in (3, 1, 2):
        assert call(*run(files, "--chunk", f"{i}/3", "--out", files / "parts")) == 0
    said = capsys.readouterr().out
    assert "part 1/3, 2 samples run now; 5 of 7 are there" in said
    assert "part 2/3, 2 samples run now; 7 of 7 are there" in said
    whole, parts = Recording.load(files / "whole"), recorded(files / "parts")
    for name, spikes in whole.spikes.items():
        assert spikes.any() and (parts.spikes[name] == spikes).all()
    summary = json.loads((files / "parts" / "summary.json").read_text())
    expected = json.loads((files / "whole.json").read_text())
    assert summary["complete"] and len(summary["files"]) == 3
    assert summary["accuracy"] == expected["accuracy"]["spike counts"]

    verify = run(files, "--recording", files / "parts", "--json", "-", command="verify")
    assert call(*verify) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 7 and found["missing"] == []
    assert found["backends"]["recording"]["mismatched_spikes"] == 0
    assert found["backends"]["recording"]["accuracy"] == summary["accuracy"]


@pytest.mark.parametrize("kind", ["hard reset", "glu"])
def test_the_parts_of_a_prediction_are_the_whole_one(tmp_path, kind):
    """Also of a gated network, whose spikes do not give the scores."""
    checkpoint = checkpoint_of_kind(kind, 5, steps=15)
    files = make(tmp_path / "files", checkpoint, lowered(kind, 5, steps=15, count=5)[2])
    np.savez(files / "samples.npz", inputs=np.load(files / "samples.npz")["inputs"])  # no labels
    predict = run(files, command="predict")
    assert call(*predict, "--out", files / "whole.csv") == 0
    for i in (1, 2):
        parts = ["--chunk", f"{i}/2", "--out", files / "parts"]
        assert call(*predict, *parts, "--backend", "software", "--json", files / f"{i}.json") == 0
    assert json.loads((files / "1.json").read_text())["missing"] == [[2, 5]]
    merge = ["--recording", files / "parts", "--out", files / "merged.csv"]
    assert call(*predict, *merge) == 0
    assert (files / "merged.csv").read_bytes() == (files / "whole.csv").read_bytes()


def test_a_part_that_is_there_is_not_run_again(files, capsys):
    part = run(files, "--chunk", "1/2", "--out", files / "parts", "--quiet")
    assert call(*part) == 0 and call(*part) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2] for line in said] == [
        "part 1/2, 3 samples run now; 3 of 7 are there",
        "part 1/2, 0 samples run now; 3 of 7 are there",
    ]


def test_parts_that_are_missing_or_twice_there(files, capsys):
    parts = files / "parts"
    assert call(*run(files, "--chunk", "2/3", "--out", parts)) == 0
    predict = run(files, "--recording", parts, command="predict")
    assert "lacks the samples 0 to 1, 4 to 6 of 7" in refusal(capsys, *predict)
    assert call(*run(files, "--recording", parts, command="verify")) == 1
    assert "missing: samples 4 to 6" in capsys.readouterr().out
    (parts / "samples-000002-000004.safetensors").write_bytes(b"torn")
    assert "holds no whole result" in refusal(capsys, *predict)

    for i, out in ((1, parts), (3, parts), (2, parts), (2, files / "other")):
        count = 3 if out == parts else 2
        assert call(*run(files, "--chunk", f"{i}/{count}", "--out", out)) == 0
    for file in (files / "other").glob("samples-*"):
        shutil.copy(file, parts)
    said = refusal(capsys, *run(files, "--recording", parts, command="verify"))
    assert "holds the samples 3 to 3 twice, in samples-000002-000004.safetensors and" in said
    assert "expected each once" in said


def test_parts_of_something_else(files, tmp_path, capsys):
    parts = files / "parts"
    assert call(*run(files, "--chunk", "1/2", "--out", parts)) == 0
    other = run(files, "--chunk", "2/2", "--out", parts, "--samples", 6)
    assert "inputs (SHA-256) is" in refusal(capsys, *other)
    other = run(files, "--chunk", "2/2", "--out", parts, "--backend", "spinnaker-software")
    assert "their simulator is software, this one's spinnaker-software" in refusal(capsys, *other)
    others = make(tmp_path / "others", checkpoint_of(6, steps=20), np.zeros((7, 1, 20), np.uint16))
    said = refusal(capsys, *run(others, "--recording", parts, command="predict"))
    assert "holds results of another network" in said
    said = refusal(capsys, *run(files, "--samples", 6, "--recording", parts, command="predict"))
    assert "is of 7 samples; there are 6 to compare with" in said


def test_integers_are_compared_with_integers(files, capsys):
    out = files / "parts"
    chunk = ["--chunk", "1/1", "--out", out, "--backend", "spinnaker-software", "--quiet"]
    assert call(*run(files, *chunk)) == 0
    capsys.readouterr()
    assert call(*run(files, "--recording", out, "--json", "-", command="verify")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reference"] == "spinnaker-software"
    assert found["backends"]["recording"]["mismatched_spikes"] == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--chunk", "4/3", "--out", "o"], "--chunk is '4/3'; expected I/N, the I-th of N parts"),
        (["--chunk", "1/3"], "--chunk is given without --out"),
        (["--chunk", "1/3", "--out", "o", "--backend", "spinnaker"], "use 'snn-ssm job'"),
        (["--chunk", "1/3", "--out", "o", "--confidence", "0.9"], "'snn-ssm verify --recording'"),
        (["--threads", "2"], "--threads means nothing to the backend software; it is for nest"),
    ],
)
def test_what_is_refused(files, capsys, more, message):
    assert message in refusal(capsys, *run(files, *more))


@pytest.mark.parametrize(("option", "value"), [("--chunk", "1/2"), ("--backend", "nest")])
def test_a_recording_is_not_run(files, capsys, option, value):
    more = ["--recording", files, option, value]
    assert f"{option} is given, and --recording" in refusal(
        capsys, *run(files, *more, command="predict")
    )
