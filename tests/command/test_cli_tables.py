"""Tables by the command line: answers a row, samples with names."""

import csv
import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from export.command.arguments import main

SMALL = ["--set", "channels=4", "--set", "depth=1", "--set", "modes=2", "--epochs", "1"]


def run(*arguments):
    return main([str(a) for a in arguments])


def write(path, samples):
    """A table of samples: a name, and the labels of its steps."""
    rng = np.random.default_rng(len(samples))
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sample", "x", "label"])
        for name, labels in samples:
            rows.writerows([name, int(4 * label + rng.integers(3)), label] for label in labels)


@pytest.fixture(scope="module")
def stepwise(tmp_path_factory):
    """A network that labels each step, and a test in which no sample's label changes."""
    path = tmp_path_factory.mktemp("tables")
    write(path / "train.csv", [(f"s{k}", [0, 0, 1, 1, 0]) for k in range(8)])
    write(path / "test.csv", [("calm, at first", [0] * 5), ("rough\n", [1] * 3)])
    assert run("train", "own", "--data", path, "--out", path / "run", *SMALL) == 0
    assert run("export", path / "run", path / "net") == 0
    return path


def test_labels_of_steps_that_change_in_no_test_sample(stepwise):
    metrics = json.loads((stepwise / "run" / "metrics.json").read_text())
    assert metrics["output"] == "labels"
    arguments = ["--data", stepwise, "--json", stepwise / "e.json", "--force"]
    assert run("evaluate", stepwise / "run", *arguments) == 0
    assert run("run", stepwise / "net", *arguments) == 0
    backends = ["--checkpoint", stepwise / "run", "--backends", "torch,software"]
    assert run("verify", stepwise / "net", *backends, *arguments) == 0


def test_answers_bear_the_names_of_their_samples(stepwise, capsys):
    arguments = ["predict", stepwise / "net", "--data", stepwise / "test.csv"]
    assert run(*arguments, "--out", stepwise / "a.csv") == 0
    with (stepwise / "a.csv").open(newline="") as file:
        rows = [(row["sample"], row["step"]) for row in csv.DictReader(file)]
    assert rows == [("calm, at first", str(k)) for k in range(5)] + [
        ("rough", str(k)) for k in range(3)
    ]
    assert run(*arguments, "--out", stepwise / "a.npz") == 0
    with np.load(stepwise / "a.npz") as found:
        assert found["samples"].tolist() == ["calm, at first", "rough"]
    capsys.readouterr()
    assert run(*arguments, "--samples", "1", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["sample_names"] == ["calm, at first"]
