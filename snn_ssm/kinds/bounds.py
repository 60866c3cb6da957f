"""What rounding can make of a signal: sizes and errors, carried from sums to membranes.

The running error bound of :mod:`snn_ssm.levels`, in the parts that each kind of mixing and cell
puts together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from snn_ssm.config import ModelConfig

FloatArray = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

BATCH_NORM_EPS = 1e-5  # torch.nn.BatchNorm1d's default, which the model uses
UNIT = 2.0**-53  # of rounding to nearest
GRID = 2.0**-52  # of lowering, relative to the largest sum
FEW = 8  # roundings of a norm, of a gate, of a coefficient
MOST = 2.0**-24  # of a margin, relative to the smallest thing that a neuron can tell


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
class Bounded:
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

    def normed(self, scale: FloatArray, mean: FloatArray, bias: FloatArray) -> Bounded:
        """``scale (self - mean) + bias``."""
        by, moved = np.abs(scale), np.abs(scale) * np.abs(mean) + np.abs(bias)
        size = by * self.size + moved
        error = by * self.error + FEW * UNIT * size
        least = np.where(by > 0, by * self.least, np.inf)
        return Bounded(size, error, by * self.constant + moved, least, self.sources)

    def plus(self, other: Bounded) -> Bounded:
        """``self + other``."""
        size = self.size + other.size
        error = self.error + other.error + UNIT * size
        least = np.minimum(self.least, other.least)
        constant = self.constant + other.constant
        return Bounded(size, error, constant, least, self.sources + other.sources)

    @property
    def smallest(self) -> FloatArray:
        """What it is made of when next to nothing arrives, (H,): its constants, or the least."""
        least = np.where(np.isfinite(self.least), self.least, 0.0)
        return np.where(self.constant > 0, self.constant, least)

    @property
    def on_grid(self) -> FloatArray:
        """The error once the sum is on lowering's grid, too, (H,)."""
        return self.error + GRID * (self.sources + 1) * self.size


def array(arrays: Arrays, name: str) -> FloatArray:
    """One of them in float64."""
    return np.asarray(arrays[name], dtype=np.float64)


def bias_of(arrays: Arrays, prefix: str, size: int) -> FloatArray:
    """A bias, (size,); one that the model lacks is 0."""
    return array(arrays, f"{prefix}.bias") if f"{prefix}.bias" in arrays else np.zeros(size)


def least_of(weight: FloatArray) -> FloatArray:
    """The smallest element of each row that is not 0."""
    return np.where(weight > 0, weight, np.inf).min(1)


def weighted_sum(
    arrays: Arrays, prefix: str, model: ModelConfig, rows: slice = slice(None)
) -> Bounded:
    """``W s + b`` of spikes s, for some rows of it; integer spikes are as many sources."""
    weight = np.abs(array(arrays, f"{prefix}.weight")[rows])
    constant = np.abs(bias_of(arrays, prefix, len(array(arrays, f"{prefix}.weight")))[rows])
    kinds = {"ternary-constant": 2, "integer": model.spike_levels}.get(model.activation, 1)
    most = model.spike_levels if model.activation == "integer" else 1
    size = weight.sum(1) * most + constant
    sources = model.channels * kinds
    error = (sources + 4) * UNIT * size
    return Bounded(size, error, constant, least_of(weight), sources)


def norm_of(arrays: Arrays, prefix: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Scale, mean and bias of a batch norm in evaluation, (H,) each."""
    weight, bias, mean, var = (
        array(arrays, f"{prefix}.{leaf}")
        for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    return weight / np.sqrt(var + BATCH_NORM_EPS), mean, bias


def reach_of(leak: FloatArray, steps: int) -> FloatArray:
    """``min(L, 1 / (1 - |abar|))`` of ``leak = 1 - |abar|``."""
    return 1 / np.maximum(leak, 1 / steps)


def level_of(theta: FloatArray, bound: FloatArray, smallest: FloatArray) -> Level:
    """The level of thresholds (H,) and a rounding bound (H,), cut at 2^-24 of what can be told.

    ``smallest`` (H,): what the membrane is made of when next to nothing arrives.
    """
    return Level(theta, np.minimum(bound, MOST * (np.abs(theta) + smallest)))
