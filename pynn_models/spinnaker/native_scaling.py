"""How to choose the exponents of a native cell: nothing overflows, and no bit is left unused.

The formats and equations are those of :mod:`.native_parameters`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from pynn_models.cells import StateSpaceCell, propagator
from pynn_models.cells.checks import FloatArray
from pynn_models.spinnaker.fixed_point import INT32_MAX, FixedPointError
from pynn_models.spinnaker.native_parameters import (
    MAX_GAIN_SHIFT,
    READOUT_LIMIT,
    IntArray,
    NativeScaling,
)

_EXPONENTS = range(-300, 301)  # of membranes: a neuron's readout and threshold have any scale
_MARGIN = 1 + 2.0**-10  # of a state's bound: its own rounding, at most 2 tau units


def state_gain(cell: StateSpaceCell, dt: float, steps: int) -> FloatArray:
    """``sum_{k < steps} |abar_n|^k``, (H, N): no input of magnitude 1 takes a state beyond it."""
    radius = np.hypot(*propagator(cell.tau, cell.omega, dt))
    gap = np.maximum(1 - radius, 2.0**-60)  # tau = inf: the sum is the number of steps
    gain = np.minimum((1 - radius**steps) / gap, steps)
    gain[radius >= 1] = steps
    return np.asarray(gain)


def state_reach(cell: StateSpaceCell, dt: float, steps: int, input_bound: FloatArray) -> FloatArray:
    """The bound of :func:`plan_scaling` on ``|x_n|``, (H, N); input_bound (H,): max|u|."""
    gain = state_gain(cell, dt, steps)
    if cell.reset is None or cell.reset.r_re is None:
        return np.asarray(input_bound[:, None] * gain)
    r = np.hypot(cell.reset.r_re, 0.0 if cell.reset.r_im is None else cell.reset.r_im)
    radius = np.hypot(*propagator(cell.tau, cell.omega, dt))
    return np.asarray((input_bound[:, None] + radius * r) * gain + r)


def plan_scaling(
    cell: StateSpaceCell,
    dt: float,
    *,
    input_bound: ArrayLike,
    steps: int,
    input_exponent: int | None = None,
) -> NativeScaling:
    """The largest exponents with which nothing overflows in ``steps`` steps from rest::

        |x_n| <= (max|u| + |abar_n| |r_n|) (1 - |abar_n|^steps) / (1 - |abar_n|) + |r_n|

    where r is what a soft reset takes, spikes at every step, and else 0.
    input_bound: max|u| with the bias, scalar or (H,); dt in ms; steps: of one sample;
    input_exponent: the largest that holds the bounds, at most 14, if not given.
    The membrane takes what the readout's limit and the threshold leave.
    Raises `FixedPointError`, naming the neuron, if there are no such exponents.
    """
    bound = np.broadcast_to(np.asarray(input_bound, np.float64), (cell.n_neurons,))
    if not (np.isfinite(bound) & (bound >= 0)).all() or steps < 1:
        raise FixedPointError(
            f"plan_scaling: input bounds {bound.min():g} to {bound.max():g} and {steps} steps, "
            "expected finite bounds >= 0 and at least 1 step."
        )
    if input_exponent is None:
        needed = max(float(bound.max()), 2.0)  # 2 gives exponent 14: weights have 16 bits
        input_exponent = math.floor(math.log2(INT32_MAX / needed)) - 15
    limit = math.ldexp(INT32_MAX, -15 - input_exponent)
    if (bound > limit).any():
        h = int(bound.argmax())
        raise FixedPointError(
            f"plan_scaling: neuron {h} has input bound {bound[h]:g}, expected at most {limit:g} "
            f"with input exponent {input_exponent}. Lower the exponent, or scale the weights down."
        )
    reach = np.maximum(state_reach(cell, dt, steps, bound) * _MARGIN, 2.0**-40)  # (H, N)
    state = np.floor(np.log2(INT32_MAX / reach)).astype(np.int64) - 15
    if (state < input_exponent - 31).any():
        h, n = (int(v) for v in np.argwhere(state < input_exponent - 31)[0])
        raise FixedPointError(
            f"plan_scaling: neuron {h}, mode {n} reaches {reach[h, n]:g}, beyond every state "
            f"exponent with input exponent {input_exponent}. Lower the input exponent."
        )
    state = np.minimum(state, input_exponent + MAX_GAIN_SHIFT - 31)
    membrane = _membrane_exponents(cell, input_exponent, state)
    return NativeScaling(input_exponent, state, membrane)


def _membrane_exponents(cell: StateSpaceCell, input_exponent: int, state: IntArray) -> IntArray:
    c_im = np.zeros_like(cell.c_re) if cell.c_im is None else cell.c_im
    weights = np.ldexp(np.abs(np.stack([cell.c_re, c_im])), 32 - state)  # (2, H, N)
    direct = np.ldexp(np.abs(cell.d), 32 - input_exponent)
    rounding = 17.0 * cell.n_modes + 1
    largest = np.maximum(weights.max((0, 2), initial=0.0), direct)
    theta, rounded = np.where(np.isfinite(cell.theta), np.abs(cell.theta), 0.0), 0.0
    if cell.history is not None:
        theta, rounded = theta + np.abs(cell.history.a).sum(axis=1), 32.0
    theta = theta * 2.0**15
    scale = np.minimum.reduce(
        [
            (READOUT_LIMIT - rounding) / np.maximum(weights.sum((0, 2)) + direct, 1e-200),
            (INT32_MAX - 32) / np.maximum(largest, 1e-200),
            (INT32_MAX - rounded) / np.maximum(theta, 1e-200),
        ]
    )
    exponents = np.floor(np.log2(scale)).astype(np.int64)
    if (exponents < _EXPONENTS[0]).any():
        h = int(exponents.argmin())
        raise FixedPointError(
            f"plan_scaling: neuron {h} would need membrane exponent {exponents[h]}, expected at "
            f"least {_EXPONENTS[0]}. Its readout or threshold is far larger than its input."
        )
    return np.minimum(exponents, _EXPONENTS[-1])
