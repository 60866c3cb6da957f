"""``LIF``, ``IF`` and ``CubaLIF``: neurons that spike and are reset."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.interchange.nodes.firing import firing
from export.interchange.nodes.integrators import leaky, synapse
from export.interchange.nodes.kind import Arriving, NodeRule, Stage
from export.interchange.nodes.merged import merged
from export.interchange.nodes.values import each
from export.interchange.semantics import Sender


def _leaky(name: str, node: Any, arriving: Arriving, sender: Sender) -> list[Stage]:
    """``tau v' = v_leak - v + R I``; a spike above v_threshold, then v = v_reset."""
    r, v_leak, threshold, v_reset = (
        each(name, node, field, arriving.size)
        for field in ("r", "v_leak", "v_threshold", "v_reset")
    )
    step = leaky(name, node, "tau", arriving.size, sender)
    cell = firing(
        name, sender, arriving, decay=step.decay, gain=step.gain * r, leak=step.leak,
        v_leak=v_leak, threshold=threshold, v_reset=v_reset,
    )  # fmt: skip
    return [Stage(cell)]


def _integrate(name: str, node: Any, arriving: Arriving, sender: Sender) -> list[Stage]:
    """``v' = R I``; a spike above v_threshold, then v = v_reset."""
    r, threshold, v_reset = (
        each(name, node, field, arriving.size) for field in ("r", "v_threshold", "v_reset")
    )
    cell = firing(
        name, sender, arriving, decay=np.ones(arriving.size),
        gain=r * sender.semantics.integral(sender.dt), leak=np.zeros(arriving.size),
        v_leak=v_reset, threshold=threshold, v_reset=v_reset,
    )  # fmt: skip
    return [Stage(cell)]


def _current_based(name: str, node: Any, arriving: Arriving, sender: Sender) -> list[Stage]:
    """``tau_syn I' = -I + w_in S``, and the neuron of ``LIF`` with tau_mem.

    One neuron of two modes where its reset takes from v what a mode can give; else a silent one of
    the current that sends its membrane to one of v.
    """
    size = arriving.size
    r, v_leak, threshold, v_reset = (
        each(name, node, field, size) for field in ("r", "v_leak", "v_threshold", "v_reset")
    )
    current, step = synapse(name, node, size, sender), leaky(name, node, "tau_mem", size, sender)
    unbounded = Arriving(size, lambda: np.full(size, np.inf))
    voltage = firing(
        name, sender, unbounded, decay=step.decay, gain=step.gain * r, leak=step.leak,
        v_leak=v_leak, threshold=threshold, v_reset=v_reset,
    )  # fmt: skip
    one = merged(current, voltage, sender.timestep)
    return [Stage(current, "_current"), Stage(voltage)] if one is None else [Stage(one)]


LEAKY = NodeRule("LIF", neurons=_leaky, timed=True)
INTEGRATE_AND_FIRE = NodeRule("IF", neurons=_integrate, timed=True)
CURRENT_LEAKY = NodeRule("CubaLIF", neurons=_current_based, timed=True)
