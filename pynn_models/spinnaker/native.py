"""The native state-space cell in SpiNNaker's integers, as ``c/state_space_core.h`` computes it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pynn_models.jit import njit
from pynn_models.spinnaker.fixed_point import FixedPointError
from pynn_models.spinnaker.native_parameters import Int32Array, NativeParameters, NativeReset


class StateOverflowError(FixedPointError):
    """A state, or a neuron's input, left the 32 bits that the board has for it."""


class NativeState(NamedTuple):
    """The modes' integers X, (B, H, N) int32; x_im is zero for real modes.

    Of optional parts, (B, H): ``rest``, the steps of silence that are left, int32; ``before``, its
    bit j - 1 whether the membrane was above theta j steps before, uint32. None: zero.
    """

    x_re: Int32Array
    x_im: Int32Array
    rest: Int32Array | None = None
    before: NDArray[np.uint32] | None = None


class NativeRun(NamedTuple):
    """Spikes (B, L, H); membranes Y (B, L, H) int32 after each update, or None; the last state.

    overflows: how many (sample, step, neuron) had a state or an input that wrapped.
    """

    spikes: NDArray[np.bool_]
    membrane: Int32Array | None
    state: NativeState
    overflows: int


RESETS = ("none", "soft", "hard")  # their numbers are those of c/state_space_neuron.h
_SOFT, _HARD = 1, 2
_HALF31 = np.int64(1 << 30)
_HALF32 = np.int64(1 << 31)
_LIMIT = np.int64(1 << 62)  # a sum in [-2^62, 2^62) gives a state of 32 bits


@njit(nogil=True)
def _run_sample(  # type: ignore[no-untyped-def]
    u, tick, first, period, rotating, ar, ai, cr, ci, d, theta, bias, how, rr, ri, a,
    xr, xi, rest, before, spikes, membrane, overflow,
):  # fmt: skip
    steps, size = u.shape
    modes, history = ar.shape[0], a.shape[0]
    resets, hard, refractory = how[0] > 0, how[0] == _HARD, how[1]
    keep = membrane.shape[0] > 0
    drive = np.empty(size, np.int32)  # of the modes: U, or 0 where a hard reset holds them
    total = np.empty(size, np.int32)
    acc = np.empty(size, np.int64)
    over = np.empty(size, np.int64)  # negative: some sum left [-2^62, 2^62)
    for t in range(steps):
        k = tick + t - first
        if k < 0:
            for h in range(size):
                spikes[t, h] = False
                if keep:
                    membrane[t, h] = 0
            continue
        if period > 0 and k % period == 0:
            for n in range(modes):
                for h in range(size):
                    xr[n, h] = 0
                    xi[n, h] = 0
            rest[:] = 0
            before[:] = 0
        for h in range(size):
            wide = np.int64(u[t, h]) + bias[h]
            total[h] = wide
            drive[h] = 0 if hard and rest[h] > 0 else total[h]
            over[h] = (wide << 31) + _LIMIT
            acc[h] = np.int64(d[h]) * total[h] + _HALF32
        for n in range(modes):
            if rotating:
                for h in range(size):
                    gain = np.int64(1) << (cr[n, h] & 31)
                    re = np.int64(ar[n, h]) * xr[n, h] - np.int64(ai[n, h]) * xi[n, h]
                    re += gain * drive[h] + _HALF31
                    im = np.int64(ar[n, h]) * xi[n, h] + np.int64(ai[n, h]) * xr[n, h] + _HALF31
                    over[h] |= (re + _LIMIT) | (im + _LIMIT)
                    xr[n, h] = re >> 31
                    xi[n, h] = im >> 31
                    acc[h] += np.int64(cr[n, h]) * xr[n, h] - np.int64(ci[n, h]) * xi[n, h]
            else:
                for h in range(size):
                    gain = np.int64(1) << (cr[n, h] & 31)
                    re = np.int64(ar[n, h]) * xr[n, h] + gain * drive[h] + _HALF31
                    over[h] |= re + _LIMIT
                    xr[n, h] = re >> 31
                    acc[h] += np.int64(cr[n, h]) * xr[n, h]
        for h in range(size):
            y = acc[h] >> 32
            level = np.int64(theta[h])
            if history > 0:
                for j in range(history):
                    if before[h] >> j & 1:
                        level += a[j, h]
                kept = np.int64(before[h]) << 1 | (y > theta[h])
                before[h] = kept & ((np.int64(1) << history) - 1)
            fires = y > level
            if resets:
                if rest[h] > 0:
                    rest[h] -= 1
                    fires = False
                elif fires:
                    rest[h] = refractory
                    for n in range(modes):
                        if hard:
                            xr[n, h] = 0
                            xi[n, h] = 0
                        else:
                            re = np.int64(xr[n, h]) - rr[n, h]
                            im = np.int64(xi[n, h]) - ri[n, h]
                            over[h] |= ((re << 31) + _LIMIT) | ((im << 31) + _LIMIT)
                            xr[n, h] = re
                            xi[n, h] = im
            spikes[t, h] = fires
            if keep:
                membrane[t, h] = y
            if over[h] < 0:
                if overflow[0] == 0:
                    overflow[1], overflow[2] = tick + t, h
                overflow[0] += 1


@njit(nogil=True)
def _run(  # type: ignore[no-untyped-def]
    u, tick, first, period, rotating, ar, ai, cr, ci, d, theta, bias, how, rr, ri, a,
    xr, xi, rest, before, spikes, membrane, overflow,
):  # fmt: skip
    keep = membrane.shape[0] > 0
    for b in range(u.shape[0]):
        _run_sample(
            u[b], tick, first, period, rotating, ar, ai, cr, ci, d, theta, bias, how, rr, ri, a,
            xr[b], xi[b], rest[b], before[b],
            spikes[b], membrane[b] if keep else membrane[:0, 0], overflow[b],
        )  # fmt: skip


def run_native(
    parameters: NativeParameters,
    u: Int32Array,
    *,
    first_step: int = 0,
    period: int = 0,
    tick: int = 0,
    initial: NativeState | None = None,
    membrane: bool = False,
    allow_overflow: bool = False,
) -> NativeRun:
    """The equation of :mod:`.native_parameters` over L ticks, with k = tick - first_step::

        k < 0:               input is thrown away, the state stays, Y = 0, no spike
        k % period == 0:     all state is 0 before the update (period 0: never)
        U                    = u + bias
        X', Y, spike         as there

    Shapes: u (B, L, H) int32, weighted spikes in units of U without the bias
    (:func:`.synapses.net_input`); ``tick``: of u's first step; ``initial``: the state before
    it, zero if not given.
    32-bit numbers wrap modulo 2^32, here as on the board, because a saturating core would be
    slower and just as wrong. A plan excludes it; where it happens nonetheless `StateOverflowError`
    names the first place, or, with ``allow_overflow``, it is counted.
    Raises `FixedPointError` for wrong shapes.
    """
    size, modes = parameters.n_neurons, parameters.n_modes
    if u.ndim != 3 or u.shape[2] != size or u.dtype != np.int32:
        raise FixedPointError(
            f"run_native: u is {u.dtype} of shape {u.shape}, expected int32 (B, L, {size}). "
            "Use net_input()."
        )
    if min(first_step, period, tick) < 0:
        raise FixedPointError(
            f"run_native: first_step {first_step}, period {period}, tick {tick}, expected 0 or "
            "more of each."
        )
    p = parameters
    state = copy_of(initial, (len(u), size, modes))
    x_re, x_im = (np.ascontiguousarray(x.transpose(0, 2, 1)) for x in state[:2])  # (B, N, H)
    spikes = np.empty(u.shape, np.bool_)
    trace = np.empty(u.shape if membrane else (0, 0, 0), np.int32)
    overflow = np.zeros((len(u), 3), np.int64)
    zero = np.zeros_like(p.a_re)
    a_im, c_im = (zero, zero) if p.a_im is None or p.c_im is None else (p.a_im, p.c_im)
    rows = [np.ascontiguousarray(m.T) for m in (p.a_re, a_im, p.c_re, c_im)]  # (N, H)
    _run(
        np.ascontiguousarray(u), tick, first_step, period, p.is_complex, *rows,
        p.d, p.theta, p.bias, *_parts(p), x_re, x_im, state.rest, state.before,
        spikes, trace, overflow,
    )  # fmt: skip
    state = NativeState(
        x_re.transpose(0, 2, 1), x_im.transpose(0, 2, 1), state.rest, state.before
    )
    overflows = int(overflow[:, 0].sum())
    if overflows and not allow_overflow:
        b = int(np.flatnonzero(overflow[:, 0])[0])
        raise StateOverflowError(
            f"sample {b}, tick {overflow[b, 1]}, neuron {overflow[b, 2]}: a state or the input "
            f"left 32 bits ({overflows} such steps in all), expected none. The scaling was planned "
            "for smaller inputs or fewer steps: plan again with larger bounds, or calibrate with "
            "these samples."
        )
    return NativeRun(spikes, trace if membrane else None, state, overflows)


def _parts(p: NativeParameters) -> tuple[NDArray[Any], ...]:
    """The kind of reset and its silence; R, real and imaginary, (N, H); A (J, H)."""
    reset, none = p.reset or NativeReset(), np.zeros_like(p.a_re)
    kind = 0 if p.reset is None else _HARD if reset.is_hard else _SOFT
    taken = (none if r is None else r for r in (reset.r_re, reset.r_im))
    a = np.zeros((p.n_neurons, 0), np.int32) if p.history is None else p.history
    rows = (np.ascontiguousarray(m.T) for m in (*taken, a))
    return (np.array([kind, reset.refractory], np.int64), *rows)


def copy_of(initial: NativeState | None, shape: tuple[int, int, int]) -> NativeState:
    """The state (B, H, N), all of it given: a copy of ``initial``, zero where that says nothing.

    Raises `FixedPointError` for other types or shapes.
    """
    def found(name: str, kind: type[Any], wanted: tuple[int, ...]) -> NDArray[Any]:
        x = None if initial is None else getattr(initial, name)
        if x is None:
            return np.zeros(wanted, kind)
        if x.shape != wanted or x.dtype != kind:
            raise FixedPointError(
                f"run_native: initial {name} is {x.dtype} of shape {x.shape}, expected "
                f"{np.dtype(kind)} of shape {wanted}."
            )
        return np.array(x, order="C")

    x_re, x_im = (found(name, np.int32, shape) for name in ("x_re", "x_im"))
    rest, before = found("rest", np.int32, shape[:2]), found("before", np.uint32, shape[:2])
    return NativeState(x_re, x_im, rest, before)
