"""What a stranger can put beside or into a job: nothing of it is loaded, and nothing believed."""

import json
import os
import py_compile
import stat
import subprocess
import sys

import numpy as np
import pytest
from support.job_runs import refusal, rewrite, run_here, run_there, verify

from export.job import results as job_results
from export.samples.recording import Recording

PLANTED = "import pathlib\npathlib.Path({mark!r}).write_text('ran')\n"
# What run.py, or what it imports, would import by these names.
SHADOWS = (
    "zipfile.py", "ast.py", "__future__.py", "hashlib.py", "numpy.py", "neo.py", "numba.py",
    "code/neo.py", "code/numpy.py", "code/export/extra.py", "code/sitecustomize.py",
    "numpy/__init__.py", "code/neo/__init__.py", "network/quantities.py",
)


@pytest.mark.parametrize("name", SHADOWS)
def test_a_planted_module_is_refused_and_does_not_run(job_files, tmp_path, name):
    bundle, mark = job_files / "job", tmp_path / "mark"
    path = bundle / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(PLANTED.format(mark=str(mark)))
    status, _, err = run_there(bundle, "software", cwd=bundle, NUMBA_DISABLE_JIT="1")
    assert status == 2 and not mark.exists()
    first = path.parent if name == "code/neo/__init__.py" else path
    assert f"BundleError: {first} does not belong to this job: manifest.py does not list" in err
    assert "Delete it." in err


@pytest.mark.parametrize("name", ["manifest.cpython", "payload_000.cpython", "zipfile.cpython"])
@pytest.mark.parametrize("folder", ["", "code/export/job/"])
def test_planted_bytecode_is_refused_and_does_not_run(job_files, tmp_path, name, folder):
    bundle, mark = job_files / "job", tmp_path / "mark"
    (bundle / "inputs.npz").unlink()  # so that the payload would be loaded
    source = tmp_path / "planted.py"
    source.write_text(PLANTED.format(mark=str(mark)))
    cache = bundle / folder / "__pycache__"
    cache.mkdir()
    tag = f"{sys.version_info[0]}{sys.version_info[1]}"
    # Unchecked: valid whatever the source that stands beside it.
    py_compile.compile(
        str(source), str(cache / f"{name}-{tag}.pyc"),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    status, _, err = run_there(bundle, "software", cwd=bundle)
    assert status == 2 and not mark.exists()
    assert f"{folder}__pycache__ does not belong to this job" in err


@pytest.mark.parametrize("name", [
    "code/stray.pyc", "stray.pyc", "code/neo.so", "code/x.nbi", "code/data", "network/x",
    "deep/a.py",
])
def test_stray_files_that_python_might_load(job_files, tmp_path, name):
    path = job_files / "job" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    status, _, err = run_there(job_files / "job", "software", cwd=tmp_path)
    assert status == 2 and f"{path} does not belong to this job" in err


def test_a_folder_of_code_that_is_a_link_is_refused(job_files, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (job_files / "job" / "code" / "neo").symlink_to(tmp_path / "elsewhere")
    status, _, err = run_there(job_files / "job", "software", cwd=tmp_path)
    assert status == 2 and "neo does not belong to this job" in err


def test_what_a_user_leaves_beside_a_job_is_let_be(job_files, tmp_path):
    bundle = job_files / "job"
    for name in ("nohup.out", "notes.txt", "results/mine.py", ".git/hook.py", "logs/a.log"):
        (bundle / name).parent.mkdir(exist_ok=True)
        (bundle / name).write_text("")
    status, out, err = run_there(bundle, "software", cwd=tmp_path)
    assert status == 0, err
    status, out, err = run_there(bundle, "software", cwd=tmp_path)  # it left nothing of its own
    assert status == 0 and "0 samples run now" in out, err


def test_numba_keeps_nothing_in_a_job(job_files, tmp_path):
    bundle, before = job_files / "job", set((job_files / "job").rglob("*"))
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_DISABLE_JIT"}
    environment |= {"HOME": str(tmp_path / "home"), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, str(bundle / "run.py"), "software"], env=environment,
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    left = {p for p in set(bundle.rglob("*")) - before if not p.is_relative_to(bundle / "results")}
    assert not left and not (tmp_path / "cache").exists()


def test_a_job_that_may_not_be_written_to_runs(job_files, tmp_path):
    """Nor is there a home: neither numba nor Python needs a place of its own."""
    bundle = job_files / "job"
    for path in [*bundle.rglob("*"), bundle]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    try:
        status, _, err = run_there(
            bundle, "software", "--out", tmp_path / "out", cwd=tmp_path, HOME="/proc/none",
            NUMBA_DISABLE_JIT="0", XDG_CACHE_HOME="/proc/none", NUMBA_CACHE_DIR="",
        )
        assert status == 0, err
    finally:
        for path in [bundle, *bundle.rglob("*")]:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


@pytest.mark.parametrize("text", [
    "MANIFEST = open('x', 'w')", "MANIFEST = []", "x = 1", "MANIFEST = {'files': {'../x': ''}}",
    "MANIFEST = {'files': {'/etc/passwd': ''}}", "MANIFEST = " + "[" * 5000, "\0",
])
def test_a_manifest_is_read_and_never_run(job_files, tmp_path, text):
    (job_files / "job" / "manifest.py").write_text(text)
    status, _, err = run_there(job_files / "job", "software", cwd=tmp_path)
    assert status == 2 and "BundleError" in err and "Traceback" not in err
    assert "manifest.py" in err and not (tmp_path / "x").exists()


def test_a_pipe_in_place_of_a_file_is_refused(job_files, tmp_path):
    path = job_files / "job" / "inputs.npz"
    path.unlink()
    os.mkfifo(path)
    status, _, err = run_there(job_files / "job", "software", cwd=tmp_path)
    assert status == 2 and "inputs.npz cannot be read: it is no regular file" in err


# What comes back.

NAME = "samples-000000-000004"


@pytest.fixture
def results(job_files):
    assert run_here(job_files / "job", "software", "--chunk", 4) == 0
    return job_files / "job" / "results" / "software"


@pytest.mark.parametrize(("changes", "reason"), [
    ({"correct": 1000}, "1000 correct, or predictions, are not of 4 samples"),
    ({"correct": -1}, "samples, start, stop and correct are"),
    ({"correct": True}, "samples, start, stop and correct are"),
    ({"correct": "4"}, "samples, start, stop and correct are"),
    ({"start": -5}, "samples, start, stop and correct are"),
    ({"start": 1}, "are not those of its name"),
    ({"stop": 3}, "are not those of its name"),
    ({"stop": 4.0}, "samples, start, stop and correct are"),
    ({"samples": 3}, "are not those of its name"),
    ({"predictions": [0]}, "are not of 4 samples"),
    ({"predictions": "0123"}, "are not of 4 samples"),
    ({"predictions": [0, 1, 2, None]}, "are not of 4 samples"),
    ({"spikes": [1]}, "spikes are no counts"),
    ({"spikes": {"layer0": -1}}, "spikes are no counts"),
    ({"seconds": -1.0}, "seconds are -1.0"),
    ({"seconds": "1"}, "seconds are '1'"),
    ({"simulator": ["nest"]}, "simulator ['nest']"),
    ({"simulator": "other"}, "simulator 'other'"),
    ({"sha256": 5}, "the SHA-256"),
    ({"schema": 1}, "schema 1, expected 2"),
    ({"file": "../../x"}, "unexpected keyword argument 'file'"),
])
def test_a_chunk_that_says_what_cannot_be_is_no_result(results, changes, reason):
    rewrite(results / f"{NAME}.json", **changes)
    chunks, broken = job_results.read_chunks(results)
    assert [chunk.start for chunk in chunks] == [4]
    assert reason in broken[results / f"{NAME}.json"]


@pytest.mark.parametrize("text",
    ["[]", "7", "[" * 100000, '{"schema": 2', "9" * 5000, "{}", "\xff"],
)
def test_a_chunk_that_is_no_chunk_is_no_result(results, text):
    (results / f"{NAME}.json").write_text(text)
    chunks, broken = job_results.read_chunks(results)
    assert len(chunks) == len(broken) == 1


def test_every_bit_of_a_chunk_counts(results, job_files):
    """One flipped bit anywhere in the JSON file, and the samples are missing."""
    path = results / f"{NAME}.json"
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        chunks, broken = job_results.read_chunks(results)
        # A changed blank between two values is no change of what is said.
        assert broken or chunks[0].packed() == whole
    path.write_bytes(whole)
    assert verify(job_files, results) == 0


def test_what_a_chunk_counts_is_counted_anew(results, job_files, capsys):
    """A summary adds up what follows from the spikes, whatever the JSON files say."""
    summary = json.loads((results / "summary.json").read_text())
    for name in (NAME, "samples-000004-000008"):
        rewrite(
            results / f"{name}.json", correct=4, predictions=[2, 2, 2, 2], spikes={"layer0": 7}
        )
    capsys.readouterr()
    assert run_here(job_files / "job", "software") == 0
    assert "0 samples run now" in capsys.readouterr().out
    again = json.loads((results / "summary.json").read_text())
    assert again["accuracy"] == summary["accuracy"] and again["spikes"] == summary["spikes"]


def test_a_recording_of_another_shape_is_refused_and_run_again(results, job_files, capsys):
    import hashlib

    path = results / f"{NAME}.safetensors"
    recording = Recording.load(path)
    spikes = {name: values[:, :5] for name, values in recording.spikes.items()}
    Recording("software", recording.timestep, spikes).save(path)
    rewrite(results / f"{NAME}.json", sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert "has spikes of {" in refusal(capsys, verify, job_files, results)
    assert run_here(job_files / "job", "software", "--chunk", 4) == 0
    assert "not whole, runs again: samples-000000-000004.json" in capsys.readouterr().out
    assert verify(job_files, results) == 0


def test_no_mat_file_is_read(results, job_files):
    """Neo has the units of a file evaluated: what is there for the user is never looked at."""
    for path in results.glob("*.mat"):
        path.write_bytes(b"MATLAB 5.0" + np.random.default_rng(0).bytes(500))
    assert verify(job_files, results) == 0
    assert run_here(job_files / "job", "software") == 0


def test_escape_sequences_of_names_do_not_reach_the_terminal(results, job_files, capsys):
    (results / "samples-\x1b[2J.json").write_text("{}")
    assert run_here(job_files / "job", "software") == 0
    assert "\x1b" not in capsys.readouterr().out
