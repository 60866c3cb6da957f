"""Modes in discrete time, in NumPy: what a checkpoint's arrays mean to those without torch.

Written apart from the trainer's (:mod:`snn_ssm.model.modes`, :mod:`snn_ssm.model.quantise`); that
both agree is tested.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_ssm.grids import POLE_GRID, POLE_RADIUS

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

_FAST = 0.5  # below it 1 - |abar|^2 has lost digits of |abar|


def discretise(lam: ComplexArray, dt: FloatArray, method: str) -> tuple[ComplexArray, ComplexArray]:
    """``abar`` and ``bbar / b`` of modes (H, N) with steps (H,), float64.

    ZOH: ``exp(lambda Delta)``, ``(abar - 1)/lambda``; bilinear:
    ``(1 + lambda Delta/2)/(1 - lambda Delta/2)``, ``Delta/(1 - lambda Delta/2)``.
    """
    z = lam * dt[:, None]  # (H, N)
    if method == "zoh":
        return np.exp(z), np.expm1(z) / lam
    return (1 + z / 2) / (1 - z / 2), dt[:, None] / (1 - z / 2)


def log_magnitude(lam: ComplexArray, dt: FloatArray, method: str) -> FloatArray:
    """``ln|abar|``, exact also where |abar| rounds to 1, or is near 0.

    ZOH: ``Re(z)``, z = lambda Delta; bilinear: ``log1p(2 Re(z) / |1 - z/2|^2) / 2``, and below 1/2
    the logarithm itself.
    """
    z = lam * dt[:, None]  # (H, N)
    if method == "zoh":
        return z.real
    distance = (1 - z.real / 2) ** 2 + (z.imag / 2) ** 2
    magnitude = np.abs(1 + z / 2) / np.abs(1 - z / 2)
    return np.where(
        magnitude < _FAST, np.log(magnitude), np.log1p(2 * z.real / distance) / 2
    )


def rounded_pole(abar: ComplexArray) -> tuple[ComplexArray, FloatArray]:
    """The pole in Q0.31, as ``quantise_decays`` trained it, and ``ln|abar|`` of that::

        n = rint(2^31 abar)               real and imaginary part each
        n = trunc(n (2^31 - 1) / |n|)     where |n| > 2^31 - 1: towards zero, so that it leaks
        abar = n / 2^31,  ln|abar| = log1p((re - 1)(re + 1) + im^2) / 2

    and below 1/2 the logarithm itself, -inf of a pole at 0.
    Shapes as ``abar``. The operations and their order are those of training's ``quantise_poles``.
    """
    re, im = np.rint(abar.real * POLE_GRID), np.rint(abar.imag * POLE_GRID)
    radius = np.sqrt(re * re + im * im)
    outside = radius > POLE_RADIUS
    divisor = np.where(outside, radius, 1.0)
    re, im = (
        np.where(outside, np.trunc(part * POLE_RADIUS / divisor), part) / POLE_GRID
        for part in (re, im)
    )
    with np.errstate(divide="ignore"):
        fast = np.log(np.hypot(re, im))
        slow = np.log1p((re - 1) * (re + 1) + im * im) / 2
    return re + 1j * im, np.where(np.hypot(re, im) < _FAST, fast, slow)
