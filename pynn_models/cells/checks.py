"""What the parameters of all cells must be: arrays of finite numbers, kept as read-only copies."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pynn_models.cells.quantities import EGRU_PARAMETERS, PARAMETERS
from pynn_models.errors import SnnSsmError

FloatArray = NDArray[np.float64]

_QUANTITIES = {**EGRU_PARAMETERS, **PARAMETERS}

_ACCEPTED_INFINITY = {"tau", "theta", "further"}

_REMEDIES = {
    "tau": "a mode that does not leak has tau = inf; a growing mode (|abar| >= 1) cannot be a "
    "leaky neuron: retrain, or choose another discretisation",
    "theta": "a neuron that must never spike has theta = inf",
}
DEFAULT_REMEDY = "look for NaN or overflow in the checkpoint that this value comes from"


class CellParameterError(SnnSsmError):
    """A parameter of a cell, or the timestep, has a shape or a value that cannot be used."""


def frozen_copy(name: str, value: ArrayLike) -> FloatArray:
    try:
        given = np.asarray(value)
        if given.dtype.kind not in "biuf":
            raise TypeError(f"dtype {given.dtype}")
        copy = np.array(given, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise CellParameterError(
            f"{name} is no array of real numbers ({error}); expected values that convert to "
            "float64. Rows must have equal lengths; split complex values into real and imaginary "
            "parts."
        ) from error
    copy.flags.writeable = False
    return copy


def check_values(name: str, value: FloatArray) -> None:
    accepted = np.isfinite(value)
    expected = "a finite number"
    if name in _ACCEPTED_INFINITY:
        accepted = accepted | (value == np.inf)
        expected = "a number or inf"
    if name == "tau":
        accepted = accepted & (value > 0)
        expected = "tau > 0 (inf allowed)"
    if accepted.all():
        return
    where = tuple(int(i) for i in np.argwhere(~accepted)[0])
    position = "".join(f"[{i}]" for i in where)
    raise CellParameterError(
        f"{name}{position} is {value[where]} {_QUANTITIES[name].unit}, expected {expected}; "
        f"{int((~accepted).sum())} of {value.size} elements are refused. "
        f"To do: {_REMEDIES.get(name, DEFAULT_REMEDY)}."
    )


def freeze_vectors(cell: Any) -> None:
    """Make every field of a cell's dataclass a read-only (H,), as the first; H at least 1.

    Raises `CellParameterError` for other shapes, and for values as :func:`check_values` does.
    """
    names = [field.name for field in fields(cell)]
    for name in names:
        value = frozen_copy(name, getattr(cell, name))
        object.__setattr__(cell, name, value)
        first = getattr(cell, names[0]).shape
        if value.ndim != 1 or value.shape != first or len(value) == 0:
            raise CellParameterError(
                f"{type(cell).__name__}: {name} has shape {value.shape}, expected (H,) as "
                f"{names[0]}, {first}, of at least one neuron."
            )
        check_values(name, value)
