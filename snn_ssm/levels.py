"""The levels at which a trained network's neurons spike: thresholds, clear of ties.

A membrane may be equal to its threshold by construction: the input of a constant channel is 0 once
its norm has taken off the mean, and a leaky neuron of weight 1 reaches 1. No two ways of computing
such a membrane in float64 round it to the same side. The contract's rule is therefore

    s[k] = 1 if y[k] > theta + margin else 0

with a margin for every neuron above what rounding makes of its membrane at a tie: **what is at its
threshold, as far as float64 can tell, does not spike**. The level theta + margin lies at no
coincidence, so that the trained model, ``software`` and a simulator, which round differently, all
agree about a tie. The trained model compares with the level here, a network has it for its theta;
each computes its membranes by itself.

The margin is a running error bound, in first order, with u = 2^-53. A sum of K terms bounded in
magnitude by B, rounded in any order, is off by (K + 4) u B; the grid of lowering
(:mod:`export.lowering.affine`) moves a sum by 2^-52 B for each unit of its sources. These errors
are carried through norms, mixings and a neuron's modes, whose gain from a constant input is

    |d| + sum_n |g_n| S_n,   S_n = min(L, 1 / (1 - |abar_n|)),   L steps

to which the rounding of the readout's sum is added. Two things have no bound before the samples are
known and are left out: real-valued inputs, and the products of a gated spiking unit.

A bound over all inputs can be far above what a neuron of very unequal sources does while the large
ones are silent. So a margin is at most 2^-24 of the threshold, and of what the membrane is made of
when next to nothing arrives: its constants, or the least of its sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.checkpoint import Checkpoint
from snn_ssm.config import ModelConfig
from snn_ssm.grids import DECAY_GRID, FASTEST_DECAY, SLOWEST_DECAY
from snn_ssm.poles import discretise

FloatArray = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

BATCH_NORM_EPS = 1e-5  # torch.nn.BatchNorm1d's default, which the model uses
LEAKY_THRESHOLD = 1.0  # of every leaky neuron with reset
_UNIT = 2.0**-53  # of rounding to nearest
_GRID = 2.0**-52  # of lowering, relative to the largest sum
_FEW = 8  # roundings of a norm, of a gate, of a coefficient
_MOST = 2.0**-24  # of a margin, relative to the smallest thing that a neuron can tell


@dataclass(frozen=True)
class Level:
    """Of one layer, (H,) each: ``theta``, and the ``margin`` above it.

    In units of what the trained model compares: y, of stock cells after their norm.
    """

    theta: FloatArray
    margin: FloatArray

    @property
    def value(self) -> FloatArray:
        """``theta + margin``: a spike is strictly above it."""
        return self.theta + self.margin


@dataclass(frozen=True)
class _Bounded:
    """A signal of H channels: ``size`` bounds its terms' magnitudes, ``error`` its rounding.

    ``constant``: the part of ``size`` that is always there; ``least``: the smallest term that a
    source brings, inf if none does. ``sources``: the sum over what it is a sum of, spikes and
    integers, of their largest values.
    """

    size: FloatArray
    error: FloatArray
    constant: FloatArray
    least: FloatArray
    sources: float

    def normed(self, scale: FloatArray, mean: FloatArray, bias: FloatArray) -> _Bounded:
        """``scale (self - mean) + bias``."""
        by, moved = np.abs(scale), np.abs(scale) * np.abs(mean) + np.abs(bias)
        size = by * self.size + moved
        error = by * self.error + _FEW * _UNIT * size
        least = np.where(by > 0, by * self.least, np.inf)
        return _Bounded(size, error, by * self.constant + moved, least, self.sources)

    def plus(self, other: _Bounded) -> _Bounded:
        """``self + other``."""
        size = self.size + other.size
        error = self.error + other.error + _UNIT * size
        least = np.minimum(self.least, other.least)
        constant = self.constant + other.constant
        return _Bounded(size, error, constant, least, self.sources + other.sources)

    @property
    def smallest(self) -> FloatArray:
        """What it is made of when next to nothing arrives, (H,): its constants, or the least."""
        least = np.where(np.isfinite(self.least), self.least, 0.0)
        return np.where(self.constant > 0, self.constant, least)

    @property
    def on_grid(self) -> FloatArray:
        """The error once the sum is on lowering's grid, too, (H,)."""
        return self.error + _GRID * (self.sources + 1) * self.size


def _array(arrays: Arrays, name: str) -> FloatArray:
    return np.asarray(arrays[name], dtype=np.float64)


def _bias(arrays: Arrays, prefix: str, size: int) -> FloatArray:
    return _array(arrays, f"{prefix}.bias") if f"{prefix}.bias" in arrays else np.zeros(size)


def _least(weight: FloatArray) -> FloatArray:
    """The smallest element of each row that is not 0."""
    return np.where(weight > 0, weight, np.inf).min(1)


def _sum(arrays: Arrays, prefix: str, model: ModelConfig, rows: slice = slice(None)) -> _Bounded:
    """``W s + b`` of spikes s, for some rows of it."""
    weight = np.abs(_array(arrays, f"{prefix}.weight")[rows])
    constant = np.abs(_bias(arrays, prefix, len(_array(arrays, f"{prefix}.weight")))[rows])
    size = weight.sum(1) + constant
    sources = model.channels * (2 if model.activation == "ternary-constant" else 1)
    error = (model.channels + 4) * _UNIT * size
    return _Bounded(size, error, constant, _least(weight), sources)


def _encoded(arrays: Arrays, model: ModelConfig) -> _Bounded:
    weight = np.abs(_array(arrays, "encoder.weight"))
    if model.encoder == "embedding":
        size, least = weight.max(0), _least(weight.T)
        always = np.where(np.isfinite(least), least, 0.0)  # there is a symbol at every step
        return _Bounded(size, 4 * _UNIT * size, always, least, 1.0)
    # Real-valued: no largest value; bits 0 leave the input out.
    most = 2.0**model.input_bits - 1
    weight = weight * abs(model.input_scale)
    constant = np.abs(_bias(arrays, "encoder", model.channels))
    size = weight.sum(1) * most + constant
    least = _least(weight) if most else np.full(model.channels, np.inf)
    error = (model.inputs + 4) * _UNIT * size
    return _Bounded(size, error, constant, least, model.inputs * most)


def _norm(arrays: Arrays, prefix: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Scale, mean and bias of a batch norm in evaluation, (H,) each."""
    weight, bias, mean, var = (
        _array(arrays, f"{prefix}.{leaf}")
        for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    return weight / np.sqrt(var + BATCH_NORM_EPS), mean, bias


def _linear(arrays: Arrays, prefix: str, model: ModelConfig) -> _Bounded:
    return _sum(arrays, prefix, model)


def _glu(arrays: Arrays, prefix: str, model: ModelConfig) -> _Bounded:
    """``|v sigmoid(g)| <= |v|``, and its slope in g is at most |v|/4."""
    value = _sum(arrays, prefix, model, slice(model.channels))
    gate = _sum(arrays, prefix, model, slice(model.channels, None))
    error = value.on_grid + _FEW * _UNIT * value.size + value.size * gate.on_grid / 4
    return _Bounded(value.size, error, value.constant, np.full(model.channels, np.inf), 0.0)


def _gsu(arrays: Arrays, prefix: str, model: ModelConfig) -> _Bounded:
    """A product with a membrane: of no useful bound, and left out."""
    nothing = np.zeros(model.channels)
    return _Bounded(nothing, nothing, nothing, np.full(model.channels, np.inf), 0.0)


_MIXINGS: Mapping[str, Callable[[Arrays, str, ModelConfig], _Bounded]] = {
    "linear": _linear, "glu": _glu, "gsu": _gsu,
}


def _reach(leak: FloatArray, steps: int) -> FloatArray:
    """``min(L, 1 / (1 - |abar|))`` of ``leak = 1 - |abar|``."""
    return 1 / np.maximum(leak, 1 / steps)


def _level(theta: FloatArray, bound: FloatArray, smallest: FloatArray) -> Level:
    """``smallest``: what the membrane is made of when next to nothing arrives, (H,)."""
    return Level(theta, np.minimum(bound, _MOST * (np.abs(theta) + smallest)))


def _native(arrays: Arrays, layer: int, model: ModelConfig, u: _Bounded, steps: int) -> Level:
    where = f"blocks.{layer}.ssm"
    shared = np.arange(model.channels) % (model.n_ssm or model.channels)
    lam = -np.exp(_array(arrays, f"{where}.a"))[shared] + 0j  # (H, N)
    b, c = _array(arrays, f"{where}.b")[shared], np.abs(_array(arrays, f"{where}.c")[0])
    if model.complex_modes:
        lam = lam + 1j * _array(arrays, f"{where}.omega")[shared]
        b, c = np.hypot(b[..., 0], b[..., 1]), 2 * c.sum(-1)
    dt = np.exp(_array(arrays, f"{where}.log_dt"))
    abar, bbar = discretise(lam, dt, model.discretisation)
    reach = _reach(1 - np.abs(abar), steps)  # (H, N)
    gain = np.abs(_array(arrays, f"{where}.d")) + (c * np.abs(bbar * b) * reach).sum(1)
    theta = np.zeros(model.channels)
    if model.activation == "ternary-constant":
        theta = np.exp(_array(arrays, f"blocks.{layer}.log_threshold"))
    rounding = (model.modes + _FEW) * _UNIT * gain * u.size + 4 * _UNIT * np.abs(theta)
    return _level(theta, gain * u.on_grid + rounding, gain * u.smallest)


def _stock(arrays: Arrays, layer: int, model: ModelConfig, u: _Bounded, steps: int) -> Level:
    rate = np.exp(_array(arrays, f"blocks.{layer}.ssm.a"))
    n = np.clip(np.rint(rate * DECAY_GRID), SLOWEST_DECAY, FASTEST_DECAY)
    reach = _reach(-np.expm1(-n / DECAY_GRID), steps)
    error = reach * (u.on_grid + _FEW * _UNIT * u.size)
    x = _Bounded(reach * u.size, error, reach * u.constant, reach * u.least, 0.0)
    y = x.normed(*_norm(arrays, f"blocks.{layer}.norm"))
    return _level(np.zeros(model.channels), y.error, y.smallest)


def _leaky(arrays: Arrays, layer: int, model: ModelConfig, u: _Bounded, steps: int) -> Level:
    reach = _reach(-np.expm1(-np.exp(_array(arrays, f"blocks.{layer}.ssm.a"))), steps)
    theta = np.full(model.channels, LEAKY_THRESHOLD)
    margin = reach * (u.on_grid + _FEW * _UNIT * (u.size + theta))
    return _level(theta, margin, reach * u.smallest)


_CELLS: Mapping[str, Callable[[Arrays, int, ModelConfig, _Bounded, int], Level]] = {
    "native": _native, "stock": _stock, "lif": _leaky,
}


def levels(checkpoint: Checkpoint) -> tuple[Level, ...]:
    """The level of every neuron, a :class:`Level` a layer: ``y > theta + margin`` is a spike.

    Of a ternary layer's negative spikes, ``-y > theta + margin``. The model is one that lowers.
    Where a margin overflows, which leaves no network that could run, it is 0.
    Source: Higham 2002, *Accuracy and Stability of Numerical Algorithms*, sections 3.3 and 4.2.
    """
    model, arrays = checkpoint.config.model, checkpoint.arrays
    steps, normed = checkpoint.config.task.steps, model.norm == "batch" and model.cells != "stock"
    found = []
    with np.errstate(all="ignore"):
        stream = _encoded(arrays, model)
        for i in range(model.depth):
            norm = f"blocks.{i}.norm"
            u = stream.normed(*_norm(arrays, norm)) if normed and model.prenorm else stream
            level = _CELLS[model.cells](arrays, i, model, u, steps)
            margin = np.where(np.isfinite(level.margin), level.margin, 0.0)
            found.append(replace(level, margin=margin))
            stream = stream.plus(_MIXINGS[model.mixing](arrays, f"blocks.{i}.mixing", model))
            if normed and not model.prenorm:
                stream = stream.normed(*_norm(arrays, norm))
    return tuple(found)
