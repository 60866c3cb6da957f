"""Stock populations on SpiNNaker: scales, shifts, thresholds, so that nothing overflows.

Weights, their scale g and shifts r are those of :mod:`export.fixed_point.weights`. With them::

    I'[k] = exp(-n_j / 2^15) I'[k-1] + init_j sum_i w_ij g_j s_i[k]
    spike if I'_exc - I'_inh >= V_thresh = (floor(theta_j g_j init_j 2^15) + 1) / 2^15

where init is the board's own input scale of an exponential synapse, and the membrane is memoryless
(tau_m = cm = timestep / 16). Since every source may spike in the same step, the exact bound of what
arrives in one is the sum of the weights of a sign; the state's is that times
``(1 - a^T) / (1 - a)``. g and r are the largest for which the ring buffer holds the first and half
of s16.15 the second.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network, Population
from export.fixed_point.plan import Arithmetic, Arriving, Expected, Plan, Stepped
from export.fixed_point.weights import Load, plan_weights, stored_load
from pynn_models.errors import SnnSsmError
from pynn_models.spinnaker import (
    StockCell,
    from_u032,
    run_stock,
    state_gain,
    stock_constants,
    to_s1615,
)
from pynn_models.spinnaker.stock import stock_state
from pynn_models.spinnaker.synapses import RING_MAX

_ONE = 2.0**15
_REACH = 32767.0  # of a state: half of s16.15, so that a threshold can lie outside it
_MEMORYLESS = 16.0  # timesteps a tau_m: beyond 10.4, exp(-timestep/tau_m) is 0 on the board
HOLD = -40000.0  # nA: a membrane below every threshold


class SpinnakerStockError(SnnSsmError):
    """A population that the board's stock cell cannot be."""


_constants = functools.lru_cache(maxsize=64)(stock_constants)  # slow, and each batch asks for them


@dataclass(frozen=True, eq=False)
class StockPlan(Plan):
    """One population: scale, shifts, and ``cell`` in PyNN's units."""

    cell: StockCell

    def step(
        self, network: Network, arriving: Arriving, membrane: bool, state: Any = None
    ) -> Stepped:
        """No membrane: the board records it before the update, and after a reset."""
        constants = _constants(self.cell, network.timestep)
        if state is None:
            state = stock_state(constants.v_rest, len(arriving.input[0]))
        found = run_stock(constants, *arriving.input, self.shifts, state=state)
        return Stepped(found.spikes, state=state)

    def modes(
        self, network: Network, population: Population
    ) -> tuple[NDArray[np.complex128], FloatArray]:
        """The decay, and the reach of the larger of the two synaptic currents, (H, 1) each."""
        constants = stock_constants(self.cell, network.timestep)
        held = np.minimum(stored_load(network, population, self), RING_MAX)  # (2, H)
        arriving = np.ldexp(held, np.array(self.shifts)[:, None]) * from_u032(constants.init)
        gain = state_gain(population.state_space, network.timestep, network.steps)[:, 0]
        reach = np.log2(np.maximum((arriving * gain).max(axis=0), 1.0))
        return from_u032(constants.dec[0])[:, None].astype(np.complex128), reach[:, None]


def decay_time(tau: float, timestep: float, where: str) -> float:
    """The s16.15 time constant whose decay exponent on the board is nearest to timestep / tau."""
    step = to_s1615(timestep, "timestep")
    wanted = _ONE * timestep / tau  # units of 2^-15
    if not (math.isfinite(tau) and 1 <= round(wanted) <= 10 * _ONE):
        raise SpinnakerStockError(
            f"{where}: tau is {tau} ms at a timestep of {timestep} ms; expected a finite time "
            "constant between a tenth of a timestep and 32768 of them. Retrain with other dt_min "
            "and dt_max."
        )
    first = (step << 15) // round(wanted)
    best = min((first, first + 1), key=lambda k: abs((step << 15) // k - wanted))
    return best / _ONE


def plan_population(
    network: Network, population: Population, load: Load | None = None
) -> StockPlan:
    """The plan of a spiking population of a stock network.

    ``load``: of its ring buffers, for all inputs if not given; the state never overflows, since
    they saturate.
    Raises :class:`SpinnakerStockError` or ``FixedPointError``, naming the neuron.
    """
    tau, steps = population.state_space.tau[:, 0], network.steps
    where = f"population {population.name!r}, neuron"
    times = np.array(
        [decay_time(float(t), network.timestep, f"{where} {h}") for h, t in enumerate(tau)]
    )
    decay = np.exp(-network.timestep / tau)
    gain = (1 - decay**steps) / (1 - decay)
    top = max(min(math.floor(math.log2(_REACH / gain.max())) - 1, 14), 0)
    plan = plan_weights(network, population, top, load=load)
    cell = _cell(population, times, network.timestep, plan.scale)
    return StockPlan(plan.scale, plan.shifts, cell)


def _cell(
    population: Population, times: FloatArray, timestep: float, scale: FloatArray
) -> StockCell:
    size = np.ones(population.size)
    parameters = {
        "tau_m": size * timestep / _MEMORYLESS,
        "cm": size * timestep / _MEMORYLESS,
        "tau_refrac": 0 * size,
        "tau_syn_E": times,
        "tau_syn_I": times,
        "v_rest": 0 * size,
        "v_reset": 0 * size,
        "i_offset": 0 * size,
    }
    constants = stock_constants(StockCell(**parameters, v_thresh=0 * size), timestep)
    reach = population.cell.theta * scale * np.ldexp(constants.init[0].astype(np.float64), -32)
    lowest = np.clip(reach, -_REACH - 1, _REACH + 1)  # beyond: always, or never
    return StockCell(**parameters, v_thresh=(np.floor(lowest * _ONE) + 1) / _ONE)


def _plan(network: Network, population: Population, expected: Expected) -> StockPlan:
    return plan_population(network, population, expected.load)


STOCK = Arithmetic(
    "stock",
    takes=lambda network: network.cells == "stock",
    plan=_plan,
    instructions=lambda population: 160,  # of sPyNNaker's own binary
    whole=False,
    note="The logits of stock cells are computed from spike counts, on the host.",
)
