"""A job shared out: parts of an array job, processes of one machine."""

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.job_runs import CHECKPOINT, SAMPLES, make, manifest_of, run_here, start, verify
from support.random_networks import samples_of

from export.job import make as job
from export.job import runner as job_runner
from export.job.chunk import JobError
from export.job.parts import Part, alone, in_turn, part_of
from export.job.recorder import Recorder
from export.lowering.network import lower
from snn_ssm.tasks import Samples


@pytest.fixture
def files(tmp_path):
    return make(tmp_path, lower(CHECKPOINT), SAMPLES)


def summary_of(results):
    return json.loads((results / "summary.json").read_text())


def without_seconds(summary):
    return {k: v for k, v in summary.items() if k not in ("seconds", "files")}


@given(st.integers(1, 40), st.integers(1, 200))
def test_parts_are_all_samples_once(count, samples):
    parts = [Part(i, count).of([(0, samples)], samples) for i in range(1, count + 1)]
    found = [k for ranges in parts for start, stop in ranges for k in range(start, stop)]
    assert found == list(range(samples))
    sizes = [sum(b - a for a, b in ranges) for ranges in parts]
    assert max(sizes) - min(sizes) <= 1


def test_of_a_part_what_is_missing():
    assert Part(2, 4).of([(0, 3), (4, 6), (7, 8)], 8) == [(2, 3)]
    assert Part(3, 4).of([(0, 3), (4, 6), (7, 8)], 8) == [(4, 6)]


def test_the_tasks_of_an_array_job_are_the_whole_job(files, capsys):
    bundle, results = files / "job", files / "together"
    for i in (3, 1, 2):
        assert run_here(bundle, "software", "--out", results, "--part", f"{i}/3") == 0
        assert f"part {i}/3 complete, " in capsys.readouterr().out
    assert run_here(bundle, "software", "--out", results) == 0
    assert "complete, 0 samples run now" in capsys.readouterr().out
    assert run_here(bundle, "software", "--out", files / "alone") == 0
    together, whole = summary_of(results), summary_of(files / "alone")
    assert without_seconds(together) == without_seconds(whole) and whole["complete"]
    assert len(together["files"]) == 3
    assert verify(files, results) == 0


def test_the_last_of_tasks_that_run_at_once_sees_what_the_others_ran(files, monkeypatch):
    bundle, results = files / "job", files / "together"
    assert run_here(bundle, "software", "--out", files / "alone", "--part", "1/1") == 0
    own = Recorder._run_chunk

    def while_another_runs(self, *arguments):
        monkeypatch.setattr(Recorder, "_run_chunk", own)
        assert run_here(bundle, "software", "--out", results, "--part", "2/2") == 0
        assert summary_of(results)["missing"] == [[0, 4]]
        return own(self, *arguments)

    monkeypatch.setattr(Recorder, "_run_chunk", while_another_runs)
    assert run_here(bundle, "software", "--out", results, "--part", "1/2") == 0
    found = summary_of(results)
    assert found["complete"] and len(found["files"]) == 2
    assert without_seconds(found) == without_seconds(summary_of(files / "alone"))


def test_who_summarises_waits_for_whoever_does(tmp_path):
    def turn():
        with in_turn(tmp_path):
            return True

    with ThreadPoolExecutor(1) as other:
        with in_turn(tmp_path):
            waiting = other.submit(turn)
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
        assert waiting.result(60)


def test_processes_run_the_whole_job(files, capfd, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # of the processes that begin now
    assert run_here(files / "job", "software", "--processes", 2, "--chunk", 3) == 0
    assert "summary.json: complete by 2 processes" in capfd.readouterr().out
    results = files / "job" / "results" / "software"
    found = summary_of(results)
    assert found["complete"] and found["samples_done"] == 8 and len(found["files"]) == 4
    assert verify(files, results) == 0


def test_a_process_that_fails_ends_the_run_with_its_status(files, capfd):
    (files / "job" / "network" / "network.json").write_text("{}")
    bundle = files / "job"
    assert job_runner.main(bundle, manifest_of(bundle), ["software", "--processes", "2"]) == 2
    assert "was altered" in capfd.readouterr().err
    assert not (bundle / "results").exists()


def test_ctrl_c_reaches_the_processes_and_what_is_done_stays(files, tmp_path):
    many = Samples(samples_of(CHECKPOINT, 400, seed=3), np.zeros(400, np.int64))
    bundle, results = tmp_path / "long", tmp_path / "out"
    job.make_job(files / "network", many, bundle)
    process = start(
        bundle, "software", "--chunk", 1, "--out", results, "--processes", 2, cwd=tmp_path
    )
    begun = time.monotonic()
    while len(list(results.glob("samples-*.json"))) < 3 and process.poll() is None:
        assert time.monotonic() - begun < 60
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "goes on from here" in said
    with alone(results, None):  # nobody writes any more
        done = len(list(results.glob("samples-*.json")))
    assert 3 <= done < 400


def test_parts_do_not_wait_for_each_other_and_the_whole_does(tmp_path):
    with alone(tmp_path, Part(1, 2)), alone(tmp_path, Part(2, 2)):
        for part in (Part(1, 2), None):
            with pytest.raises(JobError, match="another run writes"), alone(tmp_path, part):
                pass
    with alone(tmp_path, None), pytest.raises(JobError), alone(tmp_path, Part(1, 2)):
        pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--part", "0/3"], "--part is '0/3'; expected I/N"),
        (["--part", "4/3"], "expected I/N"),
        (["--part", "1"], "expected I/N"),
        (["--part", "1/2/3"], "expected I/N"),
        (["--processes", "0"], "--processes is 0; expected at least 1"),
        (["--processes", "2", "--part", "1/2"], "is a part of the job already"),
    ],
)
def test_what_is_no_part_is_refused(files, capsys, arguments, message):
    assert run_here(files / "job", "software", *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_board_is_one(files, capsys):
    assert run_here(files / "job", "spiNNaker", "--processes", 2) == 2
    assert "and a job has one board" in capsys.readouterr().err


def test_a_part_says_its_number():
    assert str(part_of("12/16")) == "12/16"
