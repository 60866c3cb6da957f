"""Own data by the command line alone: from arrays to answers, a report and a job, by every output.

And the keys of a configuration, given one by one.
"""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from support.files import save_splits

from export.command.arguments import main
from export.description.storage import load_network
from export.samples.inputs import InputError
from export.streaming import Session
from snn_ssm import config
from snn_ssm.checkpoint import load_checkpoint
from snn_ssm.tasks.encoders import ENCODERS

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(6, 13, 24)
LABELS = RNG.integers(0, 2, 24)
INPUTS = RNG.integers(0, 8, (24, 2, 12)).astype(np.uint8)
INPUTS[:, 0] += (5 * LABELS[:, None]).astype(np.uint8)
NAMES = np.array(["calm", "rough"])
ANSWERS = {
    "classes": {"labels": NAMES[LABELS]},
    "labels": {"labels": (INPUTS[:, 0] > 6).astype(int), "names": NAMES},
    "values": {"targets": INPUTS[:, :1] / 8.0, "names": np.array(["height"])},
    "multi-label": {"labels": np.stack([LABELS, 1 - LABELS, LABELS], 1)},
}
SMALL = ["--set", "channels=6", "--set", "depth=2", "--set", "modes=2", "--epochs", "2"]


def run(*arguments):
    return main([str(a) for a in arguments])


def refusal(capsys, *arguments):
    capsys.readouterr()
    assert run(*arguments) == 2
    return capsys.readouterr().err


@pytest.fixture(scope="module", params=ANSWERS)
def made(request, tmp_path_factory):
    """Own data of one kind of answer, a model trained on them and its network."""
    path = tmp_path_factory.mktemp(request.param.replace("-", ""))
    save_splits(path / "rivers", inputs=INPUTS, lengths=LENGTHS, **ANSWERS[request.param])
    assert run("train", "own", "--data", path / "rivers", "--out", path / "run", *SMALL) == 0
    assert run("export", path / "run", path / "net") == 0
    return request.param, path


def test_train_derives_what_the_data_say(made):
    output, path = made
    found = load_checkpoint(path / "run").config
    metrics = json.loads((path / "run" / "metrics.json").read_text())
    assert found.model.output == output and found.model.per_step == (output == "values")
    assert (found.model.channels, found.training.epochs, found.task.steps) == (6, 2, 12)
    names = {"classes": NAMES, "labels": NAMES, "values": ["height"], "multi-label": "012"}[output]
    assert [row["name"] for row in metrics["classes"]] == list(names)
    assert metrics["data"] == "rivers/test.npz" and metrics["output"] == output


def test_evaluate(made, capsys):
    output, path = made
    assert run("evaluate", path / "run", "--data", path / "rivers") == 0
    said = capsys.readouterr().out
    first = "R^2" if output == "values" else "accuracy"
    assert f"own: {first}" in said
    assert ("height" if output == "values" else "rough" if output != "multi-label" else "2") in said


def test_verify_in_torch_software_and_nest(made):
    pytest.importorskip("pyNN.nest", reason="NEST is not installed")
    output, path = made
    arguments = [
        "verify", path / "net", "--checkpoint", path / "run", "--data", path / "rivers",
        "--samples", 6, "--json", path / "v.json", "--force",
    ]
    assert run(*arguments) == 0
    found = json.loads((path / "v.json").read_text())
    rows = {"E2": True, "E3": True} | ({} if output == "values" else {"E5": True})
    assert found["contract"] == rows and found["output"] == output
    key = "mae" if output == "values" else "macro_f1"
    scores = [backend[key] for backend in found["backends"].values()]
    assert scores == pytest.approx([scores[0]] * 3, rel=1e-9) and scores[0] is not None


def test_run_counts_by_both_ways(made):
    _, path = made
    arguments = ["run", path / "net", "--data", path / "rivers", "--json", path / "r.json"]
    assert run(*arguments, "--force") == 0
    found = json.loads((path / "r.json").read_text())
    assert list(found["metrics"]) == ["spike counts", "the population 'readout'"]
    one, two = found["metrics"].values()
    assert one == two and found["samples"] == 24


@pytest.mark.parametrize("backend", ["software", "torch", "spinnaker-software"])
def test_predict_needs_no_labels_and_answers_as_run(made, backend):
    output, path = made
    np.savez(path / "new.npz", inputs=INPUTS[:5, :, :10], lengths=np.minimum(LENGTHS[:5], 10))
    checkpoint = ["--checkpoint", path / "run"] if backend == "torch" else []
    for end in ("csv", "npz"):
        assert run(
            "predict", path / "net", "--data", path / "new.npz", "--backend", backend,
            "--out", path / f"p.{end}", "--force", *checkpoint,
        ) == 0  # fmt: skip
    with np.load(path / "p.npz") as stored:
        arrays = dict(stored)
    with (path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    lengths = np.minimum(LENGTHS[:5], 10)
    names = arrays["names"].tolist()
    each_step = output in ("labels", "values")
    assert arrays["lengths"].tolist() == lengths.tolist()
    assert len(rows) == (lengths.sum() if each_step else 5)
    for row in rows:
        at = (int(row["sample"]), *([int(row["step"])] if each_step else []))
        if output == "values":
            assert float(row["height"]) == arrays["answers"][at][0] == arrays["scores"][at][0]
            assert "confidence" not in arrays
        elif output == "multi-label":
            assert [int(row[name]) for name in names] == arrays["answers"][at].tolist()
        else:
            assert row["answer"] == names[arrays["answers"][at]]
            assert 0.5 <= float(row["confidence"]) == arrays["confidence"][at] <= 1
            assert float(row[f"score_{row['answer']}"]) == arrays["scores"][at].max()


def test_backends_predict_the_same(made):
    _, path = made
    scores = []
    for backend in ("software", "torch"):
        checkpoint = ["--checkpoint", path / "run"] if backend == "torch" else []
        out = path / f"{backend}.npz"
        arguments = ["predict", path / "net", "--data", path / "rivers" / "test.npz", "--out", out]
        assert run(*arguments, "--backend", backend, "--force", *checkpoint) == 0
        with np.load(out) as stored:
            found = stored["scores"]
            ends = np.arange(12) < stored["lengths"][:, None]
            scores.append(found[ends] if found.ndim == 3 else found)
    assert np.allclose(*scores, atol=1e-9) and np.ptp(scores[0]) > 0


@pytest.mark.parametrize("made", ["values"], indirect=True)
def test_report(made, undrawn):
    _, path = made
    assert run(
        "report", path / "net", "--checkpoint", path / "run", "--data", path / "rivers",
        "--samples", 3, "--backends", "torch,software", "--out", path / "r.html", "--force",
    ) == 0  # fmt: skip
    page = (path / "r.html").read_text()
    assert "snn-ssm report: rivers" in page and "height" in page and "mean |error|" in page


@pytest.mark.parametrize("made", ["values"], indirect=True)
def test_a_job_of_it_runs_and_is_verified(made, capsys):
    _, path = made
    job = path / "job"
    arguments = ["job", path / "net", job, "--data", path / "rivers", "--samples", 6, "--force"]
    assert run(*arguments, "--without-board") == 0
    done = subprocess.run(
        [sys.executable, job / "run.py", "software", "--chunk", "4"], capture_output=True,
        text=True, env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((job / "results/software/summary.json").read_text())
    assert [row["name"] for row in summary["classes"]] == ["height"]
    assert summary["accuracy"] is None and "R^2" in done.stdout
    result = path / "j.json"
    assert run(
        "verify", path / "net", "--recording", job / "results/software", "--data",
        job / "inputs.npz", "--json", result, "--force",
    ) == 0  # fmt: skip
    found = json.loads(result.read_text())
    assert found["backends"]["recording"]["mae"] == pytest.approx(summary["mae"])


@pytest.fixture(scope="module")
def levelled(tmp_path_factory):
    """Own recordings of real values, every second step as levels, and the network of them."""
    path = tmp_path_factory.mktemp("levels")
    waves = RNG.normal(size=INPUTS.shape) + LABELS[:, None, None]
    save_splits(path / "rivers", inputs=waves, labels=LABELS)
    small = [*SMALL, "--set", "encode_size=3", "--set", "task.stride=2", "--epochs", "12"]
    assert run("train", "own", "--data", path / "rivers", "--out", path / "run", *small) == 0
    assert run("export", path / "run", path / "net") == 0
    return path


def scores_on(path, data):
    out = path / "scores.npz"
    assert run("predict", path / "net", "--data", data, "--out", out, "--force") == 0
    with np.load(out) as stored:
        return stored["scores"]


def test_samples_that_a_job_has_encoded_are_not_encoded_once_more(levelled):
    path, job = levelled, levelled / "job"
    assert run("job", path / "net", job, "--data", path / "rivers", "--samples", 6) == 0
    done = subprocess.run(
        [sys.executable, job / "run.py", "software"], capture_output=True, text=True,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
    )
    assert done.returncode == 0, done.stderr
    given = job / "inputs.npz"
    results = ["--recording", job / "results/software", "--data", given]
    assert run("verify", path / "net", *results) == 0
    recorded = scores_on(path, path / "rivers" / "test.npz")[:6]
    assert (scores_on(path, given) == recorded).all() and np.ptp(recorded) > 0


def test_samples_that_an_attack_wrote_are_run_as_they_were_tried(levelled):
    path, out = levelled, levelled / "attacked.npz"
    model = ["--checkpoint", path / "run", "--json", path / "a.json"]
    assert run("attack", path / "net", "--data", path / "rivers", *model, "--out", out) == 0
    found = json.loads((path / "a.json").read_text())
    right = scores_on(path, out).argmax(1) == LABELS
    assert found["turned"] > 0 and right.sum() == found["attacked"] - found["turned"]


def test_encoded_samples_are_of_one_network(levelled, capsys):
    with np.load(levelled / "rivers" / "test.npz") as stored:
        arrays = dict(stored)

    def refused(encoded):
        np.savez(levelled / "e.npz", encoded=np.array(encoded), **arrays)
        return refusal(capsys, "run", levelled / "net", "--data", levelled / "e.npz")

    said = refused('{"encode": "delta"}')
    assert 'samples that were encoded by {"encode": "delta"}; expected {"stride": 2, "en' in said
    assert "or the network that they were made for" in said
    assert "encoded is of int64 and shape (); expected one text" in refused(3)


def test_stream_encodes_recordings_as_training_did(levelled, capsys, monkeypatch):
    import io

    task = load_checkpoint(levelled / "run").config.task
    with np.load(levelled / "rivers" / "test.npz") as stored:
        recorded = stored["inputs"][:1]
    session = Session(load_network(levelled / "net"))
    read = ENCODERS[task.encode].encode(recorded[..., :: task.stride], task)
    expected = [answer.label for answer in session.steps(read[0])]
    assert expected[-1] == scores_on(levelled, levelled / "rivers" / "test.npz")[0].argmax()
    lines = [",".join(map(repr, step)) + "\n" for step in recorded[0].T.tolist()]
    said, err = "", ""
    for part in (lines[:5], lines[5:]):
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(part)))
        capsys.readouterr()
        state = ["--state", levelled / "state"]
        assert run("stream", levelled / "net", "--answers", "every", *state) == 0
        found = capsys.readouterr()
        said, err = said + found.out.partition("final\n")[2], err + found.err
    rows = list(csv.reader(said.splitlines()))
    assert [(int(row[1]), int(row[2])) for row in rows] == list(enumerate(expected, 1))
    assert "a line holds recorded values; they are encoded by 'levels' as in training, 2 l" in err
    assert "3 steps of 1 ms, of which 3 were computed" in err


def test_values_out_of_range_are_told_by_their_encoder(levelled):
    with pytest.raises(InputError, match=r"become these by task\.encode = 'levels', as in train"):
        Session(load_network(levelled / "net")).steps([[0.5], [1.0]])


@pytest.fixture
def data(tmp_path):
    """Own data of classes."""
    save_splits(tmp_path / "rivers", inputs=INPUTS, **ANSWERS["classes"])
    return tmp_path / "rivers"


def printed(capsys, *arguments):
    capsys.readouterr()
    assert run("config", *arguments) == 0
    return capsys.readouterr().out


def test_config_of_own_data_is_what_they_are_trained_with(data, capsys):
    text = printed(capsys, "own", "--data", data, "--set", "model.channels=32", "--epochs", "3")
    found = config.loads(text)
    assert found.model.inputs == 2 and found.task.classes == ("calm", "rough")
    assert found.model.channels == 32 and found.training.epochs == 3
    assert run("train", "own", "--data", data, "--out", data / "run", *SMALL) == 0
    trained = load_checkpoint(data / "run").config
    assert (trained.task, trained.model.inputs) == (found.task, found.model.inputs)


def test_config_without_data_leaves_open_what_follows_from_them(data, capsys):
    text = printed(capsys, "own")
    assert "\n# inputs: from the data, where it is not set\n" in text and "\ninputs" not in text
    (data / "c.toml").write_text(text)
    arguments = ["train", "own", "--data", data, "--config", data / "c.toml", *SMALL]
    assert run(*arguments, "--out", data / "run") == 0
    assert load_checkpoint(data / "run").config.model.inputs == 2


def test_settings_go_above_a_file_and_a_file_above_the_task(tmp_path, capsys):
    text = printed(capsys, "smnist", "--set", "training.rate=0.5", "--set", "mode_init=s4d-inv")
    found = config.loads(text)
    assert (found.training.rate, found.model.mode_init) == (0.5, "s4d-inv")
    assert found.training.epochs == 11  # the task's own


@pytest.mark.parametrize(("setting", "said"), [
    ("chanels=3", "unknown key; did you mean channels"),
    ("model.chanels=3", "unknown key; did you mean channels"),
    ("modell.channels=3", "unknown table; did you mean model"),
    ("classes=3", "it may be task.classes or model.classes. Name the table"),
    ("channels", "no value; expected KEY=VALUE"),
    ("channels=many", r"[model.channels] is 'many'; expected a value of type int"),
    ("model.xyz=1", "known: activation"),
])
def test_settings_that_are_wrong_name_their_neighbours(capsys, setting, said):
    assert said in refusal(capsys, "config", "smnist", "--set", setting)


def test_arguments_that_do_not_go_together(data, capsys):
    said = refusal(capsys, "config", "smnist", "--data", data)
    assert "that of the task 'own' does. Leave it out." in said
    said = refusal(capsys, "config", "paper-text-gsu", "--epochs", "3")
    assert "'paper-text-gsu' is no task" in said
    for command in ("train", "config"):
        said = refusal(capsys, command, "own", "--data", data / "train.npz")
        assert "a file has no splits" in said
    (data / "c.toml").write_text("[model]\nchanels = 3\n")
    assert "c.toml: unknown configuration key" in refusal(
        capsys, "train", "own", "--data", data, "--config", data / "c.toml"
    )
    assert "cannot read configuration" in refusal(
        capsys, "train", "own", "--data", data, "--config", data / "none.toml"
    )


def test_predictions_that_are_refused(made, capsys):
    _, path = made
    new = path / "rivers" / "test.npz"
    arguments = ["predict", path / "net", "--data", new]
    said = refusal(capsys, *arguments, "--out", path / "p.txt")
    assert "expected a name that ends in .csv or .npz" in said
    assert "--samples is 25, but there are 24" in refusal(capsys, *arguments, "--samples", "25")
    assert "--samples is 0; expected at least 1" in refusal(capsys, *arguments, "--samples", "0")
    assert "the virtual board maps only" in refusal(capsys, *arguments, "--backend", "spinnaker")
    said = refusal(capsys, *arguments, "--checkpoint", path / "run")
    assert "--checkpoint means nothing to the backend software; it is for torch" in said
    assert run(*arguments, "--samples", "3") == 0
    assert "(the first; --out F.csv writes all)" in capsys.readouterr().out


@pytest.mark.parametrize("made", ["labels", "values"], indirect=True)
def test_what_is_for_classes_of_samples_refuses_other_answers(made, capsys):
    output, path = made
    answers = rf"and this one answers {output} at each step. Leave it out, or train with"
    given = ["--data", path / "rivers"]
    assert answers in refusal(capsys, "calibrate", path / "run", *given)
    assert answers in refusal(capsys, "attack", path / "net", "--checkpoint", path / "run", *given)
    assert answers in refusal(capsys, "run", path / "net", "--confidence", "0.9", *given)
    said = refusal(capsys, "export", path / "run", path / "target", "--target", "spinnaker2")
    assert "the script answers with a class a sample" in said
    assert not (path / "target").exists()


@pytest.mark.parametrize("made", ["classes"], indirect=True)
def test_what_takes_samples_for_whole_refuses_those_that_are_filled_up(made, capsys):
    _, path = made
    said = refusal(capsys, "calibrate", path / "run", "--data", path / "rivers")
    assert "takes all samples for 12 steps long, and these have different lengths" in said


@pytest.mark.parametrize("made", ["values", "labels"], indirect=True)
def test_stream_answers_as_predict_at_each_step(made, capsys, monkeypatch):
    import io

    output, path = made
    np.savez(path / "one.npz", inputs=INPUTS[:1])
    assert run("predict", path / "net", "--data", path / "one.npz", "--out", path / "one.csv",
               "--force") == 0  # fmt: skip
    lines = "\n".join(",".join(map(str, step)) for step in INPUTS[0].T)
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines + "\n"))
    capsys.readouterr()
    assert run("stream", path / "net", "--answers", "every", "--quiet") == 0
    streamed = [row["answer"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))]
    with (path / "one.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(streamed) == len(rows) == 12
    for said, row in zip(streamed, rows, strict=True):
        if output == "values":
            assert float(said) == pytest.approx(float(row["height"]), rel=1e-12)
        else:
            assert NAMES[int(said)] == row["answer"]


def test_a_fold_of_people_is_held_out_and_the_test_is_not_read(tmp_path, capsys):
    people = np.repeat(["ann", "bob", "cem"], 8)
    np.savez(tmp_path / "train.npz", inputs=INPUTS, lengths=LENGTHS, labels=LABELS, groups=people)
    arguments = ["train", "own", "--data", tmp_path, *SMALL]
    fold = ["--set", "task.valid_fold=2/3", "--out", tmp_path / "run"]
    assert run(*arguments, *fold) == 0
    assert capsys.readouterr().out.startswith("valid accuracy ")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["train_samples"], metrics["valid_samples"]) == (16, 8)
    assert not any(key.startswith("test") for key in metrics)
    assert config.load(tmp_path / "run" / "config.toml").task.valid_fold == "2/3"
    said = refusal(capsys, *arguments, "--set", "task.valid_fold=1/4")
    assert "'own' has 3 groups of training samples; expected 4 at least" in said
    both = ["--set", "task.valid_fold=1/3", "--set", "task.valid_samples=2"]
    assert "expected it alone, or task.valid_samples = 2 alone" in refusal(
        capsys, *arguments, *both
    )
