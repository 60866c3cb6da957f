"""The cores' C is compiled on first use and kept; where it cannot be, Python takes its place."""

import importlib.util

import pytest

pytest.importorskip("unicorn", reason="Unicorn, which executes ARM code, is not installed")

from pynn_models.spinnaker.board import compiled, emulated_board, native_core
from pynn_models.spinnaker.board.compiled import NoNativeCoreError, build_library
from pynn_models.spinnaker.board.errors import UnicornNotInstalledError
from pynn_models.spinnaker.board.makers import native_or_python
from pynn_models.spinnaker.board.native_core import NativeCore
from pynn_models.spinnaker.board.python_core import PythonCore


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and nothing loaded."""
    monkeypatch.setenv("SNN_SSM_CACHE", str(tmp_path / "a cache"))
    monkeypatch.delenv("CC", raising=False)
    native_core.library.cache_clear()
    yield tmp_path / "a cache"
    native_core.library.cache_clear()


def script(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_it_is_compiled_once(cache, monkeypatch, tmp_path):
    found = build_library()
    assert found.parent == cache and found == build_library()
    before = found.stat().st_mtime_ns
    assert native_or_python([].append) is NativeCore and found.stat().st_mtime_ns == before
    monkeypatch.setattr(compiled, "_FLAGS", (*compiled._FLAGS, "-g"))
    assert build_library() != found


def test_without_a_compiler_the_cores_are_python(cache, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    said = []
    assert native_or_python(said.append) is PythonCore
    assert "slow" in said[0] and "no C compiler 'no-such-compiler'" in said[0]
    assert "apt-get install gcc" in said[0]


def test_what_a_compiler_says_is_passed_on(cache, monkeypatch, tmp_path):
    body = 'case "$1" in --version) echo 1;; *) echo "it is broken" >&2; exit 3;; esac'
    monkeypatch.setenv("CC", script(tmp_path / "broken", body))
    with pytest.raises(NoNativeCoreError, match=r"(?s)exit status 3.*set CC.*it is broken"):
        build_library()
    (tmp_path / "broken").write_bytes(b"\x7fELF no program")
    with pytest.raises(NoNativeCoreError, match="cannot be run"):
        build_library()


def test_nothing_is_loaded_that_another_user_can_have_put_there(cache):
    cache.mkdir()
    cache.chmod(0o777)
    with pytest.raises(NoNativeCoreError, match=r"another user.*chmod 700"):
        build_library()


def test_a_cache_that_cannot_be_written_is_told(cache):
    cache.write_text("a file")
    with pytest.raises(NoNativeCoreError, match=r"cannot be stored.*SNN_SSM_CACHE"):
        build_library()


def test_without_unicorn_there_is_no_board(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "unicorn" else find(name)
    )
    with pytest.raises(UnicornNotInstalledError, match=r"pip install 'snn-ssm\[spinnaker\]'"):
        emulated_board()
