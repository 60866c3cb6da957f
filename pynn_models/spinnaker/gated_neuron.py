"""State-space neurons with gated inputs as a neuron model of sPyNNaker; importing this imports it.

A core's region of neuron parameters is what ``c/state_space_gated_core.h`` reads: the words that
its neurons share, then the neurons (:mod:`.gated_words`). The keys of the cores that send graded
values are known once sPyNNaker has given them out, so they are asked for when the region is
written.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spinn_front_end_common.interface.ds import DataType
from spynnaker.pyNN.utilities.struct import StructRepeat

from pynn_models.spinnaker.gated_parameters import GatedParameters
from pynn_models.spinnaker.gated_words import (
    Clock,
    SenderKeys,
    gated_words,
    shared_size,
    shared_words,
)
from pynn_models.spinnaker.neuron import MEMBRANE, RECEPTORS, HostStruct, StateSpaceImpl
from pynn_models.spinnaker.neuron import StateSpaceModel as _Model

GATED_BINARY = "state_space_gated.aplx"

Keys = Callable[[], Sequence[SenderKeys]]


def receptor_names(branches: int) -> tuple[str, ...]:
    """Two a receptor, in the order of their numbers: ``excitatory``, ``inhibitory``, then
    ``value0_excitatory`` and so on."""
    parts = [f"{kind}{p}_" for p in range(branches) for kind in ("value", "gate")]
    return tuple(part + sign for part in ("", *parts) for sign in RECEPTORS)


class _Words(HostStruct):  # type: ignore[misc]
    """``size`` words, once or a neuron, that are made when sPyNNaker writes them."""

    def __init__(self, size: int, repeat: StructRepeat, make: Callable[[], NDArray[Any]]) -> None:
        super().__init__([(DataType.UINT32, f"word{i}") for i in range(size)], repeat)
        self._make = make

    def get_data(self, values: Any, vertex_slice: Any = None) -> NDArray[np.uint32]:
        words = self._make()
        if vertex_slice is not None:
            words = words[vertex_slice.lo_atom : vertex_slice.hi_atom + 1]
        return np.ascontiguousarray(words).ravel().view(np.uint32)

    def read_data(
        self, data: bytes, values: Any, data_offset: int = 0, vertex_slice: Any = None
    ) -> None:
        """Nothing is read back: no value of PyNN's is in it."""


class GatedImpl(StateSpaceImpl):
    """The cell: its structs, recordables and receptors. See the module for the layout.

    ``keys``: of the sending cores, ``n_keys`` of them, once sPyNNaker has given them out.
    """

    def __init__(self, gated: GatedParameters, clock: Clock, keys: Keys, n_keys: int) -> None:
        super().__init__(gated.cell, clock.first_step, clock.period)
        self._receptors = receptor_names(gated.n_branches)
        words = gated_words(gated)
        self._structs = [
            _Words(
                shared_size(gated, n_keys), StructRepeat.GLOBAL,
                lambda: shared_words(gated, clock, keys()),
            ),
            _Words(words.shape[1], StructRepeat.PER_NEURON, lambda: words),
        ]  # fmt: skip

    @property
    def model_name(self) -> str:
        return "StateSpaceGated"

    @property
    def binary_name(self) -> str:
        return GATED_BINARY

    def get_n_synapse_types(self) -> int:
        return len(self._receptors)

    def get_synapse_id_by_target(self, target: str) -> int | None:
        return self._receptors.index(target) if target in self._receptors else None

    def get_synapse_targets(self) -> tuple[str, ...]:
        return self._receptors

    def add_parameters(self, parameters: MutableMapping[str, Any]) -> None:
        """None that PyNN could set."""

    def add_state_variables(self, state_variables: MutableMapping[str, Any]) -> None:
        """None that PyNN could set."""

    def get_units(self, variable: str) -> str:
        if variable != MEMBRANE:
            raise KeyError(f"{self.model_name} has no parameter {variable}")
        return "dimensionless"


def gated_model(gated: GatedParameters, clock: Clock, keys: Keys, n_keys: int) -> _Model:
    """The PyNN model of H neurons, at rest; arguments as in :class:`GatedImpl`."""
    return _Model(GatedImpl(gated, clock, keys, n_keys))
