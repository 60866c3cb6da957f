"""The state-space cell: its equations, parameters and units, once for all backends.

Everything here is NumPy and the C library's mathematics; no simulator is imported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pynn_models.branches import BRANCHES
from pynn_models.errors import SnnSsmError

FloatArray = NDArray[np.float64]


class CellParameterError(SnnSsmError):
    """A parameter of a cell, or the timestep, has a shape or a value that cannot be used."""


class Quantity(NamedTuple):
    """Unit and one-line meaning of a parameter or of a recordable variable."""

    unit: str
    meaning: str


PARAMETERS: Mapping[str, Quantity] = MappingProxyType(
    {
        "tau": Quantity("ms", "time constant of each mode; inf: the mode does not leak"),
        "omega": Quantity("rad/ms", "rotation of each mode; empty: the modes are real"),
        "c_re": Quantity("dimensionless", "readout weight of each mode, real part"),
        "c_im": Quantity("dimensionless", "readout weight of each mode, imaginary part"),
        "d": Quantity("dimensionless", "weight of the input that bypasses the modes"),
        "theta": Quantity("dimensionless", "threshold: a spike when y > theta; inf: never"),
        "bias": Quantity("dimensionless", "constant current, added to u at every step k >= 0"),
        "value_bias": Quantity("dimensionless", "constant part of each branch's value"),
        "gate_bias": Quantity("dimensionless", "constant part of each branch's gate"),
        "shift": Quantity("dimensionless", "added to value * gate before the GELU (gsu)"),
        "gain": Quantity("dimensionless", "factor of the GELU (gsu)"),
        "first_step": Quantity("steps", "kernel step that is reference step k = 0"),
        "period": Quantity("steps", "modes are zeroed when k % period == 0; 0: never"),
        "active": Quantity("steps", "silent, and deaf, when k % period >= active; 0: never"),
    }
)

VARIABLES: Mapping[str, Quantity] = MappingProxyType(
    {
        "y": Quantity("dimensionless", "membrane: the readout of the modes, compared with theta"),
        "u": Quantity("dimensionless", "input: bias, weighted spikes and currents of this step"),
    }
)

_ARRAYS = ("tau", "c_re", "d", "theta", "bias", "omega", "c_im")
_ACCEPTED_INFINITY = {"tau", "theta"}

_REMEDIES = {
    "tau": "a mode that does not leak has tau = inf; a growing mode (|abar| >= 1) cannot be a "
    "leaky neuron: retrain, or choose another discretisation",
    "theta": "a neuron that must never spike has theta = inf",
}
_DEFAULT_REMEDY = "look for NaN or overflow in the checkpoint that this value comes from"


@dataclass(frozen=True, eq=False, kw_only=True)
class Branches:
    """P gated inputs of H neurons, each the product of two sums of what arrives at step k::

        v_p[k] = value_bias_p + weighted spikes and graded input at receptor value p
        g_p[k] = gate_bias_p + weighted spikes and graded input at receptor gate p
        glu:  b_p[k] = v_p[k] / (1 + exp(-g_p[k]))
        gsu:  b_p[k] = gain_p z (1 + erf(z / sqrt(2))) / 2,  z = v_p[k] g_p[k] + shift_p

    and the sum over p, ascending, is added to the neuron's u[k]. exp and erf are the C library's.

    Shapes: value_bias, gate_bias, shift, gain (H, P), P >= 1; shift and gain are 0 and 1 for glu.
    Units: dimensionless. Values: finite. The arrays are kept as read-only float64 copies.
    Raises: `CellParameterError`.
    Source: Stan & Rhodes, arXiv 2401.00955, section 2, with the norms folded.
    """

    kind: str
    value_bias: FloatArray
    gate_bias: FloatArray
    shift: FloatArray
    gain: FloatArray

    def __post_init__(self) -> None:
        if self.kind not in BRANCHES:
            raise CellParameterError(
                f"Branches: kind is {self.kind!r}; use one of {', '.join(BRANCHES)}."
            )
        for name in ("value_bias", "gate_bias", "shift", "gain"):
            value = _frozen_copy(name, getattr(self, name))
            _check_values(name, value)
            object.__setattr__(self, name, value)
            if value.ndim != 2 or 0 in value.shape or value.shape != self.value_bias.shape:
                raise CellParameterError(
                    f"Branches: {name} has shape {value.shape}, expected (H, P) as value_bias, "
                    f"{self.value_bias.shape}, of at least one neuron and one branch. "
                    "Leave branches out of a cell that has none."
                )
        fault = BRANCHES[self.kind].fault(self)
        if fault:
            raise CellParameterError(f"Branches: {fault}")

    @property
    def count(self) -> int:
        """P, the number of branches."""
        return int(self.value_bias.shape[1])


@dataclass(frozen=True, eq=False, kw_only=True)
class LeakyCell:
    """H leaky integrate-and-fire neurons with reset, k the reference step, dt the timestep in ms::

        v[k] = exp(-dt/tau) v[k-1] + u[k]                             v[-1] = 0
        s[k] = 1 if v[k] > theta else 0                               strictly
        v[k] = 0 where s[k] = 1
        u[k] = bias + sum of weighted spikes + currents that arrive at step k

    Shapes: tau, theta, bias (H,). Units: tau ms, the others dimensionless.
    Values: finite, tau > 0. The arrays are kept as read-only float64 copies.
    Raises: `CellParameterError`.
    """

    tau: FloatArray
    theta: FloatArray
    bias: FloatArray
    branches: ClassVar[Branches | None] = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = _frozen_copy(field.name, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            if value.ndim != 1 or value.shape != self.tau.shape or len(value) == 0:
                raise CellParameterError(
                    f"LeakyCell: {field.name} has shape {value.shape}, expected (H,) as tau, "
                    f"{self.tau.shape}, of at least one neuron."
                )
            _check_values(field.name, value)
        if not (np.isfinite(self.tau).all() and np.isfinite(self.theta).all()):
            raise CellParameterError(
                "LeakyCell: tau or theta is infinite, expected finite numbers. Look for overflow "
                "in the checkpoint that this value comes from."
            )

    @property
    def n_neurons(self) -> int:
        """H, the number of neurons."""
        return len(self.tau)


@dataclass(frozen=True, eq=False, kw_only=True)
class StateSpaceCell:
    """H state-space neurons of N modes each, k the reference step, dt the timestep in ms::

        abar_n  = exp(-dt/tau_n) * (cos(omega_n dt) + i sin(omega_n dt))
        x_n[k]  = abar_n x_n[k-1] + u[k]                              x_n[-1] = 0
        y[k]    = sum_n (c_re_n Re x_n[k] - c_im_n Im x_n[k]) + d u[k]
        s[k]    = 1 if y[k] > theta else 0                            strictly, and no reset
        u[k]    = bias + sum of weighted spikes, currents and graded input that arrive at step k
                  + sum of the branches' b_p[k], if there are any

    where the input weight bbar, and the factor 2 of a conjugate pair, are folded into c.
    A neuron without memory has N = 0 modes and d = 1. Without `omega` and `c_im` the modes are
    real: Im x = 0.

    Shapes: tau, omega, c_re, c_im (H, N); d, theta, bias (H,).
    Units: tau ms, omega rad/ms, the others dimensionless (see `PARAMETERS`).
    Values: finite, apart from tau = +inf (no leak) and theta = +inf (no spike); tau > 0.
    The arrays are kept as read-only float64 copies.
    Raises: `CellParameterError`.
    Source: Stan & Rhodes, arXiv 2401.00955 (Binary S4D).
    """

    tau: FloatArray
    c_re: FloatArray
    d: FloatArray
    theta: FloatArray
    bias: FloatArray
    omega: FloatArray | None = None
    c_im: FloatArray | None = None
    branches: Branches | None = None

    def __post_init__(self) -> None:
        if (self.omega is None) != (self.c_im is None):
            missing, given = ("omega", "c_im") if self.omega is None else ("c_im", "omega")
            raise CellParameterError(
                f"StateSpaceCell: {given} is given and {missing} is not; complex modes need both, "
                "real modes neither. Give zeros for the missing one, or leave out both."
            )
        for name in _ARRAYS:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _frozen_copy(name, value))
        self._check_shapes()
        for name in _ARRAYS:
            value = getattr(self, name)
            if value is not None:
                _check_values(name, value)

    def _check_shapes(self) -> None:
        if self.tau.ndim != 2 or self.tau.shape[0] == 0:
            raise CellParameterError(
                f"StateSpaceCell: tau has shape {self.tau.shape}, expected (H, N) with H >= 1 "
                "neurons of N >= 0 modes. One neuron is a row: tau[None, :]; no modes: (H, 0)."
            )
        n_neurons, n_modes = self.tau.shape
        for name in _ARRAYS:
            value = getattr(self, name)
            per_mode = name in {"tau", "omega", "c_re", "c_im"}
            expected = (n_neurons, n_modes) if per_mode else (n_neurons,)
            if value is not None and value.shape != expected:
                raise CellParameterError(
                    f"StateSpaceCell: {name} has shape {value.shape}, expected {expected}, "
                    f"since tau says H = {n_neurons} neurons of N = {n_modes} modes. "
                    f"Give {name} one value a {'mode' if per_mode else 'neuron'}."
                )

        if self.branches is not None and len(self.branches.value_bias) != n_neurons:
            raise CellParameterError(
                f"StateSpaceCell: its branches are of {len(self.branches.value_bias)} neurons, "
                f"expected {n_neurons}, as tau says. Give them one row a neuron."
            )

    @property
    def n_neurons(self) -> int:
        """H, the number of neurons."""
        return int(self.tau.shape[0])

    @property
    def n_modes(self) -> int:
        """N, the number of modes of each neuron."""
        return int(self.tau.shape[1])

    @property
    def is_complex(self) -> bool:
        """Whether the modes rotate, that is, whether omega and c_im are given."""
        return self.omega is not None


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
    times = _frozen_copy("tau", tau)
    rotations = _frozen_copy("omega", np.zeros(times.shape) if omega is None else omega)
    if rotations.shape != times.shape:
        raise CellParameterError(
            f"propagator: omega has shape {rotations.shape}, expected that of tau, {times.shape}."
            " Give one omega a mode, or None for real modes."
        )
    _check_values("tau", times)
    _check_values("omega", rotations)
    a_re = np.empty(times.shape)
    a_im = np.empty(times.shape)
    for index in np.ndindex(times.shape):
        decay = math.exp(-dt / float(times[index]))
        angle = float(rotations[index]) * dt
        if not math.isfinite(angle):
            raise CellParameterError(
                f"propagator: omega{list(index)} * dt = {float(rotations[index])} rad/ms * {dt} ms"
                f" overflows; expected a finite angle. {_DEFAULT_REMEDY.capitalize()}."
            )
        a_re[index] = decay * math.cos(angle)
        a_im[index] = decay * math.sin(angle)
    return a_re, a_im


def _frozen_copy(name: str, value: ArrayLike) -> FloatArray:
    try:
        given = np.asarray(value)
        if given.dtype.kind not in "biuf":
            raise TypeError(f"dtype {given.dtype}")
        copy = np.array(given, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise CellParameterError(
            f"{name} is no array of real numbers ({error}); expected values that convert to "
            "float64. Rows must have equal lengths; split complex values into real and imaginary "
            "parts."
        ) from error
    copy.flags.writeable = False
    return copy


def _check_values(name: str, value: FloatArray) -> None:
    accepted = np.isfinite(value)
    expected = "a finite number"
    if name in _ACCEPTED_INFINITY:
        accepted = accepted | (value == np.inf)
        expected = "a number or inf"
    if name == "tau":
        accepted = accepted & (value > 0)
        expected = "tau > 0 (inf allowed)"
    if accepted.all():
        return
    where = tuple(int(i) for i in np.argwhere(~accepted)[0])
    position = "".join(f"[{i}]" for i in where)
    raise CellParameterError(
        f"{name}{position} is {value[where]} {PARAMETERS[name].unit}, expected {expected}; "
        f"{int((~accepted).sum())} of {value.size} elements are refused. "
        f"To do: {_REMEDIES.get(name, _DEFAULT_REMEDY)}."
    )
