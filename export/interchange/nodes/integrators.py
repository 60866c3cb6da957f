"""``LI``, ``I`` and ``CubaLI``: neurons that send their membrane."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.interchange.nodes.firing import silent
from export.interchange.nodes.kind import Arriving, NodeRule, Stage
from export.interchange.nodes.values import each, require
from export.interchange.semantics import Sender, Step
from pynn_models.cells import StateSpaceCell


def leaky(name: str, node: Any, field: str, size: int, sender: Sender) -> Step:
    """What the sender's step does with the time constant ``field``, (H,)."""
    tau = each(name, node, field, size, infinite=True)
    require(
        name, bool((tau > 0).all()),
        lambda: f"{field} is {tau.min():g} s; expected above 0.",
    )
    with np.errstate(over="ignore"):
        return sender.semantics.step(sender.semantics.rate(tau, sender.dt))


def synapse(name: str, node: Any, size: int, sender: Sender) -> StateSpaceCell:
    """``I[k] = decay I[k-1] + current(w_in) S[k]``."""
    tau, w_in = each(name, node, "tau_syn", size), each(name, node, "w_in", size)
    gain = sender.semantics.current(w_in, tau, sender.dt)
    decay = leaky(name, node, "tau_syn", size, sender).decay
    return silent(name, sender, decay, gain, np.zeros(size))


def _integrator(name: str, node: Any, arriving: Arriving, sender: Sender) -> list[Stage]:
    """``tau v' = v_leak - v + R I``."""
    r, v_leak = (each(name, node, field, arriving.size) for field in ("r", "v_leak"))
    require(
        name, sender.semantics.start != "leak" or not v_leak.any(),
        lambda: f"v starts at v_leak, {v_leak[0]:g}; expected 0, where our neurons start. Set it "
        "to 0 and add it to what the node sends.",
    )
    step = leaky(name, node, "tau", arriving.size, sender)
    return [Stage(silent(name, sender, step.decay, step.gain * r, step.leak * v_leak))]


def _sum(name: str, node: Any, arriving: Arriving, sender: Sender) -> list[Stage]:
    """``v' = R I``."""
    gain = each(name, node, "r", arriving.size) * sender.semantics.integral(sender.dt)
    return [Stage(silent(name, sender, np.ones(arriving.size), gain, np.zeros(arriving.size)))]


def _current_based(name: str, node: Any, arriving: Arriving, sender: Sender) -> list[Stage]:
    """``tau_syn I' = -I + w_in S``, and then ``LI`` with tau_mem."""
    r, v_leak = (each(name, node, field, arriving.size) for field in ("r", "v_leak"))
    step = leaky(name, node, "tau_mem", arriving.size, sender)
    voltage = silent(name, sender, step.decay, step.gain * r, step.leak * v_leak)
    return [Stage(synapse(name, node, arriving.size, sender), "_current"), Stage(voltage)]


LEAKY_INTEGRATOR = NodeRule("LI", neurons=_integrator, timed=True)
INTEGRATOR = NodeRule("I", neurons=_sum, timed=True)
CURRENT_INTEGRATOR = NodeRule("CubaLI", neurons=_current_based, timed=True)
