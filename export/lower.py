"""Checkpoint -> Network: fold the norms, schedule the delays, choose the cells.

In evaluation a batch norm is an affine map a channel, so with linear mixing the residual stream is
an affine function of the input and of every earlier layer's spikes,

    stream_l = E_l p + sum_{i<l} M_{l,i} s_i + beta_l,

which is kept as one matrix a source and a constant. The input of layer l, and the logits, are
affine maps of it: projections, and a constant current.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import (
    FloatArray,
    Network,
    Population,
    Projection,
    Readout,
    Source,
)
from export.trained_cells import (
    LoweringError,
    accumulator,
    batch_norm,
    native_cell,
    stock_cell,
)
from pynn_models.cells import StateSpaceCell
from snn_ssm.checkpoint import Checkpoint, check_arrays
from snn_ssm.config import ModelConfig, to_dict

INPUT = "input"
READOUT = "readout"
_MANTISSA = 52


@dataclass(frozen=True, eq=False)
class Affine:
    """``sum_source M_source s_source + constant``: ``M`` (H, size of the source), (H,).

    The input counts with one coefficient a channel, (H, C), whatever its encoding.
    """

    matrices: Mapping[str, FloatArray]
    constant: FloatArray

    def scaled(self, scale: FloatArray, shift: FloatArray) -> Affine:
        """``scale * self + shift``, a value a channel each."""
        matrices = {k: scale[:, None] * m for k, m in self.matrices.items()}
        return Affine(matrices, scale * self.constant + shift)

    def mapped(self, weight: FloatArray, bias: FloatArray) -> Affine:
        """``weight @ self + bias``."""
        matrices = {k: weight @ m for k, m in self.matrices.items()}
        return Affine(matrices, weight @ self.constant + bias)

    def plus(self, source: str, weight: FloatArray, bias: FloatArray) -> Affine:
        """``self + weight s_source + bias`` for a source that has no part in it yet."""
        return Affine({**self.matrices, source: weight}, self.constant + bias)


def _check_lowers(model: ModelConfig, cells: str | None) -> None:
    if cells == "stock" and model.cells != "stock":
        raise LoweringError(
            "blocks.0.ssm: the model has native cells, which IF_curr_exp cannot be. Export it "
            "with --cells native, or train with model.cells = \"stock\"."
        )
    if model.bidirectional:
        raise LoweringError(
            "blocks.0.ssm: a bidirectional layer sees the future and cannot run step by step. "
            "Train with model.bidirectional = false."
        )
    if model.norm == "layer":
        raise LoweringError(
            "blocks.0.norm: a layer norm divides by a value of the current step and cannot be "
            "folded into weights. Train with model.norm = \"batch\"."
        )
    if model.activation != "heaviside":
        raise LoweringError(
            f"blocks.0: the activation {model.activation!r} is not a spike. "
            "Train with model.activation = \"heaviside\"."
        )
    if model.encoder == "embedding":
        raise LoweringError(
            "encoder: an embedding needs the input encoding 'token', which this version does not "
            "lower. Train with model.encoder = \"linear\"."
        )


def _on_grid(form: Affine, source: Source, terms: float) -> Affine:
    """The form with every coefficient rounded so that float64 sums of it are exact in any order.

    R, the power of two at or above the largest sum of ``terms`` steps, bounds every partial sum,
    and multiples of R / 2^52 up to 2 R need no rounding. This is what makes simulators agree to
    the last bit, whichever order they deliver spikes in; it moves a coefficient by at most
    R / 2^53. The input's coefficients, one a channel, become one a spike source here: bit j weighs
    2^j times bit 0, so that both encodings give the same sums. (Real-valued channels are not on a
    grid: for them no sum is exact.)
    """
    bound = np.abs(form.constant)
    for name, matrix in form.matrices.items():
        peak = 2.0**source.bits - 1 if name == INPUT and source.bits else 1.0
        bound = bound + np.abs(matrix).sum(axis=1) * peak
    top = float(bound.max()) * terms
    grid = 2.0 ** (math.ceil(math.log2(top)) - _MANTISSA) if top > 0 else 1.0
    matrices = {name: np.rint(m / grid) * grid for name, m in form.matrices.items()}
    if source.encoding == "bits":
        unit = matrices[INPUT]  # (H, C)
        powers = 2.0 ** np.arange(source.bits)
        matrices[INPUT] = (unit[:, :, None] * powers).reshape(len(unit), -1)  # (H, C bits)
    return Affine(matrices, np.rint(form.constant / grid) * grid)


def _projections(
    form: Affine, target: str, latency: Mapping[str, int]
) -> list[Projection]:
    return [
        Projection(name, target, matrix.T, latency[target] - latency[name])
        for name, matrix in form.matrices.items()
    ]


def _layer(
    stream: Affine,
    arrays: Mapping[str, NDArray[Any]],
    model: ModelConfig,
    layer: int,
    source: Source,
    timestep: float,
) -> tuple[Affine, StateSpaceCell]:
    """A layer's input, on its grid, and its cell."""
    if model.cells == "stock":
        cell, sign = stock_cell(arrays, layer, timestep)
        return _on_grid(stream.scaled(sign, np.zeros(len(sign))), source, 1), cell
    norm = batch_norm(arrays, layer)
    before = stream.scaled(*norm) if norm and model.prenorm else stream
    before = _on_grid(before, source, 1)
    return before, native_cell(arrays, model, layer, before.constant, timestep)


def _dense(
    arrays: Mapping[str, NDArray[Any]], prefix: str, outputs: int
) -> tuple[FloatArray, FloatArray]:
    """Weight and bias of a linear map in float64; a bias that the model lacks is 0."""
    weight = np.asarray(arrays[f"{prefix}.weight"], dtype=np.float64)
    return weight, np.asarray(arrays.get(f"{prefix}.bias", np.zeros(outputs)), dtype=np.float64)


def lower(
    checkpoint: Checkpoint,
    *,
    cells: str | None = None,
    encoding: str = "bits",
    timestep: float = 1.0,
    delay: int = 1,
) -> Network:
    """The network of a checkpoint: ``u_l = E_l p + sum_{i<l} M_{l,i} s_i + beta_l``.

    ``cells``: ``native`` or ``stock`` (None: what the model was trained for); ``encoding``:
    ``bits`` or ``current``; ``timestep`` in ms; ``delay``: steps a layer (the simulator's
    minimum). Layer l has latency (l + 1) delay.
    Raises :class:`LoweringError` for a model that does not lower, ``NetworkError`` for an
    impossible timestep or encoding, ``CheckpointError`` for arrays that do not fit.
    Source: arXiv 2401.00955, section 2, with the batch norms folded.
    """
    model, arrays = checkpoint.config.model, checkpoint.arrays
    _check_lowers(model, cells)
    check_arrays(arrays, model, "checkpoint")
    timestep = _positive(timestep)
    source = Source(INPUT, encoding, model.inputs, model.input_bits)
    names = [f"layer{i}" for i in range(model.depth)]
    latency = {name: (i + 1) * delay for i, name in enumerate([*names, READOUT])} | {INPUT: 0}
    encoder, constant = _dense(arrays, "encoder", model.channels)  # (H, C), (H,)
    stream = Affine({INPUT: encoder * model.input_scale}, constant)
    populations: list[Population] = []
    projections: list[Projection] = []
    for i, name in enumerate(names):
        before, cell = _layer(stream, arrays, model, i, source, timestep)
        populations.append(Population(name, cell, latency[name]))
        projections += _projections(before, name, latency)
        stream = stream.plus(name, *_dense(arrays, f"blocks.{i}.mixing", model.channels))
        norm = batch_norm(arrays, i)
        if norm and model.cells == "native" and not model.prenorm:
            stream = stream.scaled(*norm)
    steps = checkpoint.config.task.steps
    terms = steps if model.pooling == "mean" else 1
    logits = _on_grid(stream.mapped(*_dense(arrays, "decoder", model.classes)), source, terms)
    cell = accumulator(model.classes, model.pooling, logits.constant)
    populations.append(Population(READOUT, cell, latency[READOUT]))
    projections += _projections(logits, READOUT, latency)
    return Network(
        timestep=timestep,
        steps=steps,
        source=source,
        populations=tuple(populations),
        projections=tuple(projections),
        readout=Readout(READOUT, model.pooling),
        origin={"task": to_dict(checkpoint.config.task), "parameters": _count(checkpoint)},
        cells=cells or model.cells,
    )


def _positive(timestep: float) -> float:
    if not (math.isfinite(timestep) and timestep > 0):
        raise LoweringError(
            f"timestep is {timestep} ms; expected a positive number. "
            "Give --timestep in milliseconds, for example 1.0."
        )
    return float(timestep)


def _count(checkpoint: Checkpoint) -> int:
    """Trained parameters: all arrays but a norm's running statistics."""
    return sum(
        array.size
        for name, array in checkpoint.arrays.items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )
