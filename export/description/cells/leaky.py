"""Leaky integrate-and-fire cells, reset to 0 by a spike. Family ``lif``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export.description.cells.kind import CellKind, Family, FloatArray, leak_gain
from pynn_models.cells import LeakyCell, StateSpaceCell, propagator

_ARRAYS = ("tau", "theta", "bias")


def _loop(u, decay, theta, v, spikes, membrane):  # type: ignore[no-untyped-def]
    """``v = decay v + u``; where v is above theta a spike, and v is 0 afterwards."""
    samples, steps, size = u.shape
    keep = membrane.shape[0] > 0
    for b in range(samples):
        for k in range(steps):
            for h in range(size):
                y = decay[h] * v[b, h] + u[b, k, h]
                fired = y > theta[h]
                spikes[b, k, h] = fired
                v[b, h] = 0.0 if fired else y
                if keep:
                    membrane[b, k, h] = y


def _constants(cell: LeakyCell, timestep: float) -> tuple[FloatArray, ...]:
    decay, _ = propagator(cell.tau, None, timestep)  # (H,)
    return decay, cell.theta


def _linear(cell: LeakyCell) -> StateSpaceCell:
    return replace(cell.as_state_space(), reset=None)


LEAKY = CellKind(
    "leaky",
    cell=LeakyCell,
    families=(Family("lif"),),
    arrays=lambda cell: {leaf: getattr(cell, leaf) for leaf in _ARRAYS},
    rebuild=lambda entry, arrays: LeakyCell(**{leaf: arrays[leaf] for leaf in _ARRAYS}),
    loop=lambda cell: _loop,
    constants=_constants,
    state=lambda cell, samples: (np.zeros((samples, cell.n_neurons)),),  # v
    gain=lambda cell, timestep, steps: leak_gain(cell.tau, timestep, steps),
    linear=_linear,
    modes=lambda cell: "reset",
    after_spike=lambda cell: "resets it to 0",
)
