"""What NIR leaves open: what the programs that send graphs do in one step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from export.description.network import FloatArray
from export.interchange.errors import InterchangeError


class Step(NamedTuple):
    """``v[k] = decay v[k-1] + leak v_leak + gain (R I[k])``."""

    decay: FloatArray
    leak: FloatArray
    gain: FloatArray


def euler(rate: FloatArray) -> Step:
    """``v += rate (v_leak - v + R I)``."""
    return Step(1 - rate, rate, rate)


def held(rate: FloatArray) -> Step:
    """The exact solution for an I that is held for the step."""
    return Step(np.exp(-rate), -np.expm1(-rate), -np.expm1(-rate))


def pulse(rate: FloatArray) -> Step:
    """The exact solution for an I that comes as a pulse of area ``I dt`` at the step's end."""
    return Step(np.exp(-rate), -np.expm1(-rate), rate)


def summed(rate: FloatArray) -> Step:
    """The exact solution without I, and I added as it is."""
    return Step(np.exp(-rate), -np.expm1(-rate), np.ones_like(rate))


def per_step(tau: FloatArray, dt: float) -> FloatArray:
    """``dt / tau``."""
    return dt / tau


@dataclass(frozen=True)
class Semantics:
    """How a program takes a step of the nodes that it writes; ``does``: that in words.

    ``dt``: its step in s where the user names none, None where it has no default.
    ``rate(tau, dt)``: the part of a time constant that is a step; ``step(rate)``: what a step does;
    ``integral(dt)``: what ``R I`` is multiplied by in ``I`` and ``IF``, which do not leak;
    ``current(w_in, tau, dt)``: what is added to a synapse's current of what arrives.
    ``reset``: ``hard``: to v_reset; ``soft``: v loses the threshold at once; ``late``: in the next
    step, after that has decayed it; ``none``. ``start``: v before the first step: ``zero``,
    ``leak`` (v_leak) or ``reset`` (v_reset). ``reached``: a spike where v >= the threshold, and not
    only where it is above. ``counts``: as many spikes as the threshold fits into v.
    ``loops``: a connection of neurons to themselves without a ``Delay`` takes one step.
    """

    name: str
    does: str
    reset: str
    dt: float | None = None
    step: Callable[[FloatArray], Step] = euler
    rate: Callable[[FloatArray, float], FloatArray] = per_step
    integral: Callable[[float], float] = lambda dt: dt
    current: Callable[[FloatArray, FloatArray, float], FloatArray] = (
        lambda w_in, tau, dt: w_in * dt / tau
    )
    start: str = "zero"
    reached: bool = False
    counts: bool = False
    loops: bool = False


@dataclass(frozen=True)
class Sender:
    """Who sends a graph: ``semantics``, his step ``dt`` in s; ``timestep``: ours for it, in ms."""

    semantics: Semantics
    dt: float
    timestep: float

    def __post_init__(self) -> None:
        for name, value, unit in (("dt", self.dt, "s"), ("timestep", self.timestep, "ms")):
            if not (np.isfinite(value) and value > 0):
                raise InterchangeError(
                    f"{name} is {value} {unit}; expected a positive number. Give --{name}."
                )
