"""PyNN on NEST: event-based gated recurrent units, as the project's own second neuron."""

from __future__ import annotations

from typing import Any, cast

from export.description.network import Population
from export.pynn.nest import NestNative
from pynn_models.cells import EgruCell


class NestEgru(NestNative):
    """Gated units: ``pynn_models.nest.Egru``; samples stream.

    What gathers for the readout, and the readout, are state-space neurons, as in a network of
    native cells. NEST sends a graded value at every step, 0 without an event.
    """

    cells = "egru"

    def cell(self, population: Population, first_step: int, period: int, active: int) -> Any:
        from pynn_models.nest import egru_cell_type

        if not population.spikes:
            return super().cell(population, first_step, period, active)
        return egru_cell_type(cast(EgruCell, population.cell), first_step, period, active)
