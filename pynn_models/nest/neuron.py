"""PyNN's view of the NEST state-space neuron. Imports PyNN: load it through `pynn_models.nest`."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyNN.nest.cells import NativeCellType
from pyNN.parameters import ArrayParameter

from pynn_models.branches import BRANCHES
from pynn_models.cells import PARAMETERS, VARIABLES, CellParameterError, StateSpaceCell
from pynn_models.nest.build import MODEL_NAME, install


class StateSpace(NativeCellType):
    """The neuron of `pynn_models.cells.StateSpaceCell` as a PyNN cell type for NEST::

        x_n[k] = abar_n x_n[k-1] + u[k],  y[k] = Re(sum_n c_n x_n[k]) + d u[k],  spike: y > theta

    where k = kernel step - first_step. For k < 0 input is thrown away and the state stays 0; with
    period > 0 all state is zeroed before step k whenever k % period == 0, so that samples of
    `period` steps follow each other without a gap. With active > 0 a neuron takes no input and
    sends nothing while k % period >= active: a gap in which what is on its way runs out.

    Parameters: as in `pynn_models.cells.PARAMETERS`. tau, omega, c_re, c_im, r_re, r_im, a, further
    and those of the branches are vectors: one `ArrayParameter` for all cells, or a list of them,
    one a cell (`cell_type` makes these). Without shift and gain the branches are of the kind glu.
    Receptors: excitatory and inhibitory are the same one, that of u, and the sign of an input is
    that of its weight; value0, gate0, value1, ... are those of the branches, which are counted
    when the cell type is made.
    With differences = 1, for all cells, it sends s[k] - s[k-1] over a `DifferenceSynapse` to
    receptors that add up what such synapses bring, and no membrane y.
    Recordable: spikes, y, u; difference, of cells that send differences. A spike of multiplicity m
    is recorded m times. Spikes lie on the grid, whatever the spike precision set up.
    `sim.reset()` leaves the modes as they are: stream samples with a period, or set up anew.
    Make it after `sim.setup()`; if other populations come first, call `pynn_models.nest.install()`
    right after the setup.
    Raises: what `pynn_models.nest.install` raises; `nest.NESTErrors.BadProperty` for values.
    """

    nest_model = MODEL_NAME
    default_parameters = {
        "tau": ArrayParameter([]),
        "omega": ArrayParameter([]),
        "c_re": ArrayParameter([]),
        "c_im": ArrayParameter([]),
        "d": 0.0,
        "theta": 1.0,
        "bias": 0.0,
        "value_bias": ArrayParameter([]),
        "gate_bias": ArrayParameter([]),
        "shift": ArrayParameter([]),
        "gain": ArrayParameter([]),
        "r_re": ArrayParameter([]),
        "r_im": ArrayParameter([]),
        "hard_reset": 0,
        "refractory": 0,
        "a": ArrayParameter([]),
        "further": ArrayParameter([]),
        "differences": 0,
        "first_step": 0,
        "period": 0,
        "active": 0,
    }
    default_initial_values = {"y": 0.0, "u": 0.0}
    recordable = ["spikes", "y", "u"]
    units = {
        "spikes": "ms",
        **{name: quantity.unit for name, quantity in {**PARAMETERS, **VARIABLES}.items()},
    }
    conductance_based = False
    injectable = True
    always_local = False
    uses_parrot = False

    def __init__(self, **parameters: Any) -> None:
        # As early as can be: NEST loads no module once the network has a node.
        install()
        super().__init__(**parameters)
        branches = _length("value_bias", parameters.get("value_bias", ArrayParameter([])))
        self.receptor_types = [
            *("excitatory", "inhibitory"),
            *(f"{part}{p}" for p in range(branches) for part in ("value", "gate")),
        ]
        self.sends_differences = _one_flag("differences", parameters.get("differences", 0))
        if self.sends_differences:
            self.recordable = [*self.recordable, "difference"]

    @property
    def standard_receptor_type(self) -> bool:
        """False where PyNN must ask for the number of a receptor."""
        return len(self.receptor_types) == 2

    def get_receptor_type(self, name: str) -> int:
        """NEST's number of one of `receptor_types`."""
        return max(self.receptor_types.index(name) - 1, 0)

    @property
    def nest_name(self) -> dict[str, str]:
        """The model's name in NEST, a spike precision; a property to notice a lost module.

        PyNN asks while it creates the population. A `sim.setup()` since this cell type was made
        has unloaded the module, and then this raises instead of an unknown model in NEST.
        """
        install()
        return {"on_grid": MODEL_NAME, "off_grid": MODEL_NAME}


def cell_type(
    cell: StateSpaceCell, first_step: int = 0, period: int = 0, active: int = 0
) -> StateSpace:
    """A PyNN cell type with the parameters of `cell`, for a population of H neurons.

    first_step: kernel step of reference step k = 0; period: steps from one sample to the next, 0
    for one sample; active: those of them that are the sample, 0 for all.
    Raises: `CellParameterError` for one of these that is no integer >= 0, and what `StateSpace`
    raises.
    """
    parameters = {
        "tau": _rows(cell.tau),
        "c_re": _rows(cell.c_re),
        "d": cell.d,
        "theta": cell.theta,
        "bias": cell.bias,
        **schedule(first_step, period, active),
    }
    if cell.omega is not None and cell.c_im is not None:
        parameters |= {"omega": _rows(cell.omega), "c_im": _rows(cell.c_im)}
    if cell.branches is not None:
        names = ["value_bias", "gate_bias", *BRANCHES[cell.branches.kind].uses]
        parameters |= {name: _rows(getattr(cell.branches, name)) for name in names}
    return StateSpace(**parameters, **_parts(cell))


def _parts(cell: StateSpaceCell) -> dict[str, Any]:
    """The parameters of a cell's reset, history and multiplicity: none of a part that it lacks."""
    found: dict[str, Any] = {}
    if cell.reset is not None:
        found["refractory"] = cell.reset.refractory
        found["hard_reset"] = int(cell.reset.is_hard)
        for name, value in (("r_re", cell.reset.r_re), ("r_im", cell.reset.r_im)):
            found |= {} if value is None else {name: _rows(value)}
    if cell.history is not None:
        found["a"] = _rows(cell.history.a)
    if cell.multiplicity is not None:
        found["further"] = _rows(cell.multiplicity.further)
    if cell.differences:
        found["differences"] = 1
    return found


def _one_flag(name: str, value: Any) -> bool:
    values = np.unique(np.asarray(value))
    if len(values) != 1 or values[0] not in (0, 1):
        raise CellParameterError(
            f"StateSpace: {name} is {value!r}, expected 0 or 1, the same for all cells. Make a "
            "population of each."
        )
    return bool(values[0])


def schedule(first_step: int, period: int, active: int) -> dict[str, int]:
    """When samples begin and end, as parameters; raises `CellParameterError`."""
    given = {"first_step": first_step, "period": period, "active": active}
    return {name: _steps(name, value) for name, value in given.items()}


def _steps(name: str, value: int) -> int:
    if not isinstance(value, Integral) or value < 0:
        raise CellParameterError(
            f"cell_type: {name} is {value!r}, expected an integer number of steps >= 0. "
            "Divide milliseconds by the timestep and round."
        )
    return int(value)


def _rows(values: NDArray[np.float64]) -> NDArray[np.object_]:
    # Filled one by one: numpy.array would look into the ArrayParameters.
    rows = np.empty(len(values), dtype=object)
    for index, row in enumerate(values):
        rows[index] = ArrayParameter(row)
    return rows


def _length(name: str, value: Any) -> int:
    """The number of elements of a vector parameter, given for all cells or for each."""
    row = value
    if isinstance(value, (list, tuple, np.ndarray)) and len(value) > 0:
        row = value[0]
    if not isinstance(row, ArrayParameter):
        raise CellParameterError(
            f"StateSpace: {name} is {value!r}, expected an ArrayParameter, or a list of them, one "
            "a cell. Make it with cell_type(), or write ArrayParameter([...])."
        )
    return len(row.value)
