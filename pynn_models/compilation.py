"""Code that is compiled on first use and kept: one process compiles, no other sees half a file."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

VARIABLE = "SNN_SSM_CACHE"


def user_cache(name: str) -> Path | None:
    """$SNN_SSM_CACHE, else $XDG_CACHE_HOME/snn-ssm/NAME, else ~/.cache/snn-ssm/NAME.

    None for a user without a home directory.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    # The XDG specification has relative paths ignored.
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        base = xdg if xdg.is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # a user without a home, as in some containers
        return None
    return base / "snn-ssm" / name


@functools.cache
def temporary_directory() -> Path:
    """A directory that lasts as long as this process."""
    directory = tempfile.mkdtemp(prefix="snn-ssm-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that other processes wait for."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, or the process dies
        yield


def compile_into(target: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a compiler, ``-o`` and a file added, and have its result replace ``target`` at once.

    The lock of ``target`` is held. What a compilation that was killed left is removed.
    """
    for left in target.parent.glob(f"{target.stem}*.tmp"):
        left.unlink()
    descriptor, name = tempfile.mkstemp(prefix=target.stem, suffix=".tmp", dir=target.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        result = subprocess.run(
            [*command, "-o", name], capture_output=True, text=True, check=False
        )
        if result.returncode == 0:
            temporary.chmod(0o755)
            os.replace(temporary, target)  # atomic: no process ever sees half a file
        return result
    finally:
        temporary.unlink(missing_ok=True)
