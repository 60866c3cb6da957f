"""Fixtures' helpers: everything by plain torch, or by operators compiled for one target."""

import shutil

import pytest
import torch

from snn_ssm.model import operators
from snn_ssm.model.operators import library

HAS_COMPILER = shutil.which("g++") is not None
# What this machine can run: the plain target always, wider vectors where torch finds them.
CAPABILITY = torch.backends.cpu.get_cpu_capability()
TARGETS = ["DEFAULT", *(["AVX2"] if CAPABILITY in ("AVX2", "AVX512") else []),
           *(["AVX512"] if CAPABILITY == "AVX512" else [])]  # fmt: skip
WAYS = ["plain", *(TARGETS if HAS_COMPILER else [])]


def go_by(monkeypatch, way):
    """Have every model of this process go by ``plain`` torch, or by operators for a target."""
    library.loaded.cache_clear()
    if way == "plain":
        monkeypatch.setenv(operators.VARIABLE, "0")
    else:
        monkeypatch.delenv(operators.VARIABLE, raising=False)
        monkeypatch.setattr(library, "target", lambda: way)
        if library.loaded("products") is None or library.loaded("loops") is None:
            pytest.fail(f"the operators for {way} do not compile")
