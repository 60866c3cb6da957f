"""The library of operators: compiled for this machine's vectors, loaded once, called by threads."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pynn_models import native_code
from pynn_models.native_code import NativeCode, NativeCodeError
from snn_ssm.progress import LOG

VARIABLE = "SNN_SSM_OPERATORS"  # 0: plain torch
_DIRECTORY = Path(__file__).resolve().parent
# Nothing here may change what a number is for the rest of the process: no -ffast-math, which sets
# flush-to-zero when a library is loaded.
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread")
# By torch's name of what the processor can do (ATEN_CPU_CAPABILITY in the environment overrides
# it). Vectors wider than the hardware's would be taken apart and run tens of times slower.
_TARGETS = {
    "AVX512": ("-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw", "-mfma"),
    "AVX2": ("-mavx2", "-mfma"),
}
_SOURCES = {
    "products": (
        "operators.cpp", "share.h", "vectors.h", "chunks.h", "gate.h", "gelu.h", "mix.h", "norm.h",
        "spikes.h",
    ),
    "loops": ("loops.cpp", "share.h", "vectors.h", "spikes.h", "reset.h", "feedback.h"),
}
# Loops over steps decide spikes and must equal torch's to the bit: no fused multiply-add there.
_CONTRACTION = {"products": ("-ffp-contract=fast",), "loops": ("-ffp-contract=off",)}
_ADDRESS = ctypes.CFUNCTYPE(None)
_SUFFIXES = {torch.float32: "f32", torch.float64: "f64"}


def target() -> str:
    """The vectors that the operators are compiled for: ``AVX512``, ``AVX2`` or ``DEFAULT``."""
    found = torch.backends.cpu.get_cpu_capability()
    return found if found in _TARGETS else "DEFAULT"


def code(part: str, vectors: str) -> NativeCode:
    """What is compiled for a part of the operators and a target."""
    return NativeCode(
        what="training operators",
        name=f"snn_ssm-{part}-{vectors.lower()}",
        place="operators",
        directory=_DIRECTORY,
        sources=_SOURCES[part],
        flags=(*_FLAGS, *_CONTRACTION[part], *_TARGETS.get(vectors, ())),
        needs="g++ 10 or later",
    )


@functools.cache
def loaded(part: str) -> ctypes.CDLL | None:
    """The compiled ``products`` or ``loops``; None, with a line of notice, where there are none.

    Nor with ``SNN_SSM_OPERATORS=0`` in the environment. The first call decides.
    """
    if os.environ.get(VARIABLE) == "0":
        return None
    try:
        return ctypes.CDLL(str(native_code.build(code(part, target()))))
    except (NativeCodeError, OSError) as error:
        LOG.warning("training operators (%s) not compiled, plain torch is slower: %s", part, error)
        return None


def usable(x: Tensor, part: str = "products") -> bool:
    """Whether the operators take a tensor: on the CPU, float32 or float64, not being traced."""
    return (
        x.device.type == "cpu"
        and x.dtype in _SUFFIXES
        and not torch.compiler.is_compiling()
        and loaded(part) is not None
    )


def call(name: str, like: Tensor, count: int, *arguments: Any, part: str = "products") -> None:
    """Do all ``count`` parts of an operator's work, shared by as many threads as torch has.

    ``like`` gives the precision. Tensors are passed as addresses and must be contiguous, None as
    NULL, integers and floats as int64 and double, structures by reference.
    """
    function = _function(part, f"{name}_{_SUFFIXES[like.dtype]}")
    passed = [_argument(argument, like.dtype) for argument in arguments]
    function(ctypes.c_int64(count), ctypes.c_int64(torch.get_num_threads()), *passed)


def constant(name: str, like: Tensor, part: str = "products") -> int:
    """A number that the library of operators was compiled with, for a tensor's precision."""
    return int(getattr(loaded(part), f"{name}_{_SUFFIXES[like.dtype]}")())


def _function(part: str, name: str) -> Any:
    """The function whose address the library has under a name; the GIL is not held in it."""
    return _ADDRESS(ctypes.c_void_p.in_dll(loaded(part), name).value)  # type: ignore[arg-type]


def _argument(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        if value.dtype not in (dtype, torch.float64):  # modes are float64 whatever the precision
            raise ValueError(f"an operator of {dtype} was given a tensor of {value.dtype}")
        if not value.is_contiguous():
            raise ValueError("an operator's tensors must be contiguous")
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, ctypes.Structure):
        return ctypes.byref(value)
    if isinstance(value, float):
        return ctypes.c_double(value)
    return ctypes.c_void_p(None) if value is None else ctypes.c_int64(value)
