"""The arrays of a checkpoint's layer -> the parameters of its cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray
from export.lowering.mixing import batch_norm, is_ternary
from export.lowering.stream import Stream
from pynn_models.cells import Branches, LeakyCell, StateSpaceCell
from pynn_models.errors import SnnSsmError
from snn_ssm.config import ModelConfig
from snn_ssm.grids import DECAY_GRID, FASTEST_DECAY, POLE_GRID, SLOWEST_DECAY


class LoweringError(SnnSsmError):
    """A model that has no spiking form; names the layer and what to train instead."""


def discretise(
    lam: NDArray[np.complex128], dt: FloatArray, method: str
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """``abar`` and ``bbar / b`` of modes (H, N) with steps (H,), float64.

    ZOH: ``exp(lambda Delta)``, ``(abar - 1)/lambda``; bilinear:
    ``(1 + lambda Delta/2)/(1 - lambda Delta/2)``, ``Delta/(1 - lambda Delta/2)``. Written apart
    from the trainer's, whose torch this side must not import; that both agree is tested.
    """
    z = lam * dt[:, None]  # (H, N)
    if method == "zoh":
        return np.exp(z), np.expm1(z) / lam
    return (1 + z / 2) / (1 - z / 2), dt[:, None] / (1 - z / 2)


def log_magnitude(lam: NDArray[np.complex128], dt: FloatArray, method: str) -> FloatArray:
    """``ln|abar|``, exact also where |abar| rounds to 1.

    ZOH: ``Re(z)``, z = lambda Delta; bilinear: ``log1p(2 Re(z) / |1 - z/2|^2) / 2``.
    """
    z = lam * dt[:, None]  # (H, N)
    if method == "zoh":
        return z.real
    distance = (1 - z.real / 2) ** 2 + (z.imag / 2) ** 2
    return np.log1p(2 * z.real / distance) / 2


def rounded_pole(
    abar: NDArray[np.complex128],
) -> tuple[NDArray[np.complex128], FloatArray]:
    """The pole in Q0.31, as ``quantise_decays`` trained it, and ``ln|abar|`` of that.

    ``clip(rint(2^31 abar), -2^31, 2^31 - 1) / 2^31``, real and imaginary part each;
    ``log1p((re - 1)(re + 1) + im^2) / 2``.
    """
    re, im = (
        np.clip(np.rint(part * POLE_GRID), -POLE_GRID, POLE_GRID - 1) / POLE_GRID
        for part in (abar.real, abar.imag)
    )
    return re + 1j * im, np.log1p((re - 1) * (re + 1) + im * im) / 2


def _element(array: NDArray[Any], good: NDArray[np.bool_]) -> tuple[list[int], Any]:
    """Index and value of the first element that is not good."""
    index = tuple(int(i) for i in np.argwhere(~good)[0])
    return list(index), array[index]


def native_cell(
    arrays: Mapping[str, NDArray[Any]],
    model: ModelConfig,
    layer: int,
    before: Stream,
    timestep: float,
) -> StateSpaceCell:
    """``tau = -dt/ln|abar|``, ``omega = arg(abar)/dt``, ``c = 2 c bbar`` (``c bbar`` if real).

    ``before``: the layer's input, whose constants are the bias and the branches; ``timestep`` dt in
    ms. Thresholds are 0, or the learned ones of a ternary layer.
    Raises :class:`LoweringError` for a mode that does not decay.
    """
    where = f"blocks.{layer}.ssm"
    shared = np.arange(model.channels) % (model.n_ssm or model.channels)  # a channel's set of modes

    def array(leaf: str) -> FloatArray:
        return np.asarray(arrays[f"{where}.{leaf}"], dtype=np.float64)

    with np.errstate(over="ignore", under="ignore"):
        decay = -np.exp(array("a"))[shared]  # (H, N)
        dt = np.exp(array("log_dt"))  # (H,)
    leaks = np.isfinite(decay) & (decay < 0)
    if not bool(leaks.all()):
        index, value = _element(decay, leaks)
        raise LoweringError(
            f"{where}: mode {index} has Re(lambda) = {value}; expected a finite number below 0, "
            "so that it leaks. Retrain with a lower training.mode_rate."
        )
    b, c = array("b")[shared], array("c")[0]
    if model.complex_modes:
        lam = decay + 1j * array("omega")[shared]
        b, c = b[..., 0] + 1j * b[..., 1], 2 * (c[..., 0] + 1j * c[..., 1])
    else:
        lam = decay + 0j
    with np.errstate(all="ignore"):  # what is no pole in float64 is refused below
        abar, bbar = discretise(lam, dt, model.discretisation)
        log_abar = log_magnitude(lam, dt, model.discretisation)
        if model.quantise_decays:
            abar, log_abar = rounded_pole(abar)
    sound = (log_abar < 0) & np.isfinite(log_abar) & (abar != 0)
    if not bool(sound.all()):
        index, value = _element(np.abs(abar), sound)
        raise LoweringError(
            f"{where}: mode {index} has |abar| = {value}; expected between 0 and 1, both "
            "excluded, so that it leaks with a time constant. Retrain with steps Delta in a "
            "narrower range."
        )
    g = c * bbar * b  # (H, N)
    # A bilinear real mode with Delta > 2/|lambda| changes sign each step: it rotates by pi.
    rotates = model.complex_modes or bool((abar.real < 0).any())
    return StateSpaceCell(
        tau=-timestep / log_abar,
        omega=np.angle(abar) / timestep if rotates else None,
        c_re=g.real,
        c_im=g.imag if rotates else None,
        d=array("d"),
        theta=_thresholds(arrays, model, layer),
        bias=before.affine.constant,
        branches=before.cell_branches(),
    )


def _thresholds(
    arrays: Mapping[str, NDArray[Any]], model: ModelConfig, layer: int
) -> FloatArray:
    """0, or ``exp(log_threshold)`` with ternary activation, (H,); raises :class:`LoweringError`."""
    if not is_ternary(model):
        return np.zeros(model.channels)
    name = f"blocks.{layer}.log_threshold"
    with np.errstate(over="ignore"):
        theta = np.exp(np.asarray(arrays[name], dtype=np.float64))
    if not bool(np.isfinite(theta).all()):
        index, value = _element(theta, np.isfinite(theta))
        raise LoweringError(
            f"{name}: the threshold {index} is {value}; expected a finite number. Retrain with a "
            "lower training.rate."
        )
    return theta


def negated(cell: StateSpaceCell) -> StateSpaceCell:
    """The neuron of ``-y``: ``c -> -c``, ``d -> -d``; it spikes where ``-y > theta``."""
    return replace(
        cell, c_re=-cell.c_re, c_im=None if cell.c_im is None else -cell.c_im, d=-cell.d
    )


def leaky_cell(
    arrays: Mapping[str, NDArray[Any]], layer: int, bias: FloatArray, timestep: float
) -> LeakyCell:
    """``v[k] = exp(-exp(a)) v[k-1] + u[k]``, spike iff ``v > 1``, then v = 0: ``tau = dt/exp(a)``.

    ``bias`` (H,): the constant current; ``timestep`` dt in ms.
    Raises :class:`LoweringError` for a decay that underflows or overflows.
    """
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        rate = np.exp(np.asarray(arrays[f"blocks.{layer}.ssm.a"], dtype=np.float64))  # (H,)
        tau = timestep / rate
    sound = np.isfinite(rate) & np.isfinite(tau)
    if not bool(sound.all()):
        index, value = _element(rate, sound)
        raise LoweringError(
            f"blocks.{layer}.ssm: neuron {index} decays by exp(-{value}) a step; expected a "
            "finite, positive rate. Retrain with a lower training.mode_rate."
        )
    return LeakyCell(tau=tau, theta=np.ones(len(tau)), bias=bias)


def stock_cell(
    arrays: Mapping[str, NDArray[Any]], layer: int, timestep: float
) -> tuple[StateSpaceCell, FloatArray]:
    """``x[k] = exp(-n/2^15) x[k-1] + u[k]``, spike iff ``x > theta``; and the sign of its input.

    Training's batch norm is on the membrane: ``g x + t > 0`` is ``sign(g) x > -t/|g|``. The sign,
    (H,), goes into the weights, the rest is theta. n is the integer that training used.
    Raises :class:`LoweringError` for a scale g of 0 or a decay that overflows.
    """
    scale, shift = _nonzero_norm(arrays, layer)
    with np.errstate(over="ignore"):
        rate = np.exp(np.asarray(arrays[f"blocks.{layer}.ssm.a"], dtype=np.float64))  # (H,)
    if not bool(np.isfinite(rate).all()):
        raise LoweringError(
            f"blocks.{layer}.ssm: a decay overflows. Retrain with a lower training.mode_rate."
        )
    n = np.clip(np.rint(rate * DECAY_GRID), SLOWEST_DECAY, FASTEST_DECAY)
    cell = StateSpaceCell(
        tau=timestep * (DECAY_GRID / n)[:, None],
        c_re=np.ones((len(n), 1)),
        d=np.zeros(len(n)),
        theta=-shift / np.abs(scale),
        bias=np.zeros(len(n)),
    )
    return cell, np.sign(scale)


def _nonzero_norm(
    arrays: Mapping[str, NDArray[Any]], layer: int
) -> tuple[FloatArray, FloatArray]:
    norm = batch_norm(arrays, f"blocks.{layer}.norm")
    if norm is None or not bool((norm[0] != 0).all()):
        raise LoweringError(
            f"blocks.{layer}.norm: a scale of 0 leaves a neuron without input. Retrain, or prune "
            "the channel."
        )
    return norm


def accumulator(classes: int, pooling: str, bias: FloatArray) -> StateSpaceCell:
    """Neurons that never spike: non-leaky (mean pooling) or without memory (last)."""
    if pooling == "last":
        return memoryless(bias)
    return StateSpaceCell(
        tau=np.full((classes, 1), np.inf),
        c_re=np.ones((classes, 1)),
        d=np.zeros(classes),
        theta=np.full(classes, np.inf),
        bias=bias,
    )


def memoryless(bias: FloatArray, branches: Branches | None = None) -> StateSpaceCell:
    """Neurons that never spike and whose membrane is their input, ``y = u``."""
    size = len(bias)
    return StateSpaceCell(
        tau=np.empty((size, 0)),
        c_re=np.empty((size, 0)),
        d=np.ones(size),
        theta=np.full(size, np.inf),
        bias=bias,
        branches=branches,
    )
