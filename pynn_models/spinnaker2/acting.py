"""State-space neurons on which their spikes act back, in float32: one order of operations.

With s the spike of the step before, ``rest`` the silent steps still to come, p the membranes above
theta of the steps before::

    x = 0 (hard)  or  x - r (soft)                                where s
    re = (a_re x_re - a_im x_im) + v,  im = a_re x_im + a_im x_re
    re = im = 0                                                   where the reset is hard, rest > 0
    y  = ((d v + c_re re) - c_im im) + ...                        modes ascending
    h  = ((0 + a_1 p[k-1]) + a_2 p[k-2]) + ...                    of those that are 1
    s  = y > theta + h and rest = 0,  p[k] = y > theta
    rest = refractory where s, else max(rest - 1, 0)

v is the input and the bias, as in :mod:`.core`. The same in C: ``c/acting_float_core.h``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pynn_models.jit import njit
from pynn_models.spinnaker2.core import (
    Float32Array,
    ModeParameters,
    Parameters,
    Ran,
    check_finite,
    empty_results,
)

_WORD = np.int64(0xFFFFFFFF)


class ActingState(NamedTuple):
    """Of B samples: the modes (B, H, N) float32; s, rest and the bits of p, (B, H) int64 each."""

    x_re: Float32Array
    x_im: Float32Array
    fired: NDArray[np.int64]
    rest: NDArray[np.int64]
    before: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ActingParameters(Parameters):
    """``modes``; r (H, N), 0 without a soft reset, r_im (H, 0) of real modes; a (H, J) as
    ``history``; ``hard``: whether a spike sets the modes to 0; ``refractory``: steps."""

    modes: ModeParameters
    r_re: NDArray[np.floating[Any]]
    r_im: NDArray[np.floating[Any]]
    history: NDArray[np.floating[Any]]
    hard: bool = False
    refractory: int = 0

    def at_rest(self, samples: int) -> ActingState:
        """The state before the first step."""
        shape = samples, *self.modes.a_re.shape
        return ActingState(
            *np.zeros((2, *shape), np.float32), *np.zeros((3, *shape[:2]), np.int64)
        )

    def run(self, u: Float32Array, state: ActingState, *, membrane: bool = False) -> Ran:
        """u (B, L, H) -> spikes, and the membranes where asked for; ``state`` is changed in place.

        Raises :class:`.Float32Error` for a membrane that is not finite.
        """
        spikes, trace = empty_results(u, membrane)
        m = self.modes
        check_finite(_acting(
            u, m.a_re, m.a_im, m.c_re, m.c_im, m.d, m.bias, m.theta, self.r_re, self.r_im,
            self.history, self.hard, self.refractory, *state, spikes, trace,
        ))
        return spikes, trace


@njit(nogil=True)
def _acting(  # type: ignore[no-untyped-def]
    u, a_re, a_im, c_re, c_im, d, bias, theta, r_re, r_im, history, hard, refractory,
    x_re, x_im, fired, rests, befores, spikes, trace,
):
    samples, steps, size = u.shape
    count, rotates, kept = a_re.shape[1], a_im.shape[1] > 0, trace.shape[0] > 0
    length, finite = history.shape[1], True
    for b in range(samples):
        x, z = x_re[b], x_im[b]
        for k in range(steps):
            for h in range(size):
                v = u[b, k, h] + bias[h]
                y = d[h] * v
                for n in range(count):
                    if fired[b, h]:
                        if hard:
                            x[h, n] = np.float32(0)
                            z[h, n] = np.float32(0)
                        else:
                            x[h, n] = x[h, n] - r_re[h, n]
                            if rotates:
                                z[h, n] = z[h, n] - r_im[h, n]
                    re = a_re[h, n] * x[h, n]
                    if rotates:
                        re = re - a_im[h, n] * z[h, n]
                        im = a_re[h, n] * z[h, n]
                        z[h, n] = im + a_im[h, n] * x[h, n]
                    x[h, n] = re + v
                    if hard and rests[b, h] > 0:
                        x[h, n] = np.float32(0)
                        z[h, n] = np.float32(0)
                    y = y + c_re[h, n] * x[h, n]
                    if rotates:
                        y = y - c_im[h, n] * z[h, n]
                raised = np.float32(0)
                for j in range(length):
                    if befores[b, h] >> j & 1:
                        raised = raised + history[h, j]
                finite = finite and y - y == np.float32(0)
                spike = rests[b, h] == 0 and y > theta[h] + raised
                if length > 0:
                    befores[b, h] = (befores[b, h] << 1 | (y > theta[h])) & _WORD
                rests[b, h] = refractory if spike else max(rests[b, h] - 1, 0)
                fired[b, h] = spike
                spikes[b, k, h] = spike
                if kept:
                    trace[b, k, h] = y
    return finite
