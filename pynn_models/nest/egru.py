"""PyNN's view of the NEST event-based gated unit. Imports PyNN: load through `pynn_models.nest`."""

from __future__ import annotations

from typing import Any

from pyNN.nest.cells import NativeCellType

from pynn_models.cells import EGRU_PARAMETERS, EGRU_VARIABLES, EgruCell
from pynn_models.nest.build import EGRU_NAME, install
from pynn_models.nest.neuron import schedule


class Egru(NativeCellType):
    """The unit of `pynn_models.cells.EgruCell` as a PyNN cell type for NEST::

        v[k] = z[k] h[k-1] + (1 - z[k]) g[k],  spike: v > theta,  h[k] = v[k] - s[k] theta

    where k = kernel step - first_step; period and active as of `StateSpace`.

    Parameters: `pynn_models.cells.EGRU_PARAMETERS`, one number a unit each.
    Receptors: excitatory and inhibitory are the same one, the candidate's input, and the sign of an
    input is that of its weight; update, reset and recurrent. Each takes spikes, currents and, over
    a `GradedSynapse`, values: from an `Egru` v at a step with a spike, else 0.
    Recordable: spikes, y (v before the reset), u (the input and its bias), z, r, g.
    `sim.reset()` leaves h as it is: stream samples with a period, or set up anew.
    Make it after `sim.setup()`; if other populations come first, call `pynn_models.nest.install()`
    right after the setup.
    Raises: what `pynn_models.nest.install` raises; `nest.NESTErrors.BadProperty` for values.
    """

    nest_model = EGRU_NAME
    default_parameters = {
        "theta": 0.5,
        "bias": 0.0,
        "update_bias": 0.0,
        "reset_bias": 0.0,
        "recurrent_bias": 0.0,
        "first_step": 0,
        "period": 0,
        "active": 0,
    }
    default_initial_values = {"y": 0.0, "u": 0.0}
    recordable = ["spikes", *EGRU_VARIABLES]
    units = {
        "spikes": "ms",
        **{name: quantity.unit for name, quantity in {**EGRU_PARAMETERS, **EGRU_VARIABLES}.items()},
    }
    receptor_types = ["excitatory", "inhibitory", "update", "reset", "recurrent"]
    standard_receptor_type = False
    sends_differences = False
    conductance_based = False
    injectable = True
    always_local = False
    uses_parrot = False

    def __init__(self, **parameters: Any) -> None:
        # As early as can be: NEST loads no module once the network has a node.
        install()
        super().__init__(**parameters)

    def get_receptor_type(self, name: str) -> int:
        """NEST's number of one of `receptor_types`."""
        return max(self.receptor_types.index(name) - 1, 0)

    @property
    def nest_name(self) -> dict[str, str]:
        """The model's name in NEST, a spike precision; asked for while a population is made."""
        install()
        return {"on_grid": EGRU_NAME, "off_grid": EGRU_NAME}


def egru_cell_type(
    cell: EgruCell, first_step: int = 0, period: int = 0, active: int = 0
) -> Egru:
    """A PyNN cell type with the parameters of `cell`, for a population of H units.

    first_step, period and active as of `cell_type`.
    Raises: `CellParameterError` for one of these that is no integer >= 0, and what `Egru` raises.
    """
    names = ("theta", "bias", "update_bias", "reset_bias", "recurrent_bias")
    values = {name: getattr(cell, name) for name in names}
    return Egru(**values, **schedule(first_step, period, active))
