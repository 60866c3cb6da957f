"""Arrays of a network as metadata: NIR writes none without values, and HDF5 no ``/`` in a name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def is_weight(name: str) -> bool:
    """Whether a stored array is a projection's weights, which stand in nodes."""
    return name.startswith("projections.") and name.endswith(".weights")


def packed(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """``arrays``, by the number of their name in ``array_names``; ``empty``: shapes without values.
    """
    full = [name for name, array in arrays.items() if array.size]
    return {
        "array_names": json.dumps(full),
        "arrays": {str(i): arrays[name] for i, name in enumerate(full)},
        "empty": json.dumps({name: a.shape for name, a in arrays.items() if not a.size}),
    }


def unpacked(metadata: Mapping[str, Any]) -> Arrays:
    """The same arrays; raises ``KeyError``, ``TypeError`` or ``ValueError`` where they are not it.
    """
    names, empty = (json.loads(metadata[key]) for key in ("array_names", "empty"))
    found = {name: np.asarray(metadata["arrays"][str(i)]) for i, name in enumerate(names)}
    for name, shape in empty.items():
        if 0 not in shape or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError(f"{name} has the shape {shape}, and no values")
        found[name] = np.zeros(shape)
    return found
