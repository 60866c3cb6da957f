"""The stock cell ``IF_curr_delta`` in SpiNNaker's integers: every bit of spikes and membranes."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike

from pynn_models.jit import njit
from pynn_models.spinnaker.fixed_point import (
    S1615_ONE,
    FixedPointError,
    Int64Array,
    kdiv,
    to_s1615,
)
from pynn_models.spinnaker.leaky import (
    LeakyConstants,
    StockRun,
    leaky_constants,
    parameters_in_s1615,
)
from pynn_models.spinnaker.synapses import Int32Array, UInt16Array, check_shift


@dataclass(frozen=True, eq=False, kw_only=True)
class DeltaCell:
    """H neurons of the type, in PyNN's names and units; scalars or (H,) arrays.

    Units: tau_m, tau_refrac ms; cm nF; v_* mV; i_offset nA. Weights are in mV nF / ms of a step.
    """

    tau_m: ArrayLike = 20.0
    cm: ArrayLike = 1.0
    tau_refrac: ArrayLike = 0.1
    v_rest: ArrayLike = -65.0
    v_reset: ArrayLike = -65.0
    v_thresh: ArrayLike = -50.0
    i_offset: ArrayLike = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class DeltaConstants(LeakyConstants):
    """What the board computes from a cell's parameters: `LeakyConstants`, and::

        rate = 1 / K(dt)                                s16.15, one for all
    """

    rate: int


def delta_constants(cell: DeltaCell, timestep: float) -> DeltaConstants:
    """The integers of `DeltaConstants`; ``timestep`` in ms.

    Raises `FixedPointError`, naming the parameter and the neuron.
    """
    rate = kdiv(S1615_ONE, to_s1615(timestep, "timestep"), "1 / timestep")
    return DeltaConstants(**leaky_constants(parameters_in_s1615(cell), timestep), rate=rate)


@numba.njit(inline="always")
def _wrap(n):  # type: ignore[no-untyped-def]
    return np.int64(np.int32(n))


@njit(nogil=True)
def _run(  # type: ignore[no-untyped-def]
    exc, inh, shift, rate, c_r, tc, tref, rest, reset, thresh, offset, state, spikes, membrane
):
    samples, steps, size = spikes.shape
    keep = membrane.shape[0] > 0
    for b in range(samples):
        v, refractory = state[0, b], state[1, b]
        for k in range(steps):
            for h in range(size):
                if keep:
                    membrane[b, k, h] = v[h]
                plus = _wrap(((np.int64(exc[b, k, h]) << shift[0]) * rate) >> 15)
                minus = _wrap(((np.int64(inh[b, k, h]) << shift[1]) * rate) >> 15)
                total = _wrap(plus - minus + offset[h])
                alpha = _wrap(_wrap((total * c_r[h]) >> 15) + rest[h])
                driven = _wrap(alpha - _wrap((tc[h] * _wrap(alpha - v[h])) >> 15))
                active = refractory[h] <= 0
                now = driven if active else v[h]
                fired = now >= thresh[h]
                waiting = refractory[h] if active else refractory[h] - 1
                spikes[b, k, h] = fired
                v[h] = reset[h] if fired else now
                refractory[h] = tref[h] if fired else waiting


def delta_state(constants: DeltaConstants, samples: int) -> Int64Array:
    """V and the refractory counters of B samples at rest, (2, B, H)."""
    state = np.zeros((2, samples, constants.n_neurons), np.int64)
    state[0] = constants.v_rest
    return state


def run_delta(
    constants: DeltaConstants,
    excitatory: UInt16Array,
    inhibitory: UInt16Array,
    shifts: tuple[int, int],
    *,
    membrane: bool = False,
    state: Int64Array | None = None,
) -> StockRun:
    """What the board does in tick t, in this order, all 32-bit sums modulo 2^32, shifts floor::

        I = ((exc[t] << r_exc) rate >> 15) - ((inh[t] << r_inh) rate >> 15) + i_offset
        record V
        if refractory counter > 0: counter -= 1, V stays
        else: alpha = (I * R >> 15) + v_rest
              V     = alpha - (TC * (alpha - V) >> 15)
        if V >= v_thresh: spike, V = v_reset, counter = tref     (refractory or not)

    Shapes: ring buffers (B, L, H) uint16 of both receptor types, with their ``shifts``. V starts
    at v_rest, or where an earlier call left ``state`` (:func:`delta_state`), which is changed.
    Raises `FixedPointError` for wrong shapes or shifts.
    Source: sPyNNaker 7.4.1, checked against its binary bit for bit.
    """
    check_shift(shifts[0], "excitatory")
    check_shift(shifts[1], "inhibitory")
    size = constants.n_neurons
    if excitatory.shape != inhibitory.shape or excitatory.shape[2:] != (size,):
        raise FixedPointError(
            f"run_delta: ring buffers of shapes {excitatory.shape} and {inhibitory.shape}, "
            f"expected (B, L, {size}) of both."
        )
    if state is None:
        state = delta_state(constants, len(excitatory))
    spikes = np.empty(excitatory.shape, np.bool_)
    trace: Int32Array = np.empty(excitatory.shape if membrane else (0, 0, 0), np.int32)
    c = constants
    _run(
        np.ascontiguousarray(excitatory), np.ascontiguousarray(inhibitory), np.array(shifts),
        c.rate, c.r, c.tc, c.tref, c.v_rest, c.v_reset, c.v_thresh, c.i_offset, state, spikes,
        trace,
    )  # fmt: skip
    return StockRun(spikes, trace if membrane else None)
