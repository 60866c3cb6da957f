"""What a slow mode loses to rounding: the measurement behind the native cell's choice."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pynn_models.jit import njit
from pynn_models.spinnaker.fixed_point import INT32_MAX, FixedPointError, to_q031


class RoundingError(NamedTuple):
    """The integer state minus the exact one, in units of the state's last place.

    mean, rms, largest: while driven, after the first ``tau``; rest: where the state stays, without
    input, 30 tau later, largest of both components; peak: the largest state, for comparison.
    """

    mean: float
    rms: float
    largest: float
    rest: int
    peak: float


@njit()
def _follow(a_re, a_im, drive, skip, free, half):  # type: ignore[no-untyped-def]
    xr, xi = np.int64(0), np.int64(0)
    er, ei = 0.0, 0.0  # the exact state, float64
    fr, fi = a_re / 2.0**31, a_im / 2.0**31
    mean, square, largest, peak = 0.0, 0.0, 0.0, 0.0
    for t in range(drive.size):
        u = np.int64(drive[t]) << 31
        new_r = (a_re * xr - a_im * xi + u + half) >> 31
        xi = (a_re * xi + a_im * xr + half) >> 31
        xr = new_r
        exact_r = fr * er - fi * ei + drive[t]
        ei = fr * ei + fi * er
        er = exact_r
        if t >= skip:
            error = xr - er
            mean += error
            square += error * error
            largest = max(largest, abs(error))
            peak = max(peak, abs(er))
    for _ in range(free):
        new_r = (a_re * xr - a_im * xi + half) >> 31
        xi = (a_re * xi + a_im * xr + half) >> 31
        xr = new_r
    count = drive.size - skip
    return mean / count, math.sqrt(square / count), largest, max(abs(xr), abs(xi)), peak


def rounding_error(
    tau: float, omega: float = 0.0, *, nearest: bool, negative: bool = False, seed: int = 0
) -> RoundingError:
    """How far ``X' = (A X + 2^31 D + h) >> 31`` strays from ``x' = A/2^31 x + D``::

        h = 2^30 to round to nearest, 0 to truncate (floor)

    tau in steps, omega in rad per step, A the pole in Q0.31 (so that its own rounding is left
    out). D is a spike train of rate 0.1, of the size that a plan would allow, over 10 tau; all
    its spikes are ``negative``, or positive. Raises `FixedPointError` unless 1 <= tau <= 1e7.
    """
    if not 1 <= tau <= 1e7:
        raise FixedPointError(f"rounding_error: tau is {tau} steps, expected 1 to 1e7.")
    rng = np.random.default_rng(seed)
    radius = math.exp(-1 / tau)
    steps = math.ceil(10 * tau) + 10
    size = math.floor(INT32_MAX * -math.expm1(-1 / tau) * 0.99)  # |x| <= size / (1 - radius)
    drive = (rng.random(steps) < 0.1) * np.int64(-size if negative else size)
    a_re, a_im = to_q031([radius * math.cos(omega), radius * math.sin(omega)]).astype(np.int64)
    half = np.int64(1 << 30 if nearest else 0)
    return RoundingError(*_follow(a_re, a_im, drive, math.ceil(tau), math.ceil(30 * tau), half))
