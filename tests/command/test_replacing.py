"""Outputs that are replaced: at once, whatever ends it, and whatever they are called."""

import os
import signal
import subprocess
import sys
import time

import pytest
from support.random_networks import checkpoint_of

from export.command import output
from export.command.arguments import main
from export.command.output import directory
from snn_ssm.checkpoint import save_checkpoint
from snn_ssm.files import FileError


@pytest.fixture
def files(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", checkpoint_of(5, steps=20))
    return tmp_path


def export(files, name, *more):
    return main(["export", str(files / "checkpoint"), str(files / name), *more])


def content(path):
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def test_names_as_long_as_they_may_be(files):
    name = "n" * 255
    assert export(files, name) == 0
    before = content(files / name)
    assert export(files, name, "--force") == 0
    assert content(files / name) == before
    assert sorted(os.listdir(files)) == ["checkpoint", name]


def test_what_a_killed_write_left_within_is_replaced_too(files):
    assert export(files, "net") == 0
    (files / "net" / f".network.json.{'0' * 12}.part").touch()
    assert export(files, "net", "--force") == 0
    assert not any(name.endswith(".part") for name in os.listdir(files / "net"))


@pytest.mark.parametrize("trade", [True, False], ids=["at once", "one after another"])
def test_the_old_one_is_there_until_the_new_one_is(tmp_path, monkeypatch, trade):
    if not trade:
        monkeypatch.setattr(output.ctypes, "CDLL", lambda *_, **__: object())
    old = tmp_path / "net"
    old.mkdir()
    (old / "a").write_text("old")

    def replaced(text):
        with directory(old, "network", ("a",), True) as new:
            new.mkdir()
            (new / "a").write_text(text)

    rename = os.rename

    def interrupted(one, other):
        if str(one).endswith(".n") and str(other) == str(old):
            raise KeyboardInterrupt
        rename(one, other)

    if not trade:
        monkeypatch.setattr(os, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            replaced("new")
        assert content(old) == {"a": b"old"} and os.listdir(tmp_path) == ["net"]
        monkeypatch.setattr(os, "rename", rename)
    replaced("new")
    assert content(old) == {"a": b"new"} and os.listdir(tmp_path) == ["net"]


def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "a").touch()
    with (
        pytest.raises(FileError, match=r"cannot replace the network .*net: No such file"),
        directory(tmp_path / "net", "network", ("a",), True),
    ):
        pass  # nothing was written to take its place
    assert os.listdir(tmp_path / "net") == ["a"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_export_that_is_ended_leaves_what_was_there(files, number):
    assert export(files, "net") == 0
    before = content(files / "net")
    script = (
        "import sys, time\n"
        "from export.description import storage\n"
        "write = storage.write_atomic\n"
        "def slow(path, *parts):\n"
        "    write(path, *parts)\n"
        "    print('written', flush=True)\n"
        "    time.sleep(60)\n"
        "storage.write_atomic = slow\n"
        "from snn_ssm.__main__ import main\n"
        "sys.exit(main())\n"
    )
    arguments = ["export", files / "checkpoint", files / "net", "--force"]
    started = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert started.stdout.readline() == "written\n"
    begun = time.monotonic()
    started.send_signal(number)
    _, said = started.communicate(timeout=60)
    assert (started.returncode, said) == (130, "snn-ssm: interrupted\n")
    assert time.monotonic() - begun < 50
    assert content(files / "net") == before
    assert sorted(os.listdir(files)) == ["checkpoint", "net"]


@pytest.mark.parametrize("more", [[], ["--force"]])
def test_a_name_that_is_too_long_is_no_bug(files, capsys, more):
    assert export(files, "n" * 256, *more) == 2
    assert main(["evaluate", str(files / "checkpoint"), "--json", "n" * 256]) == 2
    said = capsys.readouterr().err
    assert said.count("File name too long. Check the name") == 2 and "Traceback" not in said


def test_a_folder_that_nobody_may_read_is_no_bug(files, capsys, monkeypatch):
    (files / "net").mkdir()

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(output.Path, "iterdir", refused)
    assert export(files, "net") == 2
    assert "net: Permission denied. Check the name, and who may" in capsys.readouterr().err
