"""What one timestep does to a mode."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from pynn_models.cells.checks import (
    DEFAULT_REMEDY,
    CellParameterError,
    FloatArray,
    check_values,
    frozen_copy,
)


def propagator(tau: ArrayLike, omega: ArrayLike | None, dt: float) -> tuple[FloatArray, FloatArray]:
    """What one timestep does to a mode, a_re + i a_im = abar::

        decay = exp(-dt / tau)
        a_re  = decay * cos(omega * dt)
        a_im  = decay * sin(omega * dt)

    where exp, cos and sin are the C library's, one element at a time: NumPy's vector versions
    differ from them in the last bit, and the NEST model and the software backend must agree on
    all of them.

    Shapes: tau and omega alike, any; the results the same.
    Units: tau and dt ms, omega rad/ms (None: real modes, a_im = 0).
    Raises: `CellParameterError` for a dt that is not positive and finite, for tau not > 0 and
    for omega not finite.
    """
    if not (math.isfinite(dt) and dt > 0):
        raise CellParameterError(
            f"propagator: dt is {dt} ms, expected a positive, finite timestep. "
            "Give the simulator's timestep, for example 1.0."
        )
    times = frozen_copy("tau", tau)
    rotations = frozen_copy("omega", np.zeros(times.shape) if omega is None else omega)
    if rotations.shape != times.shape:
        raise CellParameterError(
            f"propagator: omega has shape {rotations.shape}, expected that of tau, {times.shape}."
            " Give one omega a mode, or None for real modes."
        )
    check_values("tau", times)
    check_values("omega", rotations)
    a_re = np.empty(times.shape)
    a_im = np.empty(times.shape)
    for index in np.ndindex(times.shape):
        decay = math.exp(-dt / float(times[index]))
        angle = float(rotations[index]) * dt
        if not math.isfinite(angle):
            raise CellParameterError(
                f"propagator: omega{list(index)} * dt = {float(rotations[index])} rad/ms * {dt} ms"
                f" overflows; expected a finite angle. {DEFAULT_REMEDY.capitalize()}."
            )
        a_re[index] = decay * math.cos(angle)
        a_im[index] = decay * math.sin(angle)
    return a_re, a_im
