"""A blimp's altitude, the controller that teaches, and the spikes in which a network is told of it.

Everything is for B flights at once, arrays (B,), in steps of 50 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEP = 0.05  # s
SENSORS = 16  # neurons that code a quantity
UNITS = np.array([0.5, 0.1])  # of a network's two answers: proportional and derivative; integral


class Blimp:
    """A mass in air with a motor behind a dead zone, by Euler's steps::

        df/dt = (drive(u) - f) / 0.5 s,   drive = 0 for |u| < 0.1, else linear, at most 1
        dv/dt = 0.3 f + b - 0.3 v |v| - 0.05 v,   dz/dt = v

    altitude z (m), climb v (m/s), thrust f, command u in -1 .. 1, buoyancy b (m/s^2), which no
    controller is told.
    """

    def __init__(self, buoyancy: Array, z: Array | float = 0.0) -> None:
        self.buoyancy = buoyancy
        self.z = np.zeros_like(buoyancy) + z
        self.v = np.zeros_like(buoyancy)
        self.f = np.zeros_like(buoyancy)

    def step(self, command: Array) -> None:
        """50 ms with a command (B,)."""
        u = np.clip(command, -1.0, 1.0)
        drive = np.sign(u) * np.maximum(np.abs(u) - 0.1, 0.0) / 0.9
        self.f = self.f + (drive - self.f) * -np.expm1(-STEP / 0.5)
        drag = 0.3 * self.v * np.abs(self.v) + 0.05 * self.v
        self.v = self.v + STEP * (0.3 * self.f + self.buoyancy - drag)
        self.z = self.z + STEP * self.v


class Pid:
    """The teacher: ``u = 2 clip(e, 1) - 4 v + i``, ``di/dt = 0.2 clip(e, 0.2) - i / 60 s``.

    e: the altitude that is wanted less that which is. The two limits keep a far target from
    winding the integral up.
    """

    def __init__(self, flights: int) -> None:
        self.integral = np.zeros(flights)

    def parts(self, error: Array, climb: Array) -> Array:
        """Proportional with derivative part, and integral part: (2, B)."""
        direct = 2.0 * np.clip(error, -1.0, 1.0) - 4.0 * climb
        self.integral = self.integral * np.exp(-STEP / 60.0)
        self.integral = self.integral + STEP * 0.2 * np.clip(error, -0.2, 0.2)
        self.integral = np.clip(self.integral, -0.3, 0.3)
        return np.stack([direct, self.integral])


@dataclass(frozen=True)
class Quantity:
    """``x -> sign(x) log(1 + |x| / fine) / log(1 + range / fine)``: -1 .. 1, finest around 0."""

    fine: float
    range: float

    def scaled(self, x: Array) -> Array:
        return np.clip(
            np.sign(x) * np.log1p(np.abs(x) / self.fine) / np.log1p(self.range / self.fine), -1, 1
        )


class PopulationCode:
    """Error and climb as spikes of 2 x 16 sensors: each integrates how near its own value is::

        p += 0.7 max(0, 1 - |x - centre| / width);   a spike where p >= 1, which it is less then

    so that the rates say what a step's spikes cannot.
    """

    _QUANTITIES = (Quantity(0.1, 1.5), Quantity(0.05, 1.0))  # m, m/s

    def __init__(self, flights: int) -> None:
        self._centres = np.linspace(-1.0, 1.0, SENSORS)
        self._width = 2 * (self._centres[1] - self._centres[0])
        self._p = np.zeros((flights, 2 * SENSORS))

    def spikes(self, error: Array, climb: Array) -> NDArray[np.uint8]:
        """The spikes of a step, (B, 32)."""
        near = [
            1.0 - np.abs(quantity.scaled(x)[:, None] - self._centres) / self._width
            for quantity, x in zip(self._QUANTITIES, (error, climb), strict=True)
        ]
        self._p += 0.7 * np.maximum(np.concatenate(near, axis=1), 0.0)
        sent = self._p >= 1.0
        self._p -= sent
        return sent.astype(np.uint8)
