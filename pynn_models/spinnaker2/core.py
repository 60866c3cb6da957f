"""Neurons of SpiNNaker 2 in float32: every operation rounded, none fused, in one order.

The processor, an Arm Cortex-M4F, has float32 only. Inputs are sums of 8-bit weights, integers that
float32 holds exactly up to 2^24. Each kind of neuron has its parameters, (H,) or (H, N) float32, in
units of its own weights, and a loop over a batch (B, L, H).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pynn_models.errors import SnnSsmError
from pynn_models.jit import njit

Float32Array = NDArray[np.float32]
Ran = tuple[NDArray[np.bool_], Float32Array]
"""Spikes (B, L, H), and membranes alike or empty."""


class Float32Error(SnnSsmError):
    """A parameter, or a membrane, that float32 cannot hold."""


@dataclass(frozen=True, eq=False)
class Parameters:
    """Arrays of real numbers as float32; raises :class:`Float32Error` for one that overflows."""

    def __post_init__(self) -> None:
        for field in fields(self):
            given = getattr(self, field.name)
            if not isinstance(given, np.ndarray) or given.dtype.kind != "f":
                continue
            with np.errstate(over="ignore", under="ignore"):
                rounded = np.ascontiguousarray(given, np.float32)
            lost = np.isfinite(given) & ~np.isfinite(rounded)
            if np.isnan(given).any() or lost.any():
                where = [int(i) for i in np.argwhere(np.isnan(given) | lost)[0]]
                raise Float32Error(
                    f"{field.name}{where} is {given[tuple(where)]}; expected a number that float32 "
                    "holds. Retrain with smaller weights, or run the network on another target."
                )
            object.__setattr__(self, field.name, rounded)


class ModeState(NamedTuple):
    """Of B samples: real and imaginary parts of the modes, (B, H, N) float32 each."""

    x_re: Float32Array
    x_im: Float32Array


@dataclass(frozen=True, eq=False)
class ModeParameters(Parameters):
    """Of state-space neurons: poles ``a``, weights ``c`` (H, N), ``d``, ``bias``, ``theta`` (H,).

    Real modes have imaginary parts of 0, (H, 0).
    """

    a_re: NDArray[np.floating[Any]]
    a_im: NDArray[np.floating[Any]]
    c_re: NDArray[np.floating[Any]]
    c_im: NDArray[np.floating[Any]]
    d: NDArray[np.floating[Any]]
    bias: NDArray[np.floating[Any]]
    theta: NDArray[np.floating[Any]]

    def at_rest(self, samples: int) -> ModeState:
        """The state before the first step."""
        return ModeState(*np.zeros((2, samples, *self.a_re.shape), np.float32))

    def run(self, u: Float32Array, state: ModeState, *, membrane: bool = False) -> Ran:
        """:func:`run_modes` from a state, which is changed in place."""
        spikes, trace = empty_results(u, membrane)
        check_finite(_modes(
            u, self.a_re, self.a_im, self.c_re, self.c_im, self.d, self.bias, self.theta, *state,
            spikes, trace,
        ))
        return spikes, trace


@dataclass(frozen=True, eq=False)
class CurrentParameters(Parameters):
    """Of ``lif_curr_exp_no_delay`` with ``alpha_decay`` 0: decays of both currents, (H,) each."""

    decay: NDArray[np.floating[Any]]
    offset: NDArray[np.floating[Any]]
    threshold: NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class LeakyParameters(Parameters):
    """Of ``lif_no_delay``, whose membrane a spike sets to 0: (H,) each."""

    decay: NDArray[np.floating[Any]]
    offset: NDArray[np.floating[Any]]
    threshold: NDArray[np.floating[Any]]


@njit(nogil=True)
def _modes(u, a_re, a_im, c_re, c_im, d, bias, theta, x_re, x_im, spikes, trace):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    count, rotates, kept = a_re.shape[1], a_im.shape[1] > 0, trace.shape[0] > 0
    finite = True
    for b in range(samples):
        x, z = x_re[b], x_im[b]
        for k in range(steps):
            for h in range(size):
                v = u[b, k, h] + bias[h]
                y = d[h] * v
                for n in range(count):
                    re = a_re[h, n] * x[h, n]
                    if rotates:
                        re = re - a_im[h, n] * z[h, n]
                        im = a_re[h, n] * z[h, n]
                        z[h, n] = im + a_im[h, n] * x[h, n]
                    re = re + v
                    x[h, n] = re
                    y = y + c_re[h, n] * re
                    if rotates:
                        y = y - c_im[h, n] * z[h, n]
                finite = finite and y - y == np.float32(0)
                spikes[b, k, h] = y > theta[h]
                if kept:
                    trace[b, k, h] = y
    return finite


def run_modes(p: ModeParameters, u: Float32Array, *, membrane: bool = False) -> Ran:
    """``x' = a x + v``, ``y = d v + sum_n Re(c_n x'_n)``, ``v = u + bias``; a spike iff y > theta.

    ``u`` (B, L, H), from rest -> spikes, and the membranes y where asked for (else an empty array).
    The order of operations is that of ``c/state_space_float_core.h``: modes ascending, real parts
    first. Raises :class:`Float32Error` for a membrane that is not finite.
    """
    return p.run(u, p.at_rest(len(u)), membrane=membrane)


@njit(nogil=True)
def _currents(excitatory, inhibitory, decay, offset, threshold, spikes, trace):  # type: ignore[no-untyped-def]
    samples, steps, size = excitatory.shape
    exc, inh = np.zeros(size, np.float32), np.zeros(size, np.float32)
    kept = trace.shape[0] > 0
    for b in range(samples):
        exc[:] = np.float32(0)
        inh[:] = np.float32(0)
        for k in range(steps):
            for h in range(size):
                exc[h] = decay[h] * exc[h] + excitatory[b, k, h]
                inh[h] = decay[h] * inh[h] + inhibitory[b, k, h]
                y = (exc[h] - inh[h]) + offset[h]
                spikes[b, k, h] = y > threshold[h]
                if kept:
                    trace[b, k, h] = y


def run_current(
    p: CurrentParameters, excitatory: Float32Array, inhibitory: Float32Array, *,
    membrane: bool = False,
) -> tuple[NDArray[np.bool_], Float32Array]:
    """``e' = a e + u_e``, ``i' = a i + u_i``, ``y = e' - i' + offset``; a spike iff y > threshold.

    What ``lif_curr_exp_no_delay`` does whose membrane keeps nothing (``alpha_decay`` 0), so that
    its reset has nothing to reset. ``excitatory`` and ``inhibitory`` (B, L, H): the sums of
    positive and of negative weights, both not negative. Source: the parameters of py-spinnaker2's
    conversion from NIR; that input comes after decay and before the comparison is our reading.
    """
    spikes, trace = empty_results(excitatory, membrane)
    _currents(excitatory, inhibitory, p.decay, p.offset, p.threshold, spikes, trace)
    return spikes, trace


@njit(nogil=True)
def _leaky(u, decay, offset, threshold, spikes, trace):  # type: ignore[no-untyped-def]
    samples, steps, size = u.shape
    v = np.zeros(size, np.float32)
    kept = trace.shape[0] > 0
    for b in range(samples):
        v[:] = np.float32(0)
        for k in range(steps):
            for h in range(size):
                y = (decay[h] * v[h] + u[b, k, h]) + offset[h]
                fired = y > threshold[h]
                spikes[b, k, h] = fired
                v[h] = np.float32(0) if fired else y
                if kept:
                    trace[b, k, h] = y


def run_leaky(
    p: LeakyParameters, u: Float32Array, *, membrane: bool = False
) -> tuple[NDArray[np.bool_], Float32Array]:
    """``y = a v + u + offset``, a spike iff y > threshold, then ``v = 0``, else ``v = y``.

    ``u`` (B, L, H). Source: as :func:`run_current`, of ``lif_no_delay`` with ``reset_to_v_reset``.
    """
    spikes, trace = empty_results(u, membrane)
    _leaky(u, p.decay, p.offset, p.threshold, spikes, trace)
    return spikes, trace


def empty_results(u: Float32Array, membrane: bool) -> Ran:
    """Room for spikes, and for membranes where they are kept."""
    return np.empty(u.shape, np.bool_), np.empty(u.shape if membrane else (0, 0, 0), np.float32)


def check_finite(finite: bool) -> None:
    """Raise :class:`Float32Error` unless all membranes are."""
    if not finite:
        raise Float32Error(
            "a membrane is beyond 3.4e38, the range of float32; expected less. Retrain with "
            "smaller weights, or use the backend software."
        )
