"""Projections for Brian 2. Imports PyNN: load it through `pynn_models.brian2`."""

from __future__ import annotations

from typing import Any

import brian2
import numpy as np
from numpy.typing import ArrayLike
from pyNN.brian2.standardmodels.synapses import StaticSynapse
from pyNN.connectors import Connector


class RawSynapse(StaticSynapse):
    """PyNN's static synapse with weights of either sign in volts or amperes, not in mV or nA.

    Brian 2 computes in these; so no weight is rounded on its way there.
    """

    def _set_target_type(self, weight_units: Any) -> None:
        unit = brian2.volt if weight_units == brian2.mV else brian2.amp
        forward, back = (lambda **p: p["weight"] * unit), (lambda **p: p["weight"] / unit)
        self.translations["weight"]["forward_transform"] = forward
        self.translations["weight"]["reverse_transform"] = back


class RawConnector(Connector):
    """K synapses from i to j at once, where PyNN's FromListConnector makes one after the other.

    Shapes: sources, targets, weights, delays (K,). Units: weights volts or amperes, as
    `RawSynapse`, with which it is used; delays ms.
    """

    parameter_names = ("sources", "targets", "weights", "delays")

    def __init__(
        self, sources: ArrayLike, targets: ArrayLike, weights: ArrayLike, delays: ArrayLike,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sources, self.targets = (np.asarray(v, np.int64) for v in (sources, targets))
        self.weights, self.delays = (np.asarray(v, np.float64) for v in (weights, delays))

    def connect(self, projection: Any) -> None:
        """Called by PyNN's Projection."""
        made = projection._brian2_synapses[0][0]
        made.connect(i=self.sources, j=self.targets)
        made.weight_ = self.weights
        steps = np.rint(self.delays / projection._simulator.state.dt)
        made.delay = steps * projection._simulator.state.dt * brian2.ms
        projection._n_connections += len(self.sources)


class KeptSpikes(brian2.BrianObject):
    """Keeps the spikes of a run's last step for the next run.

    Where spikes arrive before they are made, they are on their way when a run ends, and Brian 2
    forgets those. Not after a reset, which starts at 0.
    """

    def __init__(self, group: Any) -> None:
        super().__init__(clock=group.clock, when="start", order=-100)
        self.add_dependency(group)
        self._spikes = group.variables["_spikespace"]
        self._time = group.clock.variables["t"]
        self._kept: Any = None

    def before_run(self, run_namespace: Any) -> None:
        """Called by Brian 2 at the start of each run."""
        if self._kept is not None and self._time.get_value().item() > 0:
            self._spikes.get_value()[:] = self._kept

    def after_run(self) -> None:
        """Called by Brian 2 at the end of each run, of this object first."""
        self._kept = self._spikes.get_value().copy()
