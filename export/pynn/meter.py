"""What NEST records that PyNN does not, or takes long to read: a multimeter of our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from export.description.network import FloatArray
from pynn_models.ranks import world


class Meter:
    """A NEST device that records at every step what PyNN does not record, or takes long to read."""

    def __init__(self, population: Any, variables: list[str]) -> None:
        import nest

        step = nest.resolution
        self._population = population
        self.device = nest.Create("multimeter", params={"record_from": variables, "interval": step})
        delay = nest.min_delay  # which asks earlier or later, and is not late for a step
        nest.Connect(self.device, population.node_collection, syn_spec={"delay": delay})

    def by_step(self, *variables: str) -> FloatArray:
        """The sum of some variables, (steps, neurons); row i is the end of step i.

        Of all processes of an MPI run, each of which records the neurons that are its own.
        """
        events = self.device.events
        values = np.zeros(len(events.get("senders", ())))
        for name in variables if len(values) else ():  # there is none before NEST has run
            values = values + events[name]
        senders, found = by_step({"senders": (), "times": ()} | events, values)
        table = np.zeros((world().most(len(found)), self._population.size))
        table[: len(found), senders - int(self._population.first_id)] = found
        return world().sum(table)


def by_step(
    events: Mapping[str, ArrayLike], values: FloatArray
) -> tuple[NDArray[np.int64], FloatArray]:
    """A value for each of a multimeter's events -> the senders (n,), and their values (steps, n).

    In any order: threads tell theirs one after the other. Row i is the end of step i.
    """
    senders = np.asarray(events["senders"], np.int64)
    order = np.lexsort((np.asarray(events["times"], np.float64), senders))
    found = np.unique(senders)
    rows = len(senders) // max(len(found), 1)
    return found, values[order].reshape(len(found), rows).T
