"""The description of a network: what every other room builds, runs, compares or shows.

In come a source, cells and weights; out comes a validated, frozen :class:`Network`, or its files
and its numbers as text. :mod:`export.lowering` makes networks of checkpoints.
"""

from export.description.cells import KINDS
from export.description.encodings import ENCODINGS
from export.description.inspection import Bound, bounds, describe
from export.description.network import (
    INPUT_RECEPTOR,
    Network,
    NetworkError,
    Population,
    Projection,
    Readout,
    Source,
    gate_receptor,
    value_receptor,
)
from export.description.quantisation import Lost, Quantiser, lost, quantiser_for
from export.description.readouts import POOLINGS
from export.description.storage import StorageError, load_network, save_network

__all__ = [
    "ENCODINGS",
    "INPUT_RECEPTOR",
    "KINDS",
    "POOLINGS",
    "Bound",
    "Lost",
    "Network",
    "NetworkError",
    "Population",
    "Projection",
    "Quantiser",
    "Readout",
    "Source",
    "StorageError",
    "bounds",
    "describe",
    "gate_receptor",
    "load_network",
    "lost",
    "quantiser_for",
    "save_network",
    "value_receptor",
]
