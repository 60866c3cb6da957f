"""The stock cell ``IF_curr_exp`` in SpiNNaker's integers: every bit of spikes and membranes."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike

from pynn_models.jit import njit
from pynn_models.spinnaker.fixed_point import (
    INT32_MAX,
    UINT32_MAX,
    FixedPointError,
    Int64Array,
    expulr,
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
class StockCell:
    """H neurons of the stock type, in PyNN's names and units; scalars or (H,) arrays.

    Units: tau_m, tau_refrac, tau_syn_E, tau_syn_I ms; cm nF; v_* mV; i_offset nA.
    """

    tau_m: ArrayLike = 20.0
    cm: ArrayLike = 1.0
    tau_refrac: ArrayLike = 0.1
    tau_syn_E: ArrayLike = 5.0  # noqa: N815 - PyNN's name
    tau_syn_I: ArrayLike = 5.0  # noqa: N815
    v_rest: ArrayLike = -65.0
    v_reset: ArrayLike = -65.0
    v_thresh: ArrayLike = -50.0
    i_offset: ArrayLike = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class StockConstants(LeakyConstants):
    """What the board computes from a cell's parameters: `LeakyConstants`, and, (2, H) each::

        dec  = expulr(-(K(dt) / K(tau_syn)))            u0.32: excitatory, inhibitory
        init = K(tau_syn) / K(dt) * (1 - dec)           u0.32
    """

    dec: Int64Array
    init: Int64Array


def synapse_constants(tau: int, timestep: int, what: str = "tau_syn") -> tuple[int, int]:
    """dec and init of a synapse (see `StockConstants`) from K(tau_syn) and K(dt).

    Raises `FixedPointError` for the two traps of the board's arithmetic: a decay of 1 becomes 0,
    and an init of 1 or more keeps only its fraction.
    """
    exponent = -kdiv(timestep, tau, f"timestep / {what}")
    decay = expulr(exponent)
    initial = (kdiv(tau, timestep, f"{what} / timestep") * (UINT32_MAX - decay)) >> 15
    if exponent == 0 or initial > UINT32_MAX:
        found = "a decay of 0" if exponent == 0 else f"an input scale of {initial / 2**32 - 1:.3g}"
        raise FixedPointError(
            f"{what} = {tau / 32768:g} ms at a timestep of {timestep / 32768:g} ms would get "
            f"{found} on the board, expected about 1: its fixed point overflows here. "
            "Choose another time constant; below 500 timesteps none is affected."
        )
    return decay, initial


def stock_constants(cell: StockCell, timestep: float) -> StockConstants:
    """The integers of `StockConstants`; ``timestep`` in ms.

    Raises `FixedPointError`, naming the parameter and the neuron.
    """
    k, ts = parameters_in_s1615(cell), to_s1615(timestep, "timestep")
    synapses = [
        [synapse_constants(tau, ts, f"{name}[{h}]") for h, tau in enumerate(k[name].tolist())]
        for name in ("tau_syn_E", "tau_syn_I")
    ]
    return StockConstants(
        **leaky_constants(k, timestep),
        dec=np.array([[dec for dec, _ in row] for row in synapses]),
        init=np.array([[init for _, init in row] for row in synapses]),
    )


@numba.njit(inline="always")
def _wrap(n):  # type: ignore[no-untyped-def]
    return np.int64(np.int32(n))


@njit(nogil=True)
def _run(  # type: ignore[no-untyped-def]
    exc, inh, current, shift,
    c_r, tc, tref, dec, init, rest, reset, thresh, offset, state,
    spikes, membrane,
):  # fmt: skip
    samples, steps, size = spikes.shape
    with_exc, with_inh = exc.shape[0] > 0, inh.shape[0] > 0
    with_current, keep = current.shape[0] > 0, membrane.shape[0] > 0
    for b in range(samples):
        v, i_exc, i_inh, refractory = state[0, b], state[1, b], state[2, b], state[3, b]
        for k in range(steps):
            if with_exc:
                for h in range(size):
                    arriving = np.int64(exc[b, k, h]) << shift[0]
                    i_exc[h] = _wrap(i_exc[h] + ((arriving * init[0, h]) >> 32))
            if with_inh:
                for h in range(size):
                    arriving = np.int64(inh[b, k, h]) << shift[1]
                    i_inh[h] = _wrap(i_inh[h] + ((arriving * init[1, h]) >> 32))
            for h in range(size):
                if keep:
                    membrane[b, k, h] = v[h]
                total = i_exc[h] - i_inh[h] + offset[h]
                if with_current:
                    total += current[b, k, h]
                alpha = _wrap(_wrap((_wrap(total) * c_r[h]) >> 15) + rest[h])
                driven = _wrap(alpha - _wrap((tc[h] * _wrap(alpha - v[h])) >> 15))
                active = refractory[h] <= 0
                now = driven if active else v[h]
                fired = now >= thresh[h]
                waiting = refractory[h] if active else refractory[h] - 1
                spikes[b, k, h] = fired
                v[h] = reset[h] if fired else now
                refractory[h] = tref[h] if fired else waiting
                i_exc[h] = (i_exc[h] * dec[0, h]) >> 32
                i_inh[h] = (i_inh[h] * dec[1, h]) >> 32


def stock_state(start: Int64Array, samples: int) -> Int64Array:
    """V = ``start`` (H,), the synaptic currents and the refractory counters, (4, B, H)."""
    state = np.zeros((4, samples, len(start)), np.int64)
    state[0] = start
    return state


def run_stock(
    constants: StockConstants,
    excitatory: UInt16Array | None,
    inhibitory: UInt16Array | None,
    shifts: tuple[int, int],
    *,
    current: Int32Array | None = None,
    v_init: Int64Array | None = None,
    membrane: bool = False,
    state: Int64Array | None = None,
) -> StockRun:
    """What the board does in tick t, in this order, all 32-bit sums modulo 2^32, shifts floor::

        I     += ((buffer[t] << r) * init) >> 32                 per receptor type
        record V
        if refractory counter > 0: counter -= 1, V stays
        else: alpha = ((I_exc - I_inh + i_offset + current[t]) * R >> 15) + v_rest
              V     = alpha - (TC * (alpha - V) >> 15)
        if V >= v_thresh: spike, V = v_reset, counter = tref     (refractory or not)
        I      = (I * dec) >> 32                                 per receptor type

    Shapes: buffers (B, L, H) uint16 of each receptor type, or None, with ring-buffer ``shifts`` r
    (excitatory, inhibitory); ``current`` (B, L, H) in s16.15; ``v_init`` (H,) in s16.15, v_rest
    if not given; ``state``: (4, B, H), what :func:`stock_state` gave and an earlier call left,
    changed in place, in place of ``v_init``. A spike of tick t reaches its targets in tick
    t + delay.
    Raises `FixedPointError` for wrong shapes or shifts.
    Source: sPyNNaker 7.4.1, checked against its binary bit for bit.
    """
    check_shift(shifts[0], "excitatory")
    check_shift(shifts[1], "inhibitory")
    given = [a for a in (excitatory, inhibitory, current) if a is not None]
    size = constants.n_neurons
    if not given or any(a.ndim != 3 or a.shape != given[0].shape for a in given) or (
        given[0].shape[2] != size
    ):
        raise FixedPointError(
            f"run_stock: inputs of shapes {[a.shape for a in given]}, expected one shape (B, L, "
            f"{size}) for ring buffers and current, and at least one of them."
        )
    shape = given[0].shape
    start = constants.v_rest if v_init is None else np.asarray(v_init, np.int64)
    if start.shape != (size,) or (np.abs(start) > INT32_MAX).any():
        raise FixedPointError(
            f"run_stock: v_init of shape {start.shape}, magnitudes up to "
            f"{np.abs(start).max(initial=0)}; expected ({size},), at most {INT32_MAX}."
        )
    if state is None:
        state = stock_state(start, shape[0])
    none16, none32 = np.empty((0, 0, 0), np.uint16), np.empty((0, 0, 0), np.int32)
    spikes = np.empty(shape, np.bool_)
    trace = np.empty(shape, np.int32) if membrane else none32
    _run(
        none16 if excitatory is None else np.ascontiguousarray(excitatory),
        none16 if inhibitory is None else np.ascontiguousarray(inhibitory),
        none32 if current is None else np.ascontiguousarray(current),
        np.array(shifts), constants.r, constants.tc, constants.tref, constants.dec, constants.init,
        constants.v_rest, constants.v_reset, constants.v_thresh, constants.i_offset,
        state, spikes, trace,
    )  # fmt: skip
    return StockRun(spikes, trace if membrane else None)
