"""PyNN on Brian 2: stock and LIF cells.

A step of Brian 2 that starts at time t is step t/h of the network, h the timestep, and spikes of it
are stamped t. Its order within a step is a list that can be set.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.description.network import FloatArray, Network, Population
from export.pynn.backend import BackendError
from export.pynn.standard import Held, Standard, curr_delta, curr_exp, held_until, hold, tiled

_FORGETS = 300.0  # a stock membrane's decay in a step: exp(-300)
_ARRIVALS_FIRST = ["start", "groups", "synapses", "thresholds", "resets", "end"]


class Brian2(Standard):
    """What both kinds of cell have in common: exact weights, and recordings from Brian 2 itself.

    PyNN's spike sources run on Brian 2's default clock, which is set to the timestep.
    """

    module = "pyNN.brian2"
    lag = 1
    copies: int | None = 50

    def prepare(self, sim: Any, network: Network) -> None:
        import brian2

        super().prepare(sim, network)
        brian2.defaultclock.dt = network.timestep * brian2.ms

    def run(self, sim: Any, duration: float) -> None:
        """In NumPy, unless Brian 2 was told otherwise: it compiles for two minutes first."""
        import brian2

        chosen = brian2.prefs.codegen.target
        if chosen == "auto":
            brian2.prefs.codegen.target = "numpy"
        try:
            sim.run(duration)
        finally:
            brian2.prefs.codegen.target = chosen

    def scale(self, population: Population, timestep: float) -> FloatArray:
        return np.ones(population.size)

    def connect(self, sim: Any, rows: FloatArray, pre: Any, post: Any) -> dict[str, Any]:
        """As `export.pynn.standard.connect`, with exact weights and all at once."""
        from pynn_models.brian2 import RawConnector, RawSynapse

        made = {}
        signs = {"excitatory": rows[:, 2] > 0, "inhibitory": rows[:, 2] < 0}
        for receptor, chosen in signs.items():
            if chosen.any():
                connector = RawConnector(*rows[chosen].T)
                made[receptor] = sim.Projection(
                    pre, post, connector, RawSynapse(), receptor_type=receptor
                )
        return made

    def _monitor(self, population: Any, variables: list[str]) -> Any:
        import brian2
        from pyNN.brian2 import simulator

        network, group = simulator.state.network, population.brian2_group
        found = brian2.StateMonitor(group, variables, True, when="end", clock=network.clock)
        network.add(found)
        return found


class Brian2Stock(Brian2):
    """Stock cells: PyNN's ``IF_curr_exp``. In step s Brian 2 computes, in this order::

        V(s) = exp(-h/tau_m) V(s-1) + P21 I(s-1) + P20 (currents of step s)
        I(s) = exp(-h/tau_syn) I(s-1)
        spike if V(s) > V_thresh
        I(s) = I(s) + weights of the spikes that arrive in step s
        V(s) = V_reset where it spiked

    with NEST's P21 and P20 (`export.pynn.nest.NestStock`), and so with its choice of ``tau_m`` and
    C: V(s) = x(s - 1), one step of lag. Weights are in A, V in V. What remains is the rounding of
    float64 in P21, and in I, whose signs are kept apart.
    """

    cells = "stock"

    def parameters(self, population: Population, timestep: float) -> dict[str, FloatArray]:
        found = curr_exp(population, timestep, _FORGETS)
        found["cm"] = 1e6 * found["cm"]  # 1 V of 1 A
        return found | {name: 1000.0 * found[name] for name in ("v_thresh", "v_reset")}

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        parameters = self.parameters(population, network.timestep)
        made = sim.Population(
            copies * population.size, sim.IF_curr_exp(**tiled(parameters, copies)),
            label=population.name,
        )
        made.initialize(v=0.0)
        held = self.held(network, population, first_step)
        hold(sim, made, held, population.size, copies)
        return made

    def held(self, network: Network, population: Population, first_step: int) -> Held | None:
        """Silent before the first step, also where x = 0 is above the threshold."""
        found = self.parameters(population, network.timestep)
        amplitudes = found["v_reset"] * found["cm"] / found["tau_m"]
        return held_until(population, first_step, network.timestep, amplitudes)

    def record_membrane(self, population: Any) -> Any:
        """PyNN records no synaptic current of this cell, and V is reset by a spike."""
        return self._monitor(population, ["ie", "ii"])

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        """``x = I_exc + I_inh``, (steps, neurons): the spike of step f is that of x(f - 1)."""
        return np.asarray(recorder.ie_ + recorder.ii_).T[first_step - 1 :]


class Brian2Lif(Brian2):
    """LIF cells: PyNN's ``IF_curr_delta``.

    Brian 2 compares before spikes arrive, and what arrives in the step of a spike is lost. So
    arrivals are put before the comparison, in `Network.schedule`. Then in step s, in this order::

        V(s) = exp(-h/tau_m) V(s-1)
        V(s) = V(s) + weights of the spikes that arrive in step s
        spike if V(s) > V_thresh; then V(s) = V_reset = 0

    which is the equation of `pynn_models.cells.LeakyCell`; a spike of step s then arrives with
    delay d in step s + d + 1. The bias is a spike, too, as in NEST. Weights, thresholds and V are
    in V: with weights on a dyadic grid spikes and membranes are equal to the last bit, but for what
    Brian 2 and the C library round differently in exp.
    """

    cells = "lif"

    def prepare(self, sim: Any, network: Network) -> None:
        super().prepare(sim, network)
        import brian2

        state = sim.simulator.state
        others = [o for o in state.network.objects if isinstance(o, brian2.Synapses)]
        if others and list(state.network.schedule) != _ARRIVALS_FIRST:
            raise BackendError(
                f"the simulator has {len(others)} projections already, and for LIF cells the order "
                "of Brian 2's step is to be changed, theirs, too. Call build() before you make "
                "projections of your own."
            )
        state.network.schedule = _ARRIVALS_FIRST

    def parameters(self, population: Population, timestep: float) -> dict[str, FloatArray]:
        found = curr_delta(population)
        return found | {"v_thresh": 1000.0 * found["v_thresh"]}

    def population(
        self, sim: Any, network: Network, population: Population, first_step: int, copies: int
    ) -> Any:
        from pynn_models.brian2 import KeptSpikes

        parameters = tiled(self.parameters(population, network.timestep), copies)
        cell = sim.IF_curr_delta(**parameters)
        made = sim.Population(copies * population.size, cell, label=population.name)
        made.initialize(v=0.0)
        made.brian2_group.v_thresh_ = np.tile(population.cell.theta, copies)  # not rounded by mV
        sim.simulator.state.network.add(KeptSpikes(made.brian2_group))
        self.constant(sim, network, population, first_step, made, copies)
        return made

    def record_membrane(self, population: Any) -> Any:
        return self._monitor(population, ["v"])

    def membrane(self, recorder: Any, first_step: int) -> FloatArray:
        """V after the reset: 0 where the neuron spikes."""
        return np.asarray(recorder.v_).T[first_step:]
