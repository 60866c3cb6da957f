"""Leaky integrate-and-fire populations on SpiNNaker: its stock ``IF_curr_delta``.

With R = tau_m / cm = 1 and no refractory time the board computes, TC the decay in s16.15::

    V[k] = TC V[k-1] + (1 - TC) I[k],  I = g u,  V = S v,  S = g (1 - TC) rate
    spike if V >= V_thresh = (floor(theta S 2^15) + 1) / 2^15,  then V = 0

where rate = 1 / timestep is the board's own factor of every input, and v the neuron of
`pynn_models.cells.LeakyCell`. The bias is a spike: a source sends one a step, whose weights are the
biases. Weights, their scale g and shifts r are those of :mod:`export.fixed_point.weights`, the bias
among them. The ring buffers hold what arrives, so |I| < 2^15, and V stays within it.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Population
from export.fixed_point.plan import Arithmetic, Arriving, Expected, Plan, Stepped
from export.fixed_point.stock import decay_time
from export.fixed_point.weights import Load, plan_weights, stored_load
from pynn_models.cells import LeakyCell
from pynn_models.errors import SnnSsmError
from pynn_models.spinnaker import from_s1615, split_weights
from pynn_models.spinnaker.delta import DeltaCell, delta_constants, delta_state, run_delta
from pynn_models.spinnaker.synapses import RING_MAX, UInt16Array

_ONE = 2.0**15
_REACH = 32767.0  # of a membrane: half of s16.15, so that a threshold can lie outside it


class SpinnakerLifError(SnnSsmError):
    """A population that the board's ``IF_curr_delta`` cannot be."""


_constants = functools.lru_cache(maxsize=64)(delta_constants)  # slow, and each batch asks for them


@dataclass(frozen=True, eq=False)
class LifPlan(Plan):
    """One population: scale, shifts, ``cell`` in PyNN's units and ``bias`` (H,), the network's."""

    cell: DeltaCell
    bias: FloatArray

    def constant(self) -> tuple[UInt16Array, UInt16Array] | None:
        if not self.bias.any():
            return None
        return split_weights(self.bias[None, :] * self.scale, self.shifts)

    def always(self, receptor: str) -> FloatArray | None:
        return self.bias

    def step(
        self, network: Network, arriving: Arriving, membrane: bool, state: Any = None
    ) -> Stepped:
        """No membrane: the board records it before the update, and after a reset."""
        constants = _constants(self.cell, network.timestep)
        if state is None:
            state = delta_state(constants, len(arriving.input[0]))
        found = run_delta(constants, *arriving.input, self.shifts, state=state)
        return Stepped(found.spikes, state=state)

    def modes(
        self, network: Network, population: Population
    ) -> tuple[NDArray[np.complex128], FloatArray]:
        """The decay, and the reach of the membrane, which nowhere exceeds its input, (H, 1)."""
        constants = delta_constants(self.cell, network.timestep)
        held = np.minimum(stored_load(network, population, self, constant=self.bias), RING_MAX)
        arriving = np.ldexp(held, np.array(self.shifts)[:, None]) * from_s1615(constants.rate)
        reach = np.log2(np.maximum(arriving.max(axis=0), 1.0))
        return from_s1615(constants.tc)[:, None].astype(np.complex128), reach[:, None]


def plan_lif(network: Network, population: Population, load: Load | None = None) -> LifPlan:
    """The plan of a spiking population of a network of leaky cells.

    ``load``: of its ring buffers, for all inputs if not given. Raises :class:`SpinnakerLifError`
    or ``FixedPointError``, naming the neuron.
    """
    cell = cast(LeakyCell, population.cell)
    where = f"population {population.name!r}, neuron"
    if (cell.theta < 0).any():
        h = int(np.flatnonzero(cell.theta < 0)[0])
        raise SpinnakerLifError(
            f"{where} {h}: theta is {cell.theta[h]}; expected at least 0: a neuron at rest above "
            "its threshold spikes before the first step. Train with a threshold above 0."
        )
    times = np.array([
        decay_time(float(tau), network.timestep, f"{where} {h}") for h, tau in enumerate(cell.tau)
    ])
    plain = _cell(population, times, np.zeros(population.size))
    constants = delta_constants(plain, network.timestep)
    rate = float(from_s1615(constants.rate))
    top = max(14 - max(math.ceil(math.log2(rate)), 0), 0)
    plan = plan_weights(network, population, top, load=load, constant=cell.bias)
    lowest = cell.theta * plan.scale * rate * (1 - from_s1615(constants.tc))
    thresholds = (np.floor(np.minimum(lowest, _REACH + 1) * _ONE) + 1) / _ONE
    return LifPlan(plan.scale, plan.shifts, _cell(population, times, thresholds), cell.bias)


def _cell(population: Population, times: FloatArray, thresholds: FloatArray) -> DeltaCell:
    zero = np.zeros(population.size)
    return DeltaCell(
        tau_m=times, cm=times, tau_refrac=zero, v_rest=zero, v_reset=zero, v_thresh=thresholds,
        i_offset=zero,
    )  # fmt: skip


def _plan(network: Network, population: Population, expected: Expected) -> LifPlan:
    return plan_lif(network, population, expected.load)


LIF = Arithmetic(
    "lif",
    takes=lambda network: network.cells == "lif",
    plan=_plan,
    instructions=lambda population: 138,  # of sPyNNaker's own binary
    whole=False,
    note="The logits of LIF cells are computed from spike counts, on the host.",
)

