"""``Delay``: what arrives, some steps later."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.interchange.nodes.kind import NodeRule
from export.interchange.nodes.values import each, require
from export.interchange.semantics import Sender
from export.interchange.signals import Map, Signal

_ROUNDING = 1e-4  # of a step: what a delay in float32 may be off
_LONGEST = 2**20  # steps: beyond it a slip


def _delay(name: str, node: Any, signal: Signal, sender: Sender) -> Signal:
    """``y(t) = x(t - tau)``, tau a whole number of the sender's steps."""
    steps = each(name, node, "delay", signal.size) / sender.dt
    lags = np.rint(steps)
    off = np.abs(steps - lags) > _ROUNDING
    require(
        name, not off.any() and bool((lags >= 0).all() and (lags <= _LONGEST).all()),
        lambda: f"a delay of {steps[off][0] if off.any() else steps.min():.6g} steps of "
        f"{sender.dt} s; expected whole numbers from 0. Give the sender's step: --dt.",
    )
    require(
        name, not signal.constant[lags > 0].any() and not (
            lags.any() and any(tap.graded for tap in signal.taps)
        ),
        lambda: "what arrives has a constant or is a membrane; expected weighted spikes, since "
        "nothing else can be sent later. Put the bias behind the delay.",
    )
    taps: dict[Any, Map] = {}
    for tap, found in signal.taps.items():
        for lag in np.unique(lags):
            late = (lags == lag)[:, None]
            part = Map(np.where(late, found.values, 0.0), found.joins & late)
            taps[tap._replace(lag=tap.lag + int(lag))] = part
    return Signal(signal.shape, taps, signal.constant)


DELAY = NodeRule("Delay", maps=_delay, timed=True)
