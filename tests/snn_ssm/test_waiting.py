"""Idle threads of OpenMP sleep while the command line trains, unless a user wants otherwise."""

import os
import subprocess
import sys

import pytest

CODE = """
import os, sys
from export.command import actions
sys.meta_path.insert(0, type("Stop", (), {"find_spec": staticmethod(
    lambda name, *_: print(os.environ.get("OMP_WAIT_POLICY")) or sys.exit(0)
    if name == "torch" else None)}))
getattr(actions, sys.argv[1])(None)
"""


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(("given", "expected"), [(None, "passive"), ("active", "active")])
def test_it_is_said_before_torch_is_loaded(command, given, expected):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    done = subprocess.run(
        [sys.executable, "-c", CODE, command],
        env=environment, capture_output=True, text=True, timeout=60,
    )
    assert done.stdout == f"{expected}\n", done.stderr
