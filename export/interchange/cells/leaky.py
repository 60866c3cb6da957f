"""Leaky integrate-and-fire cells: the node ``LIF``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.description.network import FloatArray, Population
from export.interchange.cells.kind import CellRule, Ports

if TYPE_CHECKING:
    from export.interchange.graph import Draft


def add_neurons(
    draft: Draft, name: str, tau: FloatArray, theta: FloatArray, gain: FloatArray | float = 1.0
) -> Ports:
    """Neurons of which an input value, held for dt, lifts the membrane by ``gain`` times it::

        tau v' = -v + r u,   r = gain tau / dt,   v = 0 after a spike

    tau (H,) in ms; where it is infinite, which must be everywhere then: ``v' = gain / dt u``.
    """
    none, scale = np.zeros_like(tau), np.ones_like(tau) * gain
    if np.isinf(tau).all():
        node = draft.nir.IF(r=scale / draft.dt, v_threshold=theta, v_reset=none)
    else:
        seconds = draft.seconds(tau)
        node = draft.nir.LIF(
            tau=seconds, r=scale * seconds / draft.dt, v_leak=none, v_threshold=theta,
            v_reset=none,
        )
    added = draft.add(name, node)
    return Ports((added,), added, None)


def _write(draft: Draft, population: Population) -> Ports:
    cell = population.cell
    return add_neurons(draft, population.name, cell.tau, cell.theta)  # type: ignore[attr-defined]


LEAKY = CellRule("leaky", fault=lambda cell: "", write=_write)
