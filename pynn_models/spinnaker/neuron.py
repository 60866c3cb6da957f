"""The native state-space cell as a neuron model of sPyNNaker; importing this imports sPyNNaker.

A core's region of neuron parameters is what ``c/state_space_neuron.h`` reads, 32-bit integers: the
words of the population once, then those of each neuron (:mod:`.native_words`). sPyNNaker knows
scalar fields only: mode n's are called ``a_re0``, ...
The values are quantised on the host (:class:`.NativeParameters`); sPyNNaker copies them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from spinn_front_end_common.interface.ds import DataType
from spinn_utilities.config_holder import get_config_bool
from spynnaker.pyNN.data import SpynnakerDataView
from spynnaker.pyNN.models.neuron import AbstractPyNNNeuronModel
from spynnaker.pyNN.models.neuron.implementations import AbstractNeuronImpl
from spynnaker.pyNN.utilities.struct import Struct, StructRepeat

from pynn_models.errors import SnnSsmError
from pynn_models.spinnaker.native_parameters import NativeParameters
from pynn_models.spinnaker.native_words import (
    SHARED,
    STATE,
    neuron_fields,
    neuron_words,
    population_words,
)

BINARY = "state_space.aplx"
BINARY_FOLDER = "SNN_SSM_APLX"  # environment variable
LAYOUT = "state-space layout 2"  # in a program that reads these parameters; c/state_space_neuron.h
RECEPTORS = ("excitatory", "inhibitory")  # their numbers are those of c/state_space_impl.h
MEMBRANE = "y"


class MissingBinaryError(SnnSsmError):
    """A board without the program of the cells, or with one that reads other parameters."""


def require_binary(binary: str = BINARY) -> None:
    """Raise :class:`MissingBinaryError` if a board is to run and ``binary`` is not found, or was
    built of C for other parameters.

    Looked for where sPyNNaker looks, and in the folder that :data:`BINARY_FOLDER` names.
    """
    if get_config_bool("Machine", "virtual_board"):
        return
    folder = os.environ.get(BINARY_FOLDER)
    if folder:
        SpynnakerDataView.register_binary_search_path(os.fspath(Path(folder).resolve()))
    try:
        found = Path(SpynnakerDataView.get_executable_path(binary))
    except KeyError as error:
        raise MissingBinaryError(
            f"{binary}, the program of these cells, is not in "
            f"{folder or 'a folder that sPyNNaker searches'}; expected it there, since sPyNNaker "
            "ships stock cells only. Build it (docs/how-to/spinnaker.md) and name its folder in "
            f"the environment variable {BINARY_FOLDER}; or use the virtual board, or a network of "
            "stock cells."
        ) from error
    if LAYOUT.encode() not in found.read_bytes():
        raise MissingBinaryError(
            f"{found} was built of other C than this version's, and would read its parameters "
            f"wrongly; expected one with the text {LAYOUT!r}. Build it anew "
            "(docs/how-to/spinnaker.md)."
        )


class HostStruct(Struct):  # type: ignore[misc]
    """Always written by the host: the cores' own generator knows no such formats."""

    @property
    def is_generatable(self) -> bool:
        return False


class StateSpaceImpl(AbstractNeuronImpl):  # type: ignore[misc]
    """The cell: its structs, recordables and receptors. See the module for the layout.

    first_step: the tick that is step k = 0; period: all state is zeroed when k % period == 0, or
    never with 0.
    """

    def __init__(self, parameters: NativeParameters, first_step: int, period: int) -> None:
        self.parameters = parameters
        self._fields = neuron_fields(parameters)
        shared = population_words(parameters, first_step, period)
        self._population = dict(zip(SHARED, shared, strict=True))
        self._structs = [
            HostStruct([(DataType.UINT32, name) for name in SHARED], StructRepeat.GLOBAL),
            HostStruct([(DataType.INT32, name) for name in self._fields]),
        ]

    @property
    def model_name(self) -> str:
        return "StateSpace"

    @property
    def binary_name(self) -> str:
        return BINARY

    @property
    def structs(self) -> list[Any]:
        return self._structs

    def get_global_weight_scale(self) -> float:
        """2^i, i the input exponent."""
        return 2.0**self.parameters.input_exponent

    def get_n_synapse_types(self) -> int:
        return len(RECEPTORS)

    def get_synapse_id_by_target(self, target: str) -> int | None:
        return RECEPTORS.index(target) if target in RECEPTORS else None

    def get_synapse_targets(self) -> tuple[str, ...]:
        return RECEPTORS

    def get_recordable_variables(self) -> list[str]:
        """The membrane after the update, times ``2^p``, p the neuron's membrane exponent."""
        return [MEMBRANE]

    def get_recordable_units(self, variable: str) -> str:
        return "dimensionless"

    def get_recordable_data_types(self) -> Mapping[str, Any]:
        return {MEMBRANE: DataType.S1615}

    def is_recordable(self, variable: str) -> bool:
        return variable == MEMBRANE

    def get_recordable_variable_index(self, variable: str) -> int:
        return [MEMBRANE].index(variable)

    def add_parameters(self, parameters: MutableMapping[str, Any]) -> None:
        for name, value in self._population.items():
            parameters[name] = value
        self._add(parameters, state=False)

    def add_state_variables(self, state_variables: MutableMapping[str, Any]) -> None:
        self._add(state_variables, state=True)

    def _add(self, holder: MutableMapping[str, Any], *, state: bool) -> None:
        for name, column in zip(self._fields, neuron_words(self.parameters).T, strict=True):
            if (name.rstrip("0123456789") in STATE) == state:
                holder[name] = column.tolist()

    def get_units(self, variable: str) -> str:
        if variable != MEMBRANE and variable not in (*SHARED, *self._fields):
            raise KeyError(f"{self.model_name} has no parameter {variable}")
        return "dimensionless"

    @property
    def is_conductance_based(self) -> bool:
        return False


class StateSpaceModel(AbstractPyNNNeuronModel):  # type: ignore[misc]
    """What a PyNN population is made of: ``sim.Population(H, state_space_model(...))``."""

    default_parameters: dict[str, Any] = {}
    default_initial_values: dict[str, Any] = {}


def state_space_model(
    parameters: NativeParameters, *, first_step: int = 0, period: int = 0
) -> StateSpaceModel:
    """The PyNN model of H neurons, at rest; arguments as in :func:`.run_native`."""
    return StateSpaceModel(StateSpaceImpl(parameters, first_step, period))
