"""Event-based gated recurrent units: a GRU's state, sent above a threshold. Family ``egru``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.cells.kind import CellKind, Family, FloatArray
from pynn_models.cells import EgruCell, StateSpaceCell

RECEPTORS = ("update", "reset", "recurrent")
_ARRAYS = ("theta", "bias", "update_bias", "reset_bias", "recurrent_bias")


def _loop(  # type: ignore[no-untyped-def]
    u, theta, update_bias, reset_bias, recurrent_bias, h, spikes, membrane
):
    """The cell's step; u (B, L, 4 H): input and its bias, update, reset, recurrent."""
    samples, steps, size = spikes.shape
    keep = membrane.shape[0] > 0
    for b in range(samples):
        for k in range(steps):
            for i in range(size):
                z = 1.0 / (1.0 + math.exp(-(u[b, k, size + i] + update_bias[i])))
                r = 1.0 / (1.0 + math.exp(-(u[b, k, 2 * size + i] + reset_bias[i])))
                q = u[b, k, 3 * size + i] + recurrent_bias[i]
                g = math.tanh(u[b, k, i] + r * q)
                v = z * h[b, i] + (1.0 - z) * g
                fired = v > theta[i]
                spikes[b, k, i] = fired
                h[b, i] = v - theta[i] if fired else v
                if keep:
                    membrane[b, k, i] = v


def _sends(membrane: FloatArray, spikes: NDArray[Any]) -> FloatArray:
    """``y = s v``: the membrane where there is an event, else 0."""
    return np.where(spikes, membrane, 0.0)


def _linear(cell: EgruCell) -> StateSpaceCell:
    """Nothing of it is linear: neurons without modes, whose membrane is 0."""
    none = np.empty((cell.n_neurons, 0))
    return StateSpaceCell(
        tau=none, c_re=none, d=np.zeros(cell.n_neurons), theta=cell.theta, bias=cell.bias
    )


EGRU = CellKind(
    "egru",
    cell=EgruCell,
    families=(Family("egru", streams=True),),
    arrays=lambda cell: {leaf: getattr(cell, leaf) for leaf in _ARRAYS},
    rebuild=lambda entry, arrays: EgruCell(**{leaf: arrays[leaf] for leaf in _ARRAYS}),
    loop=lambda cell: _loop,
    constants=lambda cell, timestep: tuple(
        getattr(cell, leaf) for leaf in ("theta", *_ARRAYS[2:])
    ),
    state=lambda cell, samples: (np.zeros((samples, cell.n_neurons)),),  # h
    gain=lambda cell, timestep, steps: np.zeros(cell.n_neurons),
    kick=lambda cell, timestep, steps: np.ones(cell.n_neurons),  # |v| <= 1, whatever arrives
    linear=_linear,
    modes=lambda cell: "gated",
    after_spike=lambda cell: "carries it, and takes θ from it",
    sends=_sends,
    events=True,
    receptors=RECEPTORS,
)
