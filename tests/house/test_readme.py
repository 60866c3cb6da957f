"""The README's commands run as they stand, on the shipped checkpoint and data."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from support.files import ROOT

from export.command.arguments import main

README = (ROOT / "README.md").read_text()
CHECKPOINT = ROOT / "examples" / "checkpoints" / "smnist-binary-s4d"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands():
    lines = "".join(blocks("sh")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("snn-ssm ")]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A directory that looks like a clone to a command with relative paths."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_readme_and_its_python(clone, capsys):
    pytest.importorskip("nest", reason="NEST is not installed")
    export, *others = commands()
    assert [c[1] for c in (export, *others)] == ["export", "inspect", "run", "verify"]
    # What it says can be typed twice: it finds what an earlier time left.
    (clone / "verify.json").write_text("{}")
    for command in (export, export, *others):
        assert main(command[1:]) == 0, command
    assert sorted(p.name for p in clone.iterdir()) == ["examples", "network", "verify.json"]
    result = json.loads((clone / "verify.json").read_text())
    assert result["samples"] == 10
    assert result["contract"] == {"E2": True, "E3": True, "E5": True}
    assert result["backends"]["nest"]["accuracy"] >= 0.9
    shown = "\n".join(blocks("python")) + "print(recording.spikes['layer3'].sum() > 0)\n"
    done = run("-c", shown, cwd=clone)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True"


def test_make_knows_the_readmes_targets():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make (\S+)", "".join(blocks("sh")), re.MULTILINE)
    assert targets == ["demo", "test", "docs"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_demo(tmp_path, capsys):
    pytest.importorskip("nest", reason="NEST is not installed")
    # A second demo replaces the first, whose network is another's here.
    other = CHECKPOINT.with_name("smnist-stock")
    assert main(["export", str(other), str(tmp_path / "network")]) == 0
    old = (tmp_path / "network" / "network.json").read_bytes()
    for name in ("verify.json", "report.html"):
        (tmp_path / name).write_text("old")
    assert main(["demo", "--out", str(tmp_path), "--samples", "3"]) == 0
    assert "nest" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["network", "report.html", "verify.json"]
    assert (tmp_path / "network" / "network.json").read_bytes() != old
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert json.loads((tmp_path / "verify.json").read_text())["samples"] == 3
    assert main(["demo", "--out", str(tmp_path), "--samples", "201"]) == 2
    assert "ships 200 images" in capsys.readouterr().err


def run(*argv, cwd):
    # As in an environment that is activated, where PyNN finds what it then fails to build with.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYNEST_QUIET": "1", "PATH": path}
    return subprocess.run(
        [sys.executable, *argv], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_the_pynn_script_adds_its_own_population(tmp_path):
    pytest.importorskip("nest", reason="NEST is not installed")
    done = run(str(ROOT / "examples" / "pynn_script.py"), "nest", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    classes = next(line for line in lines if line.startswith("classes"))
    labels = next(line for line in lines if line.startswith("labels"))
    assert classes.split()[1:] == labels.split()[1:]
    own = next(line for line in lines if line.startswith("spikes of my own population"))
    assert sum(ast.literal_eval(own.split(":")[1].strip())) > 0
    assert "cmake" not in done.stderr and "nest-config" not in done.stderr


def test_the_export_script(tmp_path):
    pytest.importorskip("nest", reason="NEST is not installed")
    done = run(str(ROOT / "examples" / "export_and_run.py"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mismatched spikes: 0" in done.stdout
