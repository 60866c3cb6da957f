"""Compiles C++ once, keeps it in the user's cache, and loads nobody else's code from there.

    file = cache / (name + "-" + hash(sources, flags, ingredients, compiler, machine) + ".so")

A change to anything that goes into the hash asks for another file, so a stale library is never
loaded; nor is one that another user can have put there.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pynn_models.compilation import (
    VARIABLE,
    compile_into,
    locked,
    temporary_directory,
    user_cache,
)
from pynn_models.errors import SnnSsmError
from pynn_models.private import UncachedWarning, is_private

_COMPILER_LINES_SHOWN = 20

_log = logging.getLogger(__name__)


class NativeCodeError(SnnSsmError):
    """C++ code of the project cannot be compiled, kept or loaded."""


class CompilerNotFoundError(NativeCodeError):
    """No C++ compiler."""


class CompilationError(NativeCodeError):
    """The compiler refused the sources."""


class CacheNotWritableError(NativeCodeError):
    """The compiled code cannot be stored."""


class CacheNotPrivateError(NativeCodeError):
    """Another user can have put what lies in the cache."""


@dataclass(frozen=True)
class NativeCode:
    """What is compiled, and everything besides the compiler that decides what comes out.

    ``what``: as messages call it. ``name``: how its files begin, in the directory ``place`` of the
    cache. ``sources``: files of ``directory``, the first one compiled, the others included.
    ``flags`` and ``ingredients`` (such as versions of headers) go into the hash, ``includes`` do
    not: flags that name places. ``needs``: what must be installed, for the message of a failure.
    """

    what: str
    name: str
    place: str
    directory: Path
    sources: tuple[str, ...]
    flags: tuple[str, ...]
    needs: str
    includes: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()

    def key(self, compiler: Sequence[str], version: str) -> str:
        """The hash in the file's name."""
        digest = hashlib.sha256()
        for name in self.sources:
            digest.update(name.encode() + b"\0" + (self.directory / name).read_bytes() + b"\0")
        # A home directory may be shared between machines.
        parts = (*self.flags, *self.ingredients, *compiler, version, platform.machine())
        digest.update("\0".join(parts).encode())
        return digest.hexdigest()[:24]


def build(code: NativeCode) -> Path:
    """The compiled library's path; compiles if the cache does not hold it.

    Several processes may call this at once: one compiles, the others wait for its result. Where the
    user has no place for a cache and named none, a temporary one serves this process.

    Raises: `CompilerNotFoundError`, `CompilationError`, `CacheNotWritableError`,
    `CacheNotPrivateError`.
    """
    compiler = find_compiler(code.what)
    key = code.key(compiler, _compiler_version(compiler))
    name = f"{code.name}-{key}.so"
    try:
        return _build(code, compiler, cache_directory(code.place, code.what) / name)
    except CacheNotWritableError as error:
        if os.environ.get(VARIABLE):
            raise
        warnings.warn(
            f"{error} It is compiled for this process alone.", UncachedWarning, stacklevel=3
        )
        return _build(code, compiler, temporary_directory() / name)


def cache_directory(place: str, what: str) -> Path:
    """$SNN_SSM_CACHE, else $XDG_CACHE_HOME/snn-ssm/``place``, else ~/.cache/snn-ssm/``place``.

    Raises: `CacheNotWritableError` if the user has no home directory.
    """
    found = user_cache(place)
    if found is None:
        raise CacheNotWritableError(
            f"there is no place for the compiled {what}: this user has no home directory. "
            f"Set the environment variable {VARIABLE} to a directory this user may write to."
        )
    return found


def noexec(library: Path) -> str:
    """What to do where the file system lets nothing be loaded from it."""
    if not os.statvfs(library).f_flag & os.ST_NOEXEC:
        return ""
    return (
        f" {library.parent} is on a file system mounted noexec: set the environment variable "
        f"{VARIABLE} to a directory on another one."
    )


def _build(code: NativeCode, compiler: tuple[str, ...], library: Path) -> Path:
    directory = library.parent
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_private(directory)
        if not library.exists():
            with locked(library.with_suffix(".lock")):
                if not library.exists():
                    _log.info("compiling the %s into %s", code.what, library)
                    _compile(code, compiler, library)
    except OSError as error:
        raise CacheNotWritableError(
            f"the compiled {code.what} cannot be stored in {directory}: {error.strerror or error}. "
            "Expected a directory this user may write to. Set the environment variable "
            f"{VARIABLE} to one (or free some space)."
        ) from error
    _require_private(library)
    return library


def _require_private(path: Path) -> None:
    if not is_private(path):
        raise CacheNotPrivateError(
            f"{path} can have been put there by another user: it, or a directory above, is not "
            "this user's, or others may write to it. Code is not loaded from there. Set the "
            f"environment variable {VARIABLE} to a directory that is yours alone (chmod 700)."
        )


def find_compiler(what: str) -> tuple[str, ...]:
    """The C++ compiler's path and arguments: ``CXX``, else g++."""
    setting = os.environ.get("CXX", "")
    words = shlex.split(setting) or ["g++"]
    path = shutil.which(words[0])
    if path is None:
        origin = f"the environment's CXX={setting}" if setting else "the default"
        raise CompilerNotFoundError(
            f"no C++ compiler {words[0]!r} ({origin}) on PATH; the {what} is compiled on first "
            "use and needs g++ 10 or later. Install it: apt-get install g++ (Debian, Ubuntu), "
            "or set CXX to a compiler."
        )
    return (path, *words[1:])


def _compiler_version(compiler: Sequence[str]) -> str:
    try:
        found = os.stat(compiler[0])
    except OSError:
        return _ask_version(tuple(compiler), (0, 0))
    return _ask_version(tuple(compiler), (found.st_mtime_ns, found.st_size))


@functools.lru_cache
def _ask_version(compiler: tuple[str, ...], _identity: tuple[int, int]) -> str:
    """``--version`` of a compiler, asked once while its file stays the same."""
    try:
        result = subprocess.run(
            [*compiler, "--version"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise CompilerNotFoundError(
            f"{shlex.join(compiler)} cannot be run: {error.strerror}. Expected a C++ compiler. "
            "Install one: apt-get install g++ (Debian, Ubuntu), or set CXX to it."
        ) from error
    return result.stdout


def _compile(code: NativeCode, compiler: tuple[str, ...], library: Path) -> None:
    source = code.directory / code.sources[0]
    result = compile_into(library, [*compiler, *code.flags, *code.includes, str(source)])
    if result.returncode != 0:
        tail = "\n".join(result.stderr.splitlines()[-_COMPILER_LINES_SHOWN:])
        raise CompilationError(
            f"{shlex.join(compiler)} could not compile {source} (exit status "
            f"{result.returncode}); expected {code.needs}. Install these, or set CXX to "
            f"another compiler. Its last lines:\n{tail}"
        )
