"""The SpiNNaker backend: fixed-point formats, the board's cells in integers, the C core.

Importing this package imports neither sPyNNaker nor numba; asking it for a name that is compiled
does the latter, and for one of sPyNNaker's neuron model the former.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pynn_models.spinnaker.fixed_point import (
    FixedPointError,
    from_q031,
    from_s1615,
    from_u032,
    to_q031,
    to_s1615,
    to_u032,
)
from pynn_models.spinnaker.native_parameters import (
    NativeParameters,
    NativeReset,
    NativeScaling,
    quantise_cell,
)
from pynn_models.spinnaker.native_scaling import plan_scaling, state_gain, state_reach
from pynn_models.spinnaker.synapses import Arrival, net_input, ring_buffer, split_weights

if TYPE_CHECKING:
    from pynn_models.spinnaker.leaky import StockRun
    from pynn_models.spinnaker.native import (
        NativeRun,
        NativeState,
        StateOverflowError,
        run_native,
    )
    from pynn_models.spinnaker.native_words import neuron_bytes, neuron_words, population_words
    from pynn_models.spinnaker.neuron import (
        MissingBinaryError,
        StateSpaceModel,
        require_binary,
        state_space_model,
    )
    from pynn_models.spinnaker.stock import (
        StockCell,
        StockConstants,
        run_stock,
        stock_constants,
    )

__all__ = [
    "C_DIRECTORY",
    "Arrival",
    "FixedPointError",
    "MissingBinaryError",
    "NativeParameters",
    "NativeReset",
    "NativeRun",
    "NativeScaling",
    "NativeState",
    "StateOverflowError",
    "StateSpaceModel",
    "StockCell",
    "StockConstants",
    "StockRun",
    "from_q031",
    "from_s1615",
    "from_u032",
    "net_input",
    "neuron_bytes",
    "neuron_words",
    "plan_scaling",
    "population_words",
    "quantise_cell",
    "require_binary",
    "ring_buffer",
    "run_native",
    "run_stock",
    "split_weights",
    "state_gain",
    "state_reach",
    "state_space_model",
    "stock_constants",
    "to_q031",
    "to_s1615",
    "to_u032",
]

C_DIRECTORY = Path(__file__).resolve().parent / "c"
"""Where the cells' C headers lie."""

_LAZY = {
    "NativeRun": "native",
    "NativeState": "native",
    "StateOverflowError": "native",
    "neuron_bytes": "native_words",
    "neuron_words": "native_words",
    "population_words": "native_words",
    "run_native": "native",
    "MissingBinaryError": "neuron",
    "StateSpaceModel": "neuron",
    "require_binary": "neuron",
    "state_space_model": "neuron",
    "StockCell": "stock",
    "StockConstants": "stock",
    "StockRun": "leaky",
    "run_stock": "stock",
    "stock_constants": "stock",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
