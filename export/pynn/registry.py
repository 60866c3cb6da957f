"""The PyNN backends: one class a simulator and family of cells, registered here.

None of their modules imports a simulator when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable

from export.description.network import Network
from export.fixed_point.registry import arithmetic_of
from export.fixed_point.simulation import SpinnakerPlan
from export.pynn.backend import Backend
from export.pynn.brian2 import Brian2Lif, Brian2Stock
from export.pynn.mock import MockLif, MockStock
from export.pynn.nest import NestNative, NestStock
from export.pynn.nest_egru import NestEgru
from export.pynn.nest_lif import NestLif
from export.pynn.neuron import NeuronLif, NeuronStock
from export.pynn.spinnaker import SpinnakerBackend, SpinnakerStock
from export.pynn.spinnaker_egru import SpinnakerEgru
from export.pynn.spinnaker_gated import SpinnakerGated
from export.pynn.spinnaker_lif import SpinnakerLif
from export.pynn.spinnaker_native import SpinnakerNative

ON_BOARDS: list[type[SpinnakerBackend]] = [
    SpinnakerNative,
    SpinnakerGated,
    SpinnakerEgru,
    SpinnakerStock,
    SpinnakerLif,
]

BACKENDS: list[Callable[[], Backend]] = [
    NestNative,
    NestStock,
    NestLif,
    NestEgru,
    Brian2Stock,
    Brian2Lif,
    NeuronStock,
    NeuronLif,
    MockStock,
    MockLif,
    *ON_BOARDS,
]


def board_backend(
    network: Network,
    neurons_per_core: int | None = None,
    planned: SpinnakerPlan | None = None,
    time_scale_factor: int | None = None,
) -> SpinnakerBackend:
    """The SpiNNaker backend of a network's cells; its arguments are the backend's.

    Raises ``SpinnakerUnsupportedError`` for a network of cells that none can be.
    """
    arithmetic = arithmetic_of(network).name
    found = [make(neurons_per_core, planned, time_scale_factor) for make in ON_BOARDS]
    return next(backend for backend in found if backend.arithmetic == arithmetic)
