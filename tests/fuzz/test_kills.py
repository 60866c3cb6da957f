"""SIGKILL at any moment: nothing is lost, and what is started again comes to the same bytes."""

import os
import subprocess
import sys

import pytest
from support.files import ROOT


def kill(what, directory, kills, seed):
    worker = ROOT / "tests" / "support" / "kill_worker.py"
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(worker), what, str(directory), str(kills), str(seed)],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, cwd=directory.parent,
    )
    log = directory.parent / f"{directory.name}.log"
    said = done.stdout + done.stderr
    assert done.returncode == 0, said + (log.read_text() if log.exists() else "")
    assert "all the same bytes" in done.stdout
    print(done.stdout)


@pytest.mark.parametrize("what", ["train", pytest.param("job", marks=pytest.mark.slow), "write"])
def test_a_handful_of_kills(tmp_path, what):
    if what == "train":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    kill(what, tmp_path / what, 5, 1)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["train", "job", "write"])
def test_a_hundred_kills(tmp_path, what):
    kill(what, tmp_path / what, 100, 2)
