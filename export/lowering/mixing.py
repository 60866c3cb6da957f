"""The arrays of a checkpoint's mixing and norms -> what a layer adds to the residual stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray
from export.lowering.affine import Affine
from export.lowering.stream import Branch
from snn_ssm.config import ModelConfig

Arrays = Mapping[str, NDArray[Any]]

NEGATIVE = "_negative"  # ends the name of the population of a ternary layer's spikes -1
_BATCH_NORM_EPS = 1e-5  # torch.nn.BatchNorm1d's default, which the model uses
_GSU_THRESHOLD = 0.15  # of the largest weight


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
    scale = weight / np.sqrt(var + _BATCH_NORM_EPS)
    return scale, bias - scale * mean


def rounded(weight: FloatArray, bits: int) -> FloatArray:
    """``q rint(W / q)``, ``q = max|W| / (2^(bits - 1) - 1)``: as ``weight_bits`` trained it."""
    largest = float(np.abs(weight).max())
    if bits == 0 or largest == 0:
        return weight
    q = largest / (2 ** (bits - 1) - 1)
    return np.rint(weight / q) * q


def ternary(weight: FloatArray) -> FloatArray:
    """``T(G) = (G > q) - (G < -q)``, ``q = 0.15 max|G|``.

    Source: Stan & Rhodes, arXiv 2401.00955, section 2 (GSU).
    """
    q = _GSU_THRESHOLD * np.abs(weight).max()
    return (weight > q).astype(np.float64) - (weight < -q)


def is_ternary(model: ModelConfig) -> bool:
    """Whether a layer's spikes have a sign, and so need two populations."""
    return model.activation == "ternary-constant"


def output(arrays: Arrays, model: ModelConfig, layer: int) -> Affine | Branch:
    """What layer ``layer`` adds to the residual stream, in terms of its spikes s, membrane y::

        linear:  W s + b
        glu:     (v, g) = W s + b,  v sigmoid(g)
        gsu:     GELU(n_s (W s + b) (T(G) y) + n_t),  G = W, or a matrix of its own

    n_s, n_t: the batch norm of the product. With ternary activation s is the spikes of the layer's
    population less those of its twin.
    """
    prefix, name, h = f"blocks.{layer}.mixing", f"layer{layer}", model.channels
    weight, bias = dense(arrays, prefix, 2 * h if model.mixing == "glu" else h)
    used = rounded(weight, model.weight_bits)
    if model.mixing == "linear":
        return _of_spikes(model, name, used, bias)
    zero, one = np.zeros(h), np.ones(h)
    if model.mixing == "glu":
        value = _of_spikes(model, name, used[:h], bias[:h])
        gate = _of_spikes(model, name, used[h:], bias[h:])
        return Branch("glu", value, gate, shift=zero, gain=one)
    scale, shift = batch_norm(arrays, f"{prefix}.norm") or (one, zero)
    gates = np.asarray(arrays.get(f"{prefix}.gate_weight", weight), dtype=np.float64)
    value = _of_spikes(model, name, used, bias).scaled(scale)
    return Branch("gsu", value, Affine({name: ternary(gates)}, zero), shift=shift, gain=one)


def _of_spikes(model: ModelConfig, name: str, weight: FloatArray, bias: FloatArray) -> Affine:
    matrices = {name: weight}
    if is_ternary(model):
        matrices[name + NEGATIVE] = -weight
    return Affine(matrices, bias)
