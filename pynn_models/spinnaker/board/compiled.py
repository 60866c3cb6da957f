"""Compiles the cores' C on first use, and keeps it in the user's cache, as the NEST neuron is.

    file = cache / ("board-" + hash(sources, flags, compiler, Unicorn, machine) + ".so")

Unicorn's headers are those of its Python package, and its functions are found in the library that
the package has loaded. A change to anything that goes into the hash asks for another file.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.metadata
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

from pynn_models.compilation import VARIABLE, compile_into, locked, temporary_directory, user_cache
from pynn_models.private import is_private
from pynn_models.spinnaker.board.errors import EmulatedBoardError

_SOURCES = sorted((Path(__file__).resolve().parent / "c").glob("*.c"))
_FLAGS = ("-std=c11", "-O2", "-fPIC", "-shared", "-pthread")
_LINES_SHOWN = 20


class NoNativeCoreError(EmulatedBoardError):
    """The cores' C cannot be compiled or loaded here."""


@functools.cache
def unicorn_library() -> ctypes.CDLL:
    """The library of the Python package, its functions visible to libraries loaded later."""
    import unicorn

    folder = Path(unicorn.__file__).parent / "lib"
    [path] = folder.glob("libunicorn.so*")
    return ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)


def build_library() -> Path:
    """The compiled library's path; compiles (about a second) if the cache does not hold it.

    Raises :class:`NoNativeCoreError`.
    """
    compiler = _compiler()
    command = [*compiler, *_FLAGS, f"-I{_headers()}", *map(str, _SOURCES)]
    name = f"board-{_key(compiler)}.so"
    cache = user_cache("board")
    try:
        return _build(cache or temporary_directory(), name, command)
    except OSError as error:
        if os.environ.get(VARIABLE):
            raise NoNativeCoreError(
                f"the board's compiled cores cannot be stored in {cache}: "
                f"{error.strerror or error}. Expected a directory this user may write to. Set the "
                f"environment variable {VARIABLE} to one."
            ) from error
        return _build(temporary_directory(), name, command)


def _build(directory: Path, name: str, command: list[str]) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory / name
    for path in (directory, found):
        if not is_private(path):
            raise NoNativeCoreError(
                f"{path} can have been put there by another user; code is not loaded from there. "
                f"Set the environment variable {VARIABLE} to a directory that is yours alone "
                "(chmod 700)."
            )
    if found.exists():
        return found
    with locked(found.with_suffix(".lock")):
        if not found.exists():
            result = compile_into(found, command)
            if result.returncode != 0:
                tail = "\n".join(result.stderr.splitlines()[-_LINES_SHOWN:])
                raise NoNativeCoreError(
                    f"{shlex.join(command[:1])} could not compile {_SOURCES[0].parent} (exit "
                    f"status {result.returncode}); expected gcc and unicorn 2.1 from PyPI. Install "
                    f"these, or set CC to another compiler. Its last lines:\n{tail}"
                )
    return found


def _compiler() -> list[str]:
    words = shlex.split(os.environ.get("CC", "")) or ["gcc"]
    found = shutil.which(words[0])
    if found is None:
        raise NoNativeCoreError(
            f"no C compiler {words[0]!r} on PATH; the board's cores are compiled on first use. "
            "Install one: apt-get install gcc (Debian, Ubuntu), or set CC to a compiler."
        )
    return [found, *words[1:]]


def _headers() -> Path:
    import unicorn

    return Path(unicorn.__file__).parent / "include"


def _key(compiler: list[str]) -> str:
    try:
        version = subprocess.run(
            [*compiler, "--version"], capture_output=True, text=True, check=False
        ).stdout
    except OSError as error:
        raise NoNativeCoreError(
            f"{shlex.join(compiler)} cannot be run: {error.strerror}. Install a C compiler: "
            "apt-get install gcc (Debian, Ubuntu), or set CC to one."
        ) from error
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in _SOURCES))
    unicorn_version = importlib.metadata.version("unicorn")
    parts = (*_FLAGS, *compiler, version, unicorn_version, str(_headers()), platform.machine())
    digest.update("\0".join(parts).encode())
    return digest.hexdigest()[:24]
