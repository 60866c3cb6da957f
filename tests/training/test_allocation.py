"""Training keeps the memory of freed arrays, on glibc only, and computes the same with it."""

import json
import os
import subprocess
import sys

import pytest
from support.files import ROOT

pytest.importorskip("torch", reason="PyTorch is not installed")

from snn_ssm.training import allocation

needs_glibc = pytest.mark.skipif(not allocation._is_glibc(), reason="the C library is not glibc")
PAGES = 2**26 // os.sysconf("SC_PAGE_SIZE")  # of the worker's array


def worker(what, out, **environment):
    found = subprocess.run(
        [sys.executable, "-m", "support.allocation_worker", what, out], cwd=ROOT / "tests",
        env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.slow
@needs_glibc
def test_training_reuses_memory_and_no_bit_depends_on_it(tmp_path):
    kept = worker("train", tmp_path / "kept")
    left = worker("train", tmp_path / "left", **{allocation.VARIABLE: "0"})
    assert kept["faults"] < PAGES / 1000
    # Huge pages, where the kernel gives them to all, are 512 of these each.
    assert left["faults"] >= PAGES / 512
    assert kept["model"] == left["model"] is not None


@needs_glibc
def test_evaluation_reuses_memory(tmp_path):
    assert worker("evaluate", tmp_path)["faults"] < PAGES / 1000


@needs_glibc
def test_importing_changes_nothing(tmp_path):
    assert worker("nothing", tmp_path)["faults"] >= PAGES / 512


@pytest.fixture
def mallopts(monkeypatch):
    """The settings that a fresh call makes of a C library that takes each."""
    calls = []

    class Library:
        @staticmethod
        def mallopt(*setting):
            calls.append(setting)
            return 1

    allocation.keep_memory.cache_clear()
    monkeypatch.delenv(allocation.VARIABLE, raising=False)
    monkeypatch.setattr(allocation.ctypes, "CDLL", lambda name: Library)
    yield calls
    allocation.keep_memory.cache_clear()


def test_it_is_set_once(mallopts, monkeypatch):
    monkeypatch.setattr(allocation, "_is_glibc", lambda: True)
    assert allocation.keep_memory() and allocation.keep_memory()
    assert mallopts == [(-4, 0), (-1, -1)]  # M_MMAP_MAX, M_TRIM_THRESHOLD


def unknown_name(name):
    raise ValueError("unrecognized configuration name")  # macOS


def refused(name):
    raise OSError(22, "Invalid argument")  # a libc that has the name and no value


@pytest.mark.parametrize("confstr", [unknown_name, refused, lambda name: None])
def test_another_c_library_is_left_alone(mallopts, monkeypatch, confstr):
    monkeypatch.setattr(allocation.os, "confstr", confstr)
    assert not allocation.keep_memory()
    assert mallopts == []


def test_a_system_without_the_question_is_left_alone(mallopts, monkeypatch):
    monkeypatch.delattr(allocation.os, "confstr")  # Windows
    assert not allocation.keep_memory()
    assert mallopts == []


def test_it_can_be_turned_off(mallopts, monkeypatch):
    monkeypatch.setattr(allocation, "_is_glibc", lambda: True)
    monkeypatch.setenv(allocation.VARIABLE, "0")
    assert not allocation.keep_memory()
    assert mallopts == []
