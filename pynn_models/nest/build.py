"""Compiles the NEST model once (:mod:`pynn_models.native_code`), and loads it into the kernel.

Works on the headers that the PyPI wheel of nest-simulator ships, and on those of a NEST that was
built from its sources.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pynn_models import native_code
from pynn_models.errors import SnnSsmError
from pynn_models.native_code import NativeCode

MODEL_NAME = "snn_ssm_state_space"
EGRU_NAME = "snn_ssm_egru"
GRADED_SYNAPSE_NAME = "snn_ssm_graded"
DIFFERENCE_SYNAPSE_NAME = "snn_ssm_difference"

_SOURCE_DIR = Path(__file__).resolve().parent
_SOURCES = (
    "state_space.cpp",  # the file that is compiled
    "egru.h",
    "parameters.h",
    "parts.h",
    "refusals.h",
    "schedule.h",
    "sending.h",
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
    # Bit-for-bit equality with the reference: no fused multiply-add, and exp, erf, tanh, cos, sin
    # as calls of the C library (cos and sin as a pair the compiler would turn into one sincos).
    "-ffp-contract=off",
    "-fno-builtin-exp",
    "-fno-builtin-erf",
    "-fno-builtin-tanh",
    "-fno-builtin-cos",
    "-fno-builtin-sin",
)
_WHEEL_FLAGS = ("-D_GLIBCXX_USE_CXX11_ABI=0",)  # the manylinux wheel has the old string ABI
_HEADER, _CONFIG = "nest_extension_interface.h", "config.h"
_WHAT, _PLACE = "NEST model", "nest"


class NestError(SnnSsmError):
    """NEST, or the project's extension of it, cannot be used."""


class NestNotInstalledError(NestError, ImportError):
    """NEST or PyNN is missing, or NEST comes without the headers to extend it."""


class ModuleLoadError(NestError):
    """The kernel refused the compiled module, or was asked too late."""


def build_module() -> Path:
    """The compiled module's path; compiles (some 10 s) if the cache does not hold it.

    Raises: `NestNotInstalledError`, and what :func:`pynn_models.native_code.build` raises.
    """
    return native_code.build(_module())


def install() -> None:
    """Make the neurons and the graded synapses known to the NEST kernel, compiling them if need be.

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
            f"{_linker_message(module)}.{native_code.noexec(module)} Expected a module made for "
            f"the installed NEST {nest.__version__}. Delete the file to have it compiled anew; if "
            "that does not help, reinstall NEST."
        ) from error


def has_mpi() -> bool:
    """Whether the installed NEST can run in several processes, as its headers say.

    It is not imported: one that cannot ends a process that mpiexec started. Raises:
    `NestNotInstalledError`.
    """
    places = [Path(place) for place in _made().places]
    texts = [(p / _CONFIG).read_text() for p in places if (p / _CONFIG).exists()]
    return any(re.search(r"^#define\s+HAVE_MPI\s+1", text, re.MULTILINE) for text in texts)


def cache_directory() -> Path:
    """$SNN_SSM_CACHE, else $XDG_CACHE_HOME/snn-ssm/nest, else ~/.cache/snn-ssm/nest.

    Raises: `CacheNotWritableError` if the user has no home directory.
    """
    return native_code.cache_directory(_PLACE, _WHAT)


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


def _module() -> NativeCode:
    made = _made()
    return NativeCode(
        what=_WHAT,
        name="snn_ssm",
        place=_PLACE,
        directory=_SOURCE_DIR,
        sources=_SOURCES,
        flags=(*made.flags, *_FLAGS),
        needs="g++ 10 or later and nest-simulator 3.10, from PyPI or built from its sources",
        includes=made.includes,
        ingredients=(made.version, *made.places),
    )


@dataclass(frozen=True)
class _Made:
    """How a NEST was made: its version, the flags that decide about layouts, and its headers.

    ``places``: of the headers, which tell one installation from another.
    """

    version: str
    flags: tuple[str, ...]
    includes: tuple[str, ...]
    places: tuple[str, ...]


def _made() -> _Made:
    # Without `import nest`: building needs files only, and the import starts a kernel.
    spec = importlib.util.find_spec("nest")
    if spec is None or spec.origin is None:
        raise NestNotInstalledError(_not_installed("no package named nest"))
    package = Path(spec.origin).parent
    return _wheel(package) if (package / "include" / "nest").exists() else _built(package)


def _wheel(package: Path) -> _Made:
    """The NEST of PyPI, with its headers in the package."""
    headers = package / "include" / "nest"
    if not (headers / _HEADER).exists():
        raise NestNotInstalledError(_not_installed(f"no C++ headers in {headers}"))
    try:
        version = importlib.metadata.version("nest-simulator")
    except importlib.metadata.PackageNotFoundError as error:
        raise NestNotInstalledError(_not_installed("no package metadata")) from error
    shim = _SOURCE_DIR / "shim"
    includes = (f"-I{headers}", f"-I{shim}", "-include", str(shim / "nest_noboost.h"))
    return _Made(version, _WHEEL_FLAGS, includes, (str(headers),))


def _built(package: Path) -> _Made:
    """A NEST that was built from its sources, with MPI for example: what its nest-config says."""
    config = next(
        (c for p in package.parents if os.access(c := p / "bin" / "nest-config", os.X_OK)), None
    )
    if config is None:
        raise NestNotInstalledError(
            _not_installed(f"no C++ headers in {package / 'include'}, no bin/nest-config above it")
        )
    version, flags, includes = (_ask(config, o) for o in ("--version", "--cflags", "--includes"))
    places = [word.removeprefix("-I") for word in includes if word.startswith("-I")]
    if not any((Path(place) / _HEADER).exists() for place in places):
        raise NestNotInstalledError(
            _not_installed(f"no C++ headers in {' '.join(places)}, where {config} has them")
        )
    return _Made(" ".join(version), tuple(flags), tuple(includes), tuple(places))


def _ask(config: Path, option: str) -> list[str]:
    """What a nest-config answers, as words."""
    try:
        return shlex.split(subprocess.check_output([str(config), option], text=True))
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise NestNotInstalledError(_not_installed(f"{config} {option}: {error}")) from error


def _linker_message(module: Path) -> str:
    # NEST reports a missing symbol as "file not found"; the linker knows better.
    try:
        ctypes.CDLL(str(module), os.RTLD_NOW | os.RTLD_LOCAL)
    except OSError as error:
        return str(error)
    return "nothing, it loads by itself"
