"""``snn-ssm stream`` and ``calibrate``: from lines of text to answers, and how sure they are."""

import io
import json
import socket
import sys
import threading
import time

import numpy as np
import pytest
from support.job_runs import run_here
from support.random_networks import checkpoint_of, samples_of

from export.command.arguments import main
from export.description.storage import load_network
from export.software.simulation import run
from export.streaming import Session, load_confidence
from export.streaming.lines import grown, values_of
from snn_ssm.checkpoint import save_checkpoint

CHECKPOINT = checkpoint_of(3, steps=24)


@pytest.fixture
def files(tmp_path):
    """A checkpoint, its network, samples labelled by the network itself, and two as lines."""
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", CHECKPOINT)
    assert main(["export", str(tmp_path / "checkpoint"), str(tmp_path / "network")]) == 0
    network = load_network(tmp_path / "network")
    inputs = samples_of(CHECKPOINT, 160)
    final = run(network, inputs, membranes=["readout"]).membranes["readout"][:, -1]
    np.savez(tmp_path / "samples.npz", inputs=inputs, labels=final.argmax(axis=1))
    (tmp_path / "signal").write_text(text_of(np.concatenate([inputs[0], inputs[1]], axis=1)))
    return tmp_path


def text_of(signal):
    return "".join(" ".join(map(str, values)) + "\n" for values in signal.T)


def answers_of(text):
    header, *rows = text.splitlines()
    assert header == "sample,step,answer,confidence,final"
    return [row.split(",") for row in rows]


def calibrate(files, *more):
    paths = [str(files / "checkpoint"), str(files / "network")]
    return main(["calibrate", *paths, "--data", str(files / "samples.npz"), *more])


def stream(files, monkeypatch, *more, signal=None):
    text = (files / "signal").read_text() if signal is None else signal
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    return main(["stream", str(files / "network"), *more])


def expected(files):
    network = load_network(files / "network")
    return Session(network).steps(np.concatenate(list(samples_of(CHECKPOINT, 2)), axis=1))


def test_every_step_has_an_answer(files, monkeypatch, capsys):
    assert stream(files, monkeypatch, "--answers", "every") == 0
    out, err = capsys.readouterr()
    assert [(int(s), int(k), int(c), f) for s, k, c, _, f in answers_of(out)] == [
        (a.sample, a.step, a.label, str(int(a.final))) for a in expected(files)
    ]
    assert "48 steps of 1 ms, of which 48 were computed" in err


def test_answers_that_change_and_final_ones(files, monkeypatch, capsys):
    every = expected(files)
    assert stream(files, monkeypatch, "--quiet") == 0
    out, err = capsys.readouterr()
    changed = [
        a for before, a in zip([None, *every], every, strict=False)
        if before is None or (a.sample, a.label) != (before.sample, before.label)
    ]  # fmt: skip
    assert [(int(row[0]), int(row[1])) for row in answers_of(out)] == [
        (a.sample, a.step) for a in changed
    ]
    assert 2 < len(changed) < 48 and not err
    assert stream(files, monkeypatch, "--answers", "final") == 0
    assert [row[:2] for row in answers_of(capsys.readouterr().out)] == [["0", "24"], ["1", "24"]]


def test_a_stream_goes_on_from_its_state(files, monkeypatch, capsys):
    lines = (files / "signal").read_text().splitlines(keepends=True)
    found = []
    for part in (lines[:17], lines[17:]):
        state = ["--state", str(files / "state"), "--answers", "every"]
        assert stream(files, monkeypatch, *state, signal="".join(part)) == 0
        found += answers_of(capsys.readouterr().out)
    assert [(int(row[0]), int(row[1]), int(row[2])) for row in found] == [
        (a.sample, a.step, a.label) for a in expected(files)
    ]


def test_calibrated_answers_come_early_and_as_calibrate_said(files, monkeypatch, capsys):
    assert calibrate(files, "--json", str(files / "rules.json")) == 0
    told = json.loads((files / "rules.json").read_text())
    assert told["calibrated"] == told["measured"] == 80
    rows = {row["rule"]: row for row in told["rules"]}
    assert rows["whole samples"]["accuracy"] == 1.0
    assert rows["confidence 0.8"]["steps"] < 1
    network = load_network(files / "network")
    assert load_confidence(files / "checkpoint", network).samples == 80
    out = capsys.readouterr().out
    assert "On 80 samples that were not calibrated with" in out and "coverage 0.9" in out
    for rule in (["--confidence", "0.8"], ["--coverage", "0.8"]):
        for backend in ("software", "spinnaker-software"):
            run_it = ["run", str(files / "network"), "--data", str(files / "samples.npz")]
            assert main([*run_it, "--backend", backend, "--json", "-", *rule]) == 0
            found = json.loads(capsys.readouterr().out)["early"]
            assert found.keys() == {"accuracy", "steps", "spikes"} and found["steps"] < 1
    assert stream(files, monkeypatch, "--confidence", "0.8", "--answers", "final") == 0
    out, err = capsys.readouterr()
    assert [row[0] for row in answers_of(out)] == ["0", "1"]
    steps = sum(int(row[1]) for row in answers_of(out))
    assert f"48 steps of 1 ms, of which {steps} were computed" in err


def test_export_takes_the_calibration_along(files):
    assert calibrate(files) == 0
    assert main(["export", str(files / "checkpoint"), str(files / "other")]) == 0
    network = load_network(files / "other")
    assert load_confidence(files / "other", network) == load_confidence(
        files / "checkpoint", network
    )
    again = ["export", str(files / "checkpoint"), str(files / "other"), "--force"]
    assert main(again) == 0


def test_a_network_of_another_checkpoint_is_not_calibrated(files, tmp_path, capsys):
    (tmp_path / "another").mkdir()
    save_checkpoint(tmp_path / "another", checkpoint_of(4, steps=24))
    arguments = [str(tmp_path / "another"), str(files / "network")]
    assert main(["calibrate", *arguments, "--data", str(files / "samples.npz")]) == 2
    assert "was exported from another checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "another" / "confidence.json").exists()


@pytest.mark.parametrize(
    ("signal", "more", "message"),
    [
        ("a\n", [], "line 1 of the signal is 'a'; expected a number a channel"),
        ("1\n1 2\n", [], "the values have shape (2, 1)"),
        ("1\n99\n", [], "expects integers of 4 bits"),
        ("1" * 2**20 + "\n", [], "a line of the signal is longer than"),
        ("", ["--confidence", "0.9"], "nothing is known about how sure"),
        ("", ["--endless"], "which has no end to be divided by"),
        ("", ["--follow", "f", "--listen", "0"], "--follow and --listen are two sources"),
        ("", ["--follow", "f"], "f cannot be read (No such file"),
        ("", ["--listen", "70000"], "127.0.0.1:70000 cannot be listened on"),
        ("", ["--backend", "torch"], "expected one of software, nest, spinnaker"),
        ("", ["--backend", "nest", "--state", "f"], "--state goes with --backend software alone"),
        ("", ["--backend", "nest", "--coverage", "0.9"], "--coverage goes with"),
        ("", ["--backend", "nest", "--confidence", "0.9"], "--confidence goes with"),
        ("", ["--backend", "nest", "--endless"], "needs a length in --backend nest; --steps is No"),
        ("", ["--backend", "spinnaker", "--steps", "0"], "--steps is 0"),
        ("a\n", ["--state", "no/state"], "cannot write no/state: No such file or directory"),
    ],
)
def test_what_is_no_signal_is_refused(files, monkeypatch, capsys, signal, more, message):
    assert stream(files, monkeypatch, *more, signal=signal) == 2
    assert message in capsys.readouterr().err


def test_nest_answers_as_software_does(files, monkeypatch, capsys, quiet_nest):
    pytest.importorskip("nest", reason="NEST is not installed")
    arguments = ["--backend", "nest", "--answers", "every"]
    assert stream(files, monkeypatch, *arguments) == 0
    out, err = capsys.readouterr()
    found = [[int(row[i]) for i in (0, 1, 2, 4)] for row in answers_of(out[out.index("sample,") :])]
    assert found == [[a.sample, a.step, a.label, a.final] for a in expected(files)]
    assert "48 steps of 1 ms: " in err


def test_a_refused_line_loses_no_state(files, monkeypatch, capsys):
    state = ["--state", str(files / "state"), "--answers", "every"]
    lines = (files / "signal").read_text().splitlines(keepends=True)
    assert stream(files, monkeypatch, *state, signal="".join(lines[:9]) + "bad\n") == 2
    assert stream(files, monkeypatch, *state, signal="".join(lines[9:])) == 0
    first, second = capsys.readouterr().out.split("final\n")[1:]
    assert len(first.splitlines()) == 9 + 1  # and the header's beginning
    found = [row.split(",") for row in second.splitlines()]
    assert [int(row[2]) for row in found] == [a.label for a in expected(files)[9:]]


def test_a_file_that_grows_is_followed_until_it_is_gone(tmp_path):
    path = tmp_path / "signal"
    path.write_text("1 2\n3 ")
    found, lines = [], grown(path)
    found.append(next(lines))
    with path.open("a") as more:
        more.write("4\n\n5 6\n")
    found += [next(lines), next(lines)]
    path.unlink()
    assert [values_of(line, 1) for line in (*found, *lines)] == [[1, 2], [3, 4], [5, 6]]


def test_a_caller_on_this_computer_is_answered(files, capsys):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    arguments = ["stream", str(files / "network"), "--listen", str(port), "--answers", "every"]
    status = []
    thread = threading.Thread(target=lambda: status.append(main(arguments)))
    thread.start()
    for _ in range(200):
        try:
            caller = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    with caller, caller.makefile("rw") as both:
        assert both.readline() == "sample,step,answer,confidence,final\n"
        for line, answer in zip(
            (files / "signal").read_text().splitlines(), expected(files), strict=True
        ):
            both.write(line + "\n")
            both.flush()
            assert both.readline().split(",")[:3] == [
                str(answer.sample), str(answer.step), str(answer.label)
            ]
        caller.shutdown(socket.SHUT_WR)
        assert both.readline() == ""
    thread.join(20)
    assert status == [0]


@pytest.mark.parametrize("count", [1, 2, 38])
def test_too_few_samples_calibrate_nothing(files, capsys, count):
    assert calibrate(files, "--samples", str(count)) == 2
    said = f"there are {(count + 1) // 2} samples to calibrate with; expected 20 at least"
    assert said in capsys.readouterr().err
    assert not (files / "checkpoint" / "confidence.json").exists()


def test_where_nothing_can_be_written_nothing_is_calibrated(files, capsys):
    (files / "network" / "confidence.json").mkdir()
    assert calibrate(files) == 2
    assert "confidence.json: Is a directory" in capsys.readouterr().err
    assert not (files / "checkpoint" / "confidence.json").exists()


def test_predictions_come_early_too(files, capsys):
    assert calibrate(files) == 0
    arguments = ["predict", str(files / "network"), "--data", str(files / "samples.npz")]
    run_it = ["run", str(files / "network"), "--data", str(files / "samples.npz")]
    rule = ["--confidence", "0.8"]
    capsys.readouterr()
    assert main([*run_it, "--json", "-", *rule]) == 0
    early = json.loads(capsys.readouterr().out)["early"]
    for backend in ("software", "spinnaker-software"):
        assert main([*arguments, "--backend", backend, "--json", "-", *rule]) == 0
        found = json.loads(capsys.readouterr().out)
        assert len(found["steps"]) == 160 and min(found["confidence"]) > 0
        if backend == "software":
            assert np.mean(found["steps"]) / 24 == pytest.approx(early["steps"])
            with np.load(files / "samples.npz") as samples:
                right = np.mean(np.array(found["answers"]) == samples["labels"])
            assert right == early["accuracy"]
    assert main([*arguments, "--out", str(files / "out.csv"), *rule]) == 0
    first = (files / "out.csv").read_text().splitlines()[:2]
    assert first[0].startswith("sample,steps,answer,confidence,score_") and "0," in first[1]
    assert "early: " in capsys.readouterr().out


def test_early_answers_to_samples_of_any_length_are_refused(files, capsys):
    assert calibrate(files) == 0
    with np.load(files / "samples.npz") as found:
        arrays = dict(found)
    np.savez(files / "short.npz", **arrays, lengths=np.full(160, 9))
    arguments = ["predict", str(files / "network"), "--data", str(files / "short.npz")]
    assert main([*arguments, "--coverage", "0.9"]) == 2
    assert "these have lengths of their own" in capsys.readouterr().err


def test_the_answers_of_a_job_would_have_come_early(files, tmp_path, capsys):
    assert calibrate(files) == 0
    network, data = str(files / "network"), ["--data", str(files / "samples.npz")]
    eight = [*data, "--samples", "8"]
    assert main(["job", network, str(tmp_path / "job"), *eight, "--without-board"]) == 0
    assert run_here(tmp_path / "job", "software", "--out", tmp_path / "results") == 0
    capsys.readouterr()
    rule = ["--confidence", "0.8", "--json", "-"]
    assert main(["verify", network, "--recording", str(tmp_path / "results"), *data, *rule]) == 0
    found = json.loads(capsys.readouterr().out)["early"]
    assert main(["run", network, *eight, *rule]) == 0
    assert found == json.loads(capsys.readouterr().out)["early"]
    assert main(["verify", network, *eight, *rule]) == 2
    assert "--confidence says what a job's early answers" in capsys.readouterr().err
    with np.load(files / "samples.npz") as arrays:
        np.savez(files / "short.npz", **arrays, lengths=np.full(160, 9))
    data = ["--data", str(files / "short.npz")]
    assert main(["verify", network, "--recording", str(tmp_path / "results"), *data, *rule]) == 2
    assert "early exit takes all samples for 24 steps long" in capsys.readouterr().err
