"""One layer's share of a checkpoint: its arrays, its norm and its levels, read in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray
from export.lowering.stream import Stream
from snn_ssm.config import ModelConfig
from snn_ssm.levels import BATCH_NORM_EPS, Level

Arrays = Mapping[str, NDArray[Any]]


def dense(arrays: Arrays, prefix: str, outputs: int) -> tuple[FloatArray, FloatArray]:
    """Weight and bias of a linear map in float64; a bias that the model lacks is 0."""
    weight = np.asarray(arrays[f"{prefix}.weight"], dtype=np.float64)
    return weight, np.asarray(arrays.get(f"{prefix}.bias", np.zeros(outputs)), dtype=np.float64)


def batch_norm(arrays: Arrays, prefix: str) -> tuple[FloatArray, FloatArray] | None:
    """Scale and shift, (H,), of a batch norm in evaluation; None for a model without."""
    if f"{prefix}.weight" not in arrays:
        return None
    weight, bias, mean, var = (
        np.asarray(arrays[f"{prefix}.{leaf}"], dtype=np.float64)
        for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(var + BATCH_NORM_EPS)
    return scale, bias - scale * mean


def first_bad(array: NDArray[Any], good: NDArray[np.bool_]) -> tuple[list[int], Any]:
    """Index and value of the first element that is not good."""
    index = tuple(int(i) for i in np.argwhere(~good)[0])
    return list(index), array[index]


@dataclass(frozen=True, eq=False)
class Layer:
    """Layer ``index`` of a model: its part of the checkpoint's arrays, and where it spikes.

    ``own``: what its own spikes of earlier steps bring to its input, behind the norm.
    """

    arrays: Arrays
    model: ModelConfig
    index: int
    level: Level
    own: Stream | None = None

    @property
    def name(self) -> str:
        """Its population's, ``layer0`` and so on."""
        return f"layer{self.index}"

    @property
    def where(self) -> str:
        """What the names of its arrays begin with."""
        return f"blocks.{self.index}"

    def array(self, leaf: str) -> FloatArray:
        """One of its arrays in float64, such as ``ssm.a``."""
        return np.asarray(self.arrays[f"{self.where}.{leaf}"], dtype=np.float64)

    @property
    def norm(self) -> tuple[FloatArray, FloatArray] | None:
        """Scale and shift of its norm, (H,); None for a model without."""
        return batch_norm(self.arrays, f"{self.where}.norm")

    @property
    def membrane_norm(self) -> tuple[FloatArray, FloatArray]:
        """Scale and shift of the norm on its membrane, (H,); 1 and 0 for a model without."""
        one = np.ones(self.model.channels)
        return batch_norm(self.arrays, f"{self.where}.membrane_norm") or (one, 0 * one)

    def before(self, stream: Stream) -> Stream:
        """The layer's input, with pre-norm ``norm(stream)``, and what it sends to itself."""
        u = stream.scaled(*self.norm) if self.norm and self.model.prenorm else stream
        return u if self.own is None else u.plus(self.own)

    def after(self, stream: Stream) -> Stream:
        """The stream behind it once its output is added, with post-norm ``norm(stream)``."""
        post = not self.model.prenorm and self.model.cells != "stock"  # whose norm is within
        return stream.scaled(*self.norm) if self.norm and post else stream
