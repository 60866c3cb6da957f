"""The cells of leaky neurons: a mode x that sums what arrives, and v = c x."""

from __future__ import annotations

import math

import numpy as np

from export.description.network import FloatArray
from export.interchange.errors import InterchangeError
from export.interchange.nodes.kind import Arriving
from export.interchange.nodes.values import require
from export.interchange.semantics import Sender
from pynn_models.cells import Multiplicity, Reset, StateSpaceCell

_MOST = 255  # spikes of a neuron in a step, as a multiplicity has them
_ROUNDING = 1e-6  # of a spike, in how many may come
_GONE = 1e-3  # of a step: a time constant after which nothing is left


def time_constants(name: str, decay: FloatArray, timestep: float) -> FloatArray:
    """tau in ms of ``decay = exp(-timestep / tau)``, the nearest that there is to each decay.

    Raises :class:`InterchangeError` for a decay that no leaky neuron has: below 0, or above 1.
    """
    bad = ~((decay >= 0) & (decay <= 1))
    if bad.any():
        raise InterchangeError(
            f"node {name!r}: in a step a neuron keeps {decay[bad][0]:.6g} of its state; expected 0 "
            "to 1. Time constants are in seconds, and longer than a step: give --dt, or other "
            "--semantics."
        )
    return np.array([_nearest(float(a), timestep) for a in decay])


def _nearest(decay: float, timestep: float) -> float:
    if decay in (0.0, 1.0):
        return timestep * _GONE if decay == 0 else math.inf
    tau = -timestep / math.log(decay)
    near = (tau, math.nextafter(tau, 0), math.nextafter(tau, math.inf))
    return min(near, key=lambda t: abs(math.exp(-timestep / t) - decay))


def silent(
    name: str, sender: Sender, decay: FloatArray, gain: FloatArray, constant: FloatArray
) -> StateSpaceCell:
    """Neurons without a threshold: ``v[k] = decay v[k-1] + constant + gain u[k]``."""
    return StateSpaceCell(
        tau=time_constants(name, decay, sender.timestep)[:, None], c_re=gain[:, None],
        d=np.zeros(len(decay)), theta=np.full(len(decay), np.inf),
        bias=_bias(name, constant, gain),
    )


def _bias(name: str, constant: FloatArray, gain: FloatArray) -> FloatArray:
    require(
        name, not constant[gain == 0].any(),
        lambda: "r is 0 and v_leak is not; expected an input that counts. Give r.",
    )
    return np.divide(constant, gain, out=np.zeros(len(gain)), where=gain != 0)


def firing(
    name: str, sender: Sender, arriving: Arriving, *, decay: FloatArray, gain: FloatArray,
    leak: FloatArray, v_leak: FloatArray, threshold: FloatArray, v_reset: FloatArray,
) -> StateSpaceCell:
    """``v[k] = decay v[k-1] + leak v_leak + gain u[k]``, a spike, and the sender's reset.

    A hard reset to another value than 0 is one to 0 of ``v - v_reset``. Raises
    :class:`InterchangeError` where v starts elsewhere than a reset leaves it, a soft one at 0.
    """
    how = sender.semantics
    base = v_reset if how.reset == "hard" else np.zeros(arriving.size)
    start = {"zero": 0 * base, "leak": v_leak, "reset": v_reset}[how.start]
    require(
        name, np.array_equal(start, base) and (how.reset == "hard" or not v_reset.any()),
        lambda: f"with the semantics {how.name} v starts at {start[0]:g}, and its reset is to "
        f"v_reset {v_reset[0]:g}; expected one value"
        + ("." if how.reset == "hard" else ", and 0 where the threshold is subtracted."),
    )
    theta = threshold - base
    thresholds = _thresholds(name, theta, decay, gain, arriving) if how.counts else theta[:, None]
    if how.reached:
        thresholds = np.nextafter(thresholds, -np.inf)
    reset = _reset(name, how.reset, theta, decay, gain)
    further = thresholds[:, 1:]
    return StateSpaceCell(
        tau=time_constants(name, decay, sender.timestep)[:, None], c_re=gain[:, None],
        d=np.zeros(arriving.size), theta=thresholds[:, 0],
        bias=_bias(name, leak * (v_leak - base), gain), reset=reset,
        multiplicity=Multiplicity(further=further) if further.size else None,
    )


def _reset(
    name: str, how: str, theta: FloatArray, decay: FloatArray, gain: FloatArray
) -> Reset | None:
    """What takes the threshold from ``v = gain x`` at once, or from what decay leaves of it."""
    if how == "none":
        return None
    if how == "hard":
        return Reset()
    kept = gain * decay if how == "late" else gain
    require(
        name, bool((kept != 0).all()),
        lambda: "r or 1 - dt / tau is 0, so that no state is left to subtract a threshold from; "
        "expected both positive. Use a longer time constant.",
    )
    return Reset(r_re=(theta / kept)[:, None])


def _thresholds(
    name: str, theta: FloatArray, decay: FloatArray, gain: FloatArray, arriving: Arriving
) -> FloatArray:
    """``j theta``, j = 1 to D, the least v of which ``v / theta`` is j; D spikes are the most::

        v[k] < decay theta + gain (largest sum of a step)
    """
    require(
        name, bool((theta > 0).all()),
        lambda: f"the threshold is {theta.min():g}; expected above 0, since spikes count how often "
        "it fits into v.",
    )
    reach = decay + np.abs(gain) * arriving.most() / theta
    highest = float(reach.max())
    require(
        name, highest < _MOST,
        lambda: f"a neuron may send {highest:g} spikes in a step; expected {_MOST} at most. Input "
        "of real values has no bound: import with --input spikes, or use smaller weights.",
    )
    j = np.arange(1, max(int(highest + _ROUNDING), 1) + 1)
    whole = theta[:, None]
    least = whole * j
    for _ in range(2):
        below = np.nextafter(least, -np.inf)
        least = np.where(below / whole >= j, below, least)
    for _ in range(2):
        least = np.where(least / whole < j, np.nextafter(least, np.inf), least)
    return least
