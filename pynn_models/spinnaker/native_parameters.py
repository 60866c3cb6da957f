"""The native cell's parameters as the board's integers: the formats.

A state-space neuron may be rescaled freely; fixed point uses that. With integers X, U, Y for the
state, input and membrane x, u, y of :class:`pynn_models.cells.StateSpaceCell`::

    X = x 2^(15 + s_n)     s_n, state exponent, a mode's own
    U = u 2^(15 + i)       i, input exponent, one for the population: the weights' scale is 2^i
    Y = y 2^(15 + p)       p, membrane exponent, a neuron's own

    X' = (A X + 2^k U + 2^30) >> 31            A = rint(abar 2^31)           k = s_n - i + 31
    Y  = (sum C X' + D U + 2^31) >> 32         C = rint(c 2^(32 + p - s_n))  D = rint(d 2^(32+p-i))
    spike if Y > THETA                         THETA = floor(theta 2^(15 + p))

Why like this, seen from the ARM968: the input's shift is a product 2^k U in the same 64-bit sum
as A X, so nothing is rounded twice, and costs AND, LSL, SMLAL instead of a rounding shift's four.
k occupies the low five bits of c_re, to which C is rounded (an error below 2^-26 of the largest
C): a mode stays at 24 bytes, and 128 neurons of 16 modes fit a core. Y is the sum's upper word,
which needs no shift at all. Since Y is an integer, Y > floor(theta') is y > theta exactly.

States round to nearest, not down: truncation loses half a unit a step, tau / 2 in all, and a
negative state never decays below tau; to nearest, a mode of tau = 10,000 strays by 15 units rms
instead of 4,800 (`benchmarks/native_rounding.py`), and one without leak counts exactly. On ARM the
rounding is free: the bit shifted out last is the carry of the next addition.

What a spike does, and a threshold that remembers (:mod:`pynn_models.cells`), in the same units::

    X = X - R (soft)  or  0 (hard), after a spike            R = rint(r 2^(15 + s_n))
    spike if Y > THETA + sum over j of the A_j with Y[k-j] > THETA,   A_j = rint(a_j 2^(15 + p))

X is stored as the next step needs it, so that a spike is paid for when it comes. Steps of silence
are counted, and a hard reset holds X = 0 through them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pynn_models.cells import Reset, StateSpaceCell, propagator
from pynn_models.cells.checks import FloatArray
from pynn_models.spinnaker.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    FixedPointError,
    from_q031,
    to_q031,
)

Int32Array = NDArray[np.int32]
IntArray = NDArray[np.int64]

MAX_GAIN_SHIFT = 30  # 2^30 is the largest power of two of a signed 32-bit number
READOUT_LIMIT = (1 << 32) - 2  # sum |C| + |D|: with |X|, |U| <= 2^31 the sum stays below 2^63


@dataclass(frozen=True, eq=False)
class NativeScaling:
    """The exponents of the module's equations.

    state_exponent (H, N), membrane_exponent (H,), integers; input_exponent, one integer.
    """

    input_exponent: int
    state_exponent: IntArray
    membrane_exponent: IntArray


@dataclass(frozen=True, eq=False, kw_only=True)
class NativeReset:
    """What a spike does to the modes: R (H, N) int32 is taken, or all are set to 0 (None).

    ``r_im``: of complex modes; ``refractory``: the steps of silence after a spike.
    """

    r_re: Int32Array | None = None
    r_im: Int32Array | None = None
    refractory: int = 0

    @property
    def is_hard(self) -> bool:
        """Whether the modes are set to 0."""
        return self.r_re is None


@dataclass(frozen=True, eq=False, kw_only=True)
class NativeParameters:
    """The integers of the module's equations, as the C core reads them.

    Shapes: a_re, a_im, c_re, c_im (H, N), a_im and c_im None for real modes; d, theta, bias (H,);
    ``history``, A (H, J); all int32. ``bias`` is in units of U. The low five bits of c_re are k.
    Raises `FixedPointError` for other types or shapes, poles outside the unit circle, and readouts
    and thresholds that could overflow: with these excluded, only a state or U can.
    """

    a_re: Int32Array
    c_re: Int32Array
    d: Int32Array
    theta: Int32Array
    bias: Int32Array
    input_exponent: int
    membrane_exponent: IntArray
    a_im: Int32Array | None = None
    c_im: Int32Array | None = None
    reset: NativeReset | None = None
    history: Int32Array | None = None

    def __post_init__(self) -> None:
        size, modes = self.a_re.shape
        shapes: dict[str, tuple[int, ...]] = {"a_re": (size, modes), "c_re": (size, modes)}
        shapes |= dict.fromkeys(("d", "theta", "bias"), (size,))
        if self.is_complex:
            shapes |= {"a_im": (size, modes), "c_im": (size, modes)}
        if self.history is not None:
            shapes["history"] = (size, self.history_steps)
        values = {name: getattr(self, name) for name in shapes}
        if self.reset is not None and not self.reset.is_hard:
            parts = ("r_re", "r_im") if self.is_complex else ("r_re",)
            shapes |= dict.fromkeys(parts, (size, modes))
            values |= {name: getattr(self.reset, name) for name in parts}
        for name, shape in shapes.items():
            value = values[name]
            if value is None or value.shape != shape or value.dtype != np.int32:
                found = None if value is None else (value.shape, str(value.dtype))
                raise FixedPointError(
                    f"NativeParameters: {name} is {found}, expected int32 of shape {shape}. "
                    "Use quantise_cell()."
                )
        self._check_ranges()

    def _check_ranges(self) -> None:
        a_re, c_re = self.a_re.astype(np.int64), self.c_re.astype(np.int64)
        a_im = np.zeros_like(a_re) if self.a_im is None else self.a_im.astype(np.int64)
        c_im = np.zeros_like(c_re) if self.c_im is None else self.c_im.astype(np.int64)
        # A pole on the circle may end up a rounding, 0.71 units, outside it.
        outside = np.hypot(a_re.astype(float), a_im.astype(float)) > INT32_MAX + 2
        if outside.any() or (np.maximum(np.abs(a_re), np.abs(a_im)) > INT32_MAX).any():
            raise FixedPointError(
                "NativeParameters: a pole lies outside the unit circle, expected |a| <= 1. "
                "A growing mode cannot be a leaky neuron."
            )
        total = (np.abs(c_re) + np.abs(c_im)).sum(1) + np.abs(self.d.astype(np.int64))
        if (total > READOUT_LIMIT).any():
            h = int(total.argmax())
            raise FixedPointError(
                f"NativeParameters: neuron {h} has sum |c| + |d| = {int(total[h])}, expected at "
                f"most {READOUT_LIMIT}, or its membrane could overflow. Lower its "
                "membrane exponent."
            )
        if self.history is not None:
            self._check_levels(self.history)
        if (self.gain_shift > MAX_GAIN_SHIFT).any():
            raise FixedPointError(
                f"NativeParameters: the low five bits of c_re say k = 31, expected at most "
                f"{MAX_GAIN_SHIFT}. Lower the state exponent."
            )

    def _check_levels(self, history: Int32Array) -> None:
        theta, a = self.theta.astype(np.int64), history.astype(np.int64)
        highest = theta + np.maximum(a, 0).sum(axis=1)
        lowest = theta + np.minimum(a, 0).sum(axis=1)
        spikes = self.theta < INT32_MAX  # another is never above its threshold, and has no history
        outside = spikes & ((highest > INT32_MAX) | (lowest < INT32_MIN))
        if outside.any():
            h = int(np.flatnonzero(outside)[0])
            raise FixedPointError(
                f"NativeParameters: the threshold of neuron {h} moves from {int(lowest[h])} to "
                f"{int(highest[h])} with its history, expected within 32 bits. Lower its membrane "
                "exponent."
            )

    @property
    def is_complex(self) -> bool:
        """Whether the modes rotate."""
        return self.a_im is not None

    @property
    def history_steps(self) -> int:
        """J; 0 where the threshold has no history."""
        return 0 if self.history is None else int(self.history.shape[1])

    @property
    def n_neurons(self) -> int:
        """H, the number of neurons."""
        return int(self.a_re.shape[0])

    @property
    def n_modes(self) -> int:
        """N, the number of modes of each neuron."""
        return int(self.a_re.shape[1])

    @property
    def gain_shift(self) -> IntArray:
        """k of each mode, (H, N)."""
        return self.c_re.astype(np.int64) & 31

    @property
    def state_exponent(self) -> IntArray:
        """``s_n = k + i - 31`` of each mode, (H, N)."""
        return self.gain_shift + self.input_exponent - 31

    @property
    def abar(self) -> NDArray[np.complex128]:
        """The poles that the board has, (H, N)."""
        im = np.zeros(self.a_re.shape) if self.a_im is None else from_q031(self.a_im)
        return from_q031(self.a_re) + 1j * im


def quantise_cell(cell: StateSpaceCell, dt: float, scaling: NativeScaling) -> NativeParameters:
    """The integers of the module's equations, rounded to nearest; dt in ms.

    Deterministic: the C library's exp, cos and sin, and float64. An infinite threshold becomes
    2^31 - 1, which no membrane exceeds; a pole of 1 becomes 1 - 2^-31, which rounding to nearest
    makes exact for |X| <= 2^30. Raises `FixedPointError`, naming parameter, neuron and mode.
    """
    i, s, p = scaling.input_exponent, scaling.state_exponent, scaling.membrane_exponent
    if s.shape != cell.tau.shape or p.shape != cell.d.shape:
        raise FixedPointError(
            f"quantise_cell: exponents of shapes {s.shape} and {p.shape}, expected "
            f"{cell.tau.shape} for states and {cell.d.shape} for membranes."
        )
    k = s - i + 31
    if ((k < 0) | (k > MAX_GAIN_SHIFT)).any():
        h, n = (int(v) for v in np.argwhere((k < 0) | (k > MAX_GAIN_SHIFT))[0])
        raise FixedPointError(
            f"quantise_cell: state exponent [{h}][{n}] is {s[h, n]}, expected {i - 31} to "
            f"{i + MAX_GAIN_SHIFT - 31} with input exponent {i}."
        )
    a_re, a_im = propagator(cell.tau, cell.omega, dt)
    readout = 32 + p[:, None] - s
    c_re = 32 * np.rint((np.ldexp(cell.c_re, readout) - k) / 32) + k
    silent = np.isinf(cell.theta)
    theta = np.floor(np.ldexp(np.where(silent, 0.0, cell.theta), 15 + p))
    return NativeParameters(
        a_re=to_q031(a_re, "abar"),
        a_im=to_q031(a_im, "abar") if cell.is_complex else None,
        c_re=_to_int32(c_re, "c_re"),
        c_im=None if cell.c_im is None else _to_int32(np.ldexp(cell.c_im, readout), "c_im"),
        d=_to_int32(np.ldexp(cell.d, 32 + p - i), "d"),
        theta=_to_int32(np.where(silent, float(INT32_MAX), theta), "theta"),
        bias=_to_int32(np.ldexp(cell.bias, 15 + i), "bias"),
        input_exponent=i,
        membrane_exponent=p,
        reset=None if cell.reset is None else _quantise_reset(cell.reset, s),
        history=None if cell.history is None
        else _to_int32(np.ldexp(cell.history.a, 15 + p[:, None]), "a"),
    )


def _quantise_reset(reset: Reset, state: IntArray) -> NativeReset:
    taken = {
        name: None if value is None else _to_int32(np.ldexp(value, 15 + state), name)
        for name, value in (("r_re", reset.r_re), ("r_im", reset.r_im))
    }
    return NativeReset(**taken, refractory=reset.refractory)


_LOWERED = {"bias": "input", "r_re": "state", "r_im": "state"}


def _to_int32(scaled: FloatArray, name: str) -> Int32Array:
    rounded = np.rint(scaled)
    if (np.abs(rounded) > INT32_MAX).any():
        where = tuple(int(v) for v in np.argwhere(np.abs(rounded) > INT32_MAX)[0])
        place = name + "".join(f"[{v}]" for v in where)
        raise FixedPointError(
            f"{place} is {scaled[where]:g} in the board's units, expected a magnitude below 2^31. "
            f"Lower the {_LOWERED.get(name, 'membrane')} exponent of the scaling."
        )
    return rounded.astype(np.int32)
