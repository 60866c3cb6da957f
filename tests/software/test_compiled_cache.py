"""Where compiled functions are kept: with the user, or not at all, and then a warning says so."""

import os
import shutil
import stat
import subprocess
import sys
import warnings

import pytest
from support.files import ROOT

from pynn_models import jit
from pynn_models.private import UncachedWarning, is_private

RUN = """
import ctypes
# Without capabilities even root may write only what the modes of files let him write.
header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capset(header, none) == 0
from export.software import loops
print("imported", loops.__file__)
"""


@pytest.fixture(autouse=True)
def said_nothing():
    """A warning is given once a process."""
    jit._warn.cache_clear()


def plus(a, b):
    return a + b


def test_it_is_cached_where_only_the_user_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(jit.numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(jit.numba.config, "DISABLE_JIT", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert jit.njit()(plus)(1, 2) == 3
    assert list((tmp_path / "cache").rglob("*.nbi"))


def test_a_cache_that_others_may_write_to_is_not_used(tmp_path, monkeypatch):
    place = tmp_path / "cache"
    place.mkdir()
    place.chmod(0o777)
    monkeypatch.setattr(jit.numba.config, "CACHE_DIR", str(place))
    monkeypatch.setattr(jit.numba.config, "DISABLE_JIT", 0)
    with pytest.warns(UncachedWarning, match="others may write to .*NUMBA_CACHE_DIR"):
        compiled = jit.njit()(plus)
    assert compiled(1, 2) == 3 and not list(place.rglob("*.nb*"))


def test_no_place_for_a_cache(monkeypatch):
    def no_locator(*_, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available for file 'x'")
        return lambda function: function

    monkeypatch.setattr(jit.numba, "njit", no_locator)
    with pytest.warns(UncachedWarning, match="there is no place for them: cannot cache"):
        assert jit.njit()(plus)(1, 2) == 3


def test_a_read_only_package_without_a_home(tmp_path):
    root = tmp_path / "package"
    for name in ("export", "pynn_models", "snn_ssm"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*root.rglob("*"), root]:
        path.chmod(path.stat().st_mode & ~stat.S_IWUSR)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "XDG"))}
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tmp_path, text=True, capture_output=True,
        env=environment | {"PYTHONPATH": str(root), "HOME": "/proc/none"},
    )
    for path in [root, *root.rglob("*")]:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    assert done.returncode == 0 and f"imported {root}" in done.stdout, done.stderr
    assert "UncachedWarning: compiled functions are not kept" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_private(tmp_path):
    tmp_path.chmod(0o700)
    own = tmp_path / "own"
    own.mkdir(mode=0o755)
    assert is_private(own) and is_private(own / "not there yet")
    own.chmod(0o757)
    assert not is_private(own) and not is_private(own / "below")
    own.chmod(0o1777)
    assert not is_private(own) and is_private(own / "below")  # as below /tmp
    own.chmod(0o700)
    (own / "file").write_text("")
    (own / "file").chmod(0o666)
    assert not is_private(own / "file")


def test_what_another_user_owns_is_not_private(tmp_path, monkeypatch):
    assert is_private(tmp_path)
    mine = os.geteuid()
    monkeypatch.setattr("pynn_models.private.os.geteuid", lambda: mine + 12345)
    assert is_private(tmp_path) == (mine == 0)  # root may be trusted, another user not
