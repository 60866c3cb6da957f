"""Compiles the NEST model once, keeps it in the user's cache, loads it into the kernel.

    file = cache / ("snn_ssm-" + hash(sources, flags, NEST, headers, compiler, machine) + ".so")

A change to anything that goes into the hash asks for another file, so a stale module is never
loaded; nor is one that another user can have put there. Works on the headers that the PyPI wheel of
nest-simulator ships.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.metadata
import importlib.util
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
from typing import Any

from pynn_models.compilation import (
    VARIABLE,
    compile_into,
    locked,
    temporary_directory,
    user_cache,
)
from pynn_models.errors import SnnSsmError
from pynn_models.private import UncachedWarning, is_private

MODEL_NAME = "snn_ssm_state_space"
GRADED_SYNAPSE_NAME = "snn_ssm_graded"

_SOURCE_DIR = Path(__file__).resolve().parent
_SOURCES = (
    "state_space.cpp",  # the file that is compiled
    "parameters.h",
    "graded_connection.h",
    "shim/ltdl.h",
    "shim/nest_noboost.h",
)
_FLAGS = (
    "-std=c++20",  # NEST's headers use concepts
    "-O3",
    "-DNDEBUG",  # header asserts off, as in the wheel
    "-fPIC",
    "-shared",
    "-fopenmp",  # without it, inline header code takes every thread for thread 0
    "-D_GLIBCXX_USE_CXX11_ABI=0",  # the manylinux wheel has the old string ABI
    # Bit-for-bit equality with the reference: no fused multiply-add, and exp, erf, cos, sin as
    # calls of the C library (cos and sin as a pair the compiler would turn into one sincos).
    "-ffp-contract=off",
    "-fno-builtin-exp",
    "-fno-builtin-erf",
    "-fno-builtin-cos",
    "-fno-builtin-sin",
)
_COMPILER_LINES_SHOWN = 20

_log = logging.getLogger(__name__)


class NestError(SnnSsmError):
    """NEST, or the project's extension of it, cannot be used."""


class NestNotInstalledError(NestError, ImportError):
    """NEST or PyNN is missing, or NEST comes without the headers to extend it."""


class CompilerNotFoundError(NestError):
    """No C++ compiler."""


class CompilationError(NestError):
    """The compiler refused the module."""


class CacheNotWritableError(NestError):
    """The compiled module cannot be stored."""


class CacheNotPrivateError(NestError):
    """Another user can have put what lies in the cache."""


class ModuleLoadError(NestError):
    """The kernel refused the compiled module, or was asked too late."""


@dataclass(frozen=True)
class _Toolchain:
    """Everything besides the sources that decides what the compiled module contains."""

    nest_version: str
    headers: Path
    compiler: tuple[str, ...]
    compiler_version: str

    @property
    def flags(self) -> tuple[str, ...]:
        shim = _SOURCE_DIR / "shim"
        return (
            *_FLAGS,
            f"-I{self.headers}",
            f"-I{shim}",
            "-include",
            str(shim / "nest_noboost.h"),
        )


def build_module() -> Path:
    """The compiled module's path; compiles (some 10 s) if the cache does not hold it.

    Several processes may call this at once: one compiles, the others wait for its result. Where the
    user has no place for a cache and named none, a temporary one serves this process.

    Raises: `NestNotInstalledError`, `CompilerNotFoundError`, `CompilationError`,
    `CacheNotWritableError`, `CacheNotPrivateError`.
    """
    toolchain = _find_toolchain()
    name = f"snn_ssm-{_cache_key(toolchain)}.so"
    try:
        return _build(toolchain, cache_directory() / name)
    except CacheNotWritableError as error:
        if os.environ.get(VARIABLE):
            raise
        warnings.warn(
            f"{error} It is compiled for this process alone.", UncachedWarning, stacklevel=2
        )
        return _build(toolchain, temporary_directory() / name)


def _build(toolchain: _Toolchain, module: Path) -> Path:
    directory = module.parent
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_private(directory)
        if not module.exists():
            with locked(module.with_suffix(".lock")):
                if not module.exists():
                    _log.info("compiling the NEST model into %s", module)
                    _compile(toolchain, module)
    except OSError as error:
        raise CacheNotWritableError(
            f"the compiled NEST model cannot be stored in {directory}: {error.strerror or error}. "
            "Expected a directory this user may write to. Set the environment variable "
            f"{VARIABLE} to one (or free some space)."
        ) from error
    _require_private(module)
    return module


def _require_private(path: Path) -> None:
    if not is_private(path):
        raise CacheNotPrivateError(
            f"{path} can have been put there by another user: it, or a directory above, is not "
            "this user's, or others may write to it. Code is not loaded from there. Set the "
            f"environment variable {VARIABLE} to a directory that is yours alone (chmod 700)."
        )


def install() -> None:
    """Make the neuron and the graded synapse known to the NEST kernel, compiling them if need be.

    A call costs next to nothing when the model is there. Every `sim.setup()` and
    `nest.ResetKernel()` unloads it, so call this after them and before the first population. A
    `StateSpace` does so when it is made, which is too late after another population.

    Raises: what `build_module` raises, and `ModuleLoadError`.
    """
    nest = _import_nest()
    if MODEL_NAME in nest.node_models:
        return
    if nest.network_size > 0:
        raise ModuleLoadError(
            f"the NEST model {MODEL_NAME} is not loaded and the network has {nest.network_size} "
            "nodes already, after which NEST loads no module. Call pynn_models.nest.install() "
            "right after sim.setup(), which unloads all modules, and make StateSpace cell types "
            "after that."
        )
    module = build_module()
    try:
        nest.Install(str(module))
    except Exception as error:  # NEST's errors have no class of their own in common
        raise ModuleLoadError(
            f"NEST did not load {module}: {error}. The dynamic linker says: "
            f"{_linker_message(module)}.{_noexec(module)} Expected a module made for the installed "
            f"NEST {nest.__version__}. Delete the file to have it compiled anew; if that does not "
            "help, reinstall nest-simulator from PyPI."
        ) from error


def cache_directory() -> Path:
    """$SNN_SSM_CACHE, else $XDG_CACHE_HOME/snn-ssm/nest, else ~/.cache/snn-ssm/nest.

    Raises: `CacheNotWritableError` if the user has no home directory.
    """
    found = user_cache("nest")
    if found is None:
        raise CacheNotWritableError(
            "there is no place for the compiled NEST model: this user has no home directory. "
            f"Set the environment variable {VARIABLE} to a directory this user may write to."
        )
    return found


def _import_nest() -> Any:
    try:
        import nest
    except ImportError as error:
        raise NestNotInstalledError(_not_installed(f"import nest: {error}")) from error
    return nest


def _not_installed(found: str) -> str:
    return (
        f"NEST cannot be used ({found}); expected nest-simulator 3.10 and PyNN 0.13. "
        "Install them: pip install 'snn-ssm[nest]'."
    )


def _find_toolchain() -> _Toolchain:
    # Without `import nest`: building needs files only, and the import starts a kernel.
    spec = importlib.util.find_spec("nest")
    if spec is None or spec.origin is None:
        raise NestNotInstalledError(_not_installed("no package named nest"))
    headers = Path(spec.origin).parent / "include" / "nest"
    if not (headers / "nest_extension_interface.h").exists():
        raise NestNotInstalledError(_not_installed(f"no C++ headers in {headers}"))
    try:
        version = importlib.metadata.version("nest-simulator")
    except importlib.metadata.PackageNotFoundError as error:
        raise NestNotInstalledError(_not_installed("no package metadata")) from error
    compiler = _find_compiler()
    return _Toolchain(version, headers, compiler, _compiler_version(compiler))


def _find_compiler() -> tuple[str, ...]:
    setting = os.environ.get("CXX", "")
    words = shlex.split(setting) or ["g++"]
    path = shutil.which(words[0])
    if path is None:
        origin = f"the environment's CXX={setting}" if setting else "the default"
        raise CompilerNotFoundError(
            f"no C++ compiler {words[0]!r} ({origin}) on PATH; the NEST model is compiled on first "
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


def _cache_key(toolchain: _Toolchain) -> str:
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update(name.encode() + b"\0" + (_SOURCE_DIR / name).read_bytes() + b"\0")
    parts = (
        *_FLAGS,  # and not where this package lies: the sources above are hashed by content
        toolchain.nest_version,
        str(toolchain.headers),
        *toolchain.compiler,
        toolchain.compiler_version,
        platform.machine(),  # a home directory may be shared between machines
    )
    digest.update("\0".join(parts).encode())
    return digest.hexdigest()[:24]


def _compile(toolchain: _Toolchain, module: Path) -> None:
    source = _SOURCE_DIR / _SOURCES[0]
    result = compile_into(module, [*toolchain.compiler, *toolchain.flags, str(source)])
    if result.returncode != 0:
        tail = "\n".join(result.stderr.splitlines()[-_COMPILER_LINES_SHOWN:])
        raise CompilationError(
            f"{shlex.join(toolchain.compiler)} could not compile {source} for NEST "
            f"{toolchain.nest_version} (exit status {result.returncode}); expected g++ 10 or "
            "later and nest-simulator 3.10 from PyPI. Install these, or set CXX to another "
            f"compiler. Its last lines:\n{tail}"
        )


def _noexec(module: Path) -> str:
    """What to do where the file system lets nothing be loaded from it."""
    if not os.statvfs(module).f_flag & os.ST_NOEXEC:
        return ""
    return (
        f" {module.parent} is on a file system mounted noexec: set the environment variable "
        f"{VARIABLE} to a directory on another one."
    )


def _linker_message(module: Path) -> str:
    # NEST reports a missing symbol as "file not found"; the linker knows better.
    try:
        ctypes.CDLL(str(module), os.RTLD_NOW | os.RTLD_LOCAL)
    except OSError as error:
        return str(error)
    return "nothing, it loads by itself"
