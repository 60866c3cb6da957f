"""A native population as ``c/state_space_neuron.h`` lays it out, in 32-bit words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pynn_models.spinnaker.native import RESETS, NativeState, copy_of
from pynn_models.spinnaker.native_parameters import Int32Array, NativeParameters

SHARED = (
    "n_modes", "is_complex", "first_step", "period", "reset", "refractory", "history", "words",
)  # fmt: skip
STATE = ("input", "x_re", "x_im", "x", "rest", "before")  # names of what changes in a run
_COMPLEX = ("a_re", "a_im", "c_re", "minus_c_im", "x_re", "x_im")
_REAL = ("a", "c", "x")


def population_words(
    parameters: NativeParameters, first_step: int = 0, period: int = 0
) -> list[int]:
    """What all neurons of a core share, by the names of :data:`SHARED`.

    first_step: the tick that is step k = 0; period: all state is zeroed when ``k % period == 0``,
    or never with 0.
    """
    p = parameters
    kind = "none" if p.reset is None else "hard" if p.reset.is_hard else "soft"
    refractory = 0 if p.reset is None else p.reset.refractory
    return [
        p.n_modes, int(p.is_complex), first_step, period,
        RESETS.index(kind), refractory, p.history_steps,
        len(neuron_fields(p)),
    ]  # fmt: skip


def neuron_fields(parameters: NativeParameters) -> list[str]:
    """The names of a neuron's words::

        input, bias, d, theta;  a_re a_im c_re minus_c_im x_re x_im, or real: a c x       a mode
        rest (with a reset);  before, history0, ... (with a history)
        r_re r_im, or real: r                                    a mode, with a soft reset
    """
    p = parameters
    found = ["input", "bias", "d", "theta"]
    modes = range(p.n_modes)
    found += [f"{f}{n}" for n in modes for f in (_COMPLEX if p.is_complex else _REAL)]
    found += [] if p.reset is None else ["rest"]
    if p.history is not None:
        found += ["before", *(f"history{j}" for j in range(p.history_steps))]
    if p.reset is not None and not p.reset.is_hard:
        found += [f"{f}{n}" for n in modes for f in (("r_re", "r_im") if p.is_complex else ("r",))]
    return found


def neuron_words(parameters: NativeParameters, state: NativeState | None = None) -> Int32Array:
    """One sample's neurons, (H, words), as :func:`neuron_fields` names them, input 0.

    state: of one sample, (1, H, N); zero if not given.
    """
    p, size = parameters, parameters.n_neurons
    x = copy_of(state, (1, size, p.n_modes))
    if p.a_im is not None and p.c_im is not None:
        modes = [p.a_re, p.a_im, p.c_re, -p.c_im, x.x_re[0], x.x_im[0]]
    else:
        modes = [p.a_re, p.c_re, x.x_re[0]]
    columns = [np.stack([np.zeros_like(p.bias), p.bias, p.d, p.theta], axis=1), _rows(modes)]
    if p.reset is not None and x.rest is not None:
        columns.append(x.rest.T)
    if p.history is not None and x.before is not None:
        columns += [x.before.T.view(np.int32), p.history]
    if p.reset is not None:
        columns.append(_rows([r for r in (p.reset.r_re, p.reset.r_im) if r is not None], size))
    return np.concatenate(columns, axis=1)


def _rows(of_mode: list[Int32Array], size: int = 0) -> NDArray[np.int32]:
    """Values of modes (H, N) each, side by side: (H, values N)."""
    if not of_mode:
        return np.zeros((size, 0), np.int32)
    return np.stack(of_mode, axis=2).reshape(len(of_mode[0]), -1)


def neuron_bytes(parameters: NativeParameters) -> int:
    """``16 + 24 N``, real modes ``16 + 12 N``; a reset 4, and a soft one 8 N (4 N) more; a history
    of J steps 4 + 4 J."""
    return 4 * len(neuron_fields(parameters))
