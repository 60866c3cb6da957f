"""NumPy's scalars in a torch file, read without running NumPy's unpickling code.

``torch.load(weights_only=True)`` refuses them, and a best accuracy of ``np.float64`` beside the
state dict is common. What a pickle calls ``numpy.core.multiarray.scalar(dtype, bytes)`` is here a
function of ours, which knows numbers only.
"""

from __future__ import annotations

import contextlib
import pickle
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBER = re.compile("b1|[iu][1248]|f[248]|c(8|16)")
_ORDERS = {"|": "|", "<": "<", ">": ">"}


class _Kind:
    """A pickled ``numpy.dtype``: its code, such as f8, then its state, whose second is the order.
    """

    def __init__(self, code: Any, *_: Any) -> None:
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        self.order = _ORDERS[state[1]]


def _scalar(kind: Any, data: Any) -> NDArray[Any]:
    """A number as an array without axes."""
    code = getattr(kind, "code", None)
    if not isinstance(code, str) or not _NUMBER.fullmatch(code):
        raise pickle.UnpicklingError("GLOBAL numpy.dtype")
    return np.frombuffer(data, np.dtype(kind.order + code), 1).reshape(())


def _named(found: Any, module: str, name: str) -> Any:
    """``found`` by the name that a pickle has for it."""
    found.__module__, found.__qualname__ = module, name
    return found


_STAND_INS = [
    _named(_Kind, "numpy", "dtype"),
    *(
        _named(lambda kind, data: _scalar(kind, data), module, "scalar")
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    ),
]


def numpy_scalars() -> contextlib.AbstractContextManager[Any]:
    """Within it, ``torch.load`` takes NumPy's scalars, as arrays of shape ()."""
    import torch

    allow = getattr(torch.serialization, "safe_globals", None)
    # torch 2.4 has no such context: there they are refused, as what is no tensor.
    return contextlib.nullcontext() if allow is None else allow(_STAND_INS)
