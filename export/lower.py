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
from pynn_models.cells import StateSpaceCell
from pynn_models.errors import SnnSsmError
from snn_ssm.checkpoint import Checkpoint, check_arrays
from snn_ssm.config import ModelConfig, to_dict

INPUT = "input"
READOUT = "readout"
_BATCH_NORM_EPS = 1e-5  # torch.nn.BatchNorm1d's default, which the model uses
_MANTISSA = 52
DECAY_GRID = 2.0**15  # of training's stock cells: decays are exp(-n / 2^15)


class LoweringError(SnnSsmError):
    """A model that has no spiking form; names the layer and what to train instead."""


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


def state_space_cell(
    arrays: Mapping[str, NDArray[Any]], model: ModelConfig, layer: int, bias: FloatArray,
    timestep: float,
) -> StateSpaceCell:
    """The cell of a layer: ``tau = -dt/ln|abar|``, ``omega = arg(abar)/dt``, ``c = 2 c bbar``.

    Raises :class:`LoweringError` for a mode that does not decay.
    """
    def array(leaf: str) -> FloatArray:
        return np.asarray(arrays[f"blocks.{layer}.ssm.{leaf}"], dtype=np.float64)

    with np.errstate(over="ignore", under="ignore"):
        decay = -np.exp(array("a"))  # (H, N)
        dt = np.exp(array("log_dt"))  # (H,)
    if not bool((np.isfinite(decay) & (decay < 0)).all()):
        h, n = (int(i) for i in np.argwhere(~(np.isfinite(decay) & (decay < 0)))[0])
        raise LoweringError(
            f"blocks.{layer}.ssm: mode [{h}, {n}] has Re(lambda) = {decay[h, n]}; expected a "
            "finite number below 0, so that it leaks. Retrain with a lower training.mode_rate."
        )
    b, c = array("b"), array("c")[0]
    if model.complex_modes:
        lam = decay + 1j * array("omega")
        b, c = b[..., 0] + 1j * b[..., 1], 2 * (c[..., 0] + 1j * c[..., 1])
    else:
        lam = decay + 0j
    with np.errstate(all="ignore"):  # what is no pole in float64 is refused below
        abar, bbar = discretise(lam, dt, model.discretisation)
        log_abar = np.log(np.abs(abar))
    if not bool(((log_abar < 0) & np.isfinite(log_abar)).all()):
        h, n = (int(i) for i in np.argwhere(~((log_abar < 0) & np.isfinite(log_abar)))[0])
        raise LoweringError(
            f"blocks.{layer}.ssm: mode [{h}, {n}] has |abar| = {abs(abar[h, n])}; expected "
            "between 0 and 1, both excluded, so that it leaks with a time constant. Retrain with "
            "steps Delta in a narrower range."
        )
    g = c * bbar * b  # (H, N)
    # A bilinear real mode with Delta > 2/|lambda| changes sign each step: it rotates by pi.
    rotates = model.complex_modes or bool((abar.real < 0).any())
    theta = np.zeros(model.channels)
    return StateSpaceCell(
        tau=-timestep / log_abar,
        omega=np.angle(abar) / timestep if rotates else None,
        c_re=g.real,
        c_im=g.imag if rotates else None,
        d=array("d"),
        theta=theta,
        bias=bias,
    )


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


def _norm(arrays: Mapping[str, NDArray[Any]], layer: int) -> tuple[FloatArray, FloatArray] | None:
    """Scale and shift of a block's batch norm in evaluation; None for a model without norms."""
    prefix = f"blocks.{layer}.norm"
    if f"{prefix}.weight" not in arrays:
        return None
    weight, bias, mean, var = (
        np.asarray(arrays[f"{prefix}.{leaf}"], dtype=np.float64)
        for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(var + _BATCH_NORM_EPS)
    return scale, bias - scale * mean


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


def _accumulator(classes: int, pooling: str, bias: FloatArray) -> StateSpaceCell:
    """Neurons that never spike: non-leaky (mean pooling) or without memory (last)."""
    modes = 1 if pooling == "mean" else 0
    return StateSpaceCell(
        tau=np.full((classes, modes), np.inf),
        c_re=np.ones((classes, modes)),
        d=np.full(classes, 0.0 if modes else 1.0),
        theta=np.full(classes, np.inf),
        bias=bias,
    )


def _stock_layer(
    stream: Affine, arrays: Mapping[str, NDArray[Any]], model: ModelConfig, layer: int,
    timestep: float,
) -> tuple[Affine, StateSpaceCell]:
    """The input and the cell of a layer whose batch norm ``g x + t`` is on the membrane.

    ``g x + t > 0`` is ``sign(g) x > -t/|g|``: the sign goes into the weights, the rest into the
    threshold. The decay is ``exp(-n / 2^15)`` with the integer n that training used.
    """
    norm = _norm(arrays, layer)
    if norm is None or not bool((norm[0] != 0).all()):
        raise LoweringError(
            f"blocks.{layer}.norm: a scale of 0 leaves a neuron without input. Retrain, or prune "
            "the channel."
        )
    scale, shift = norm
    with np.errstate(over="ignore"):
        rate = np.exp(np.asarray(arrays[f"blocks.{layer}.ssm.a"], dtype=np.float64))
    if not bool(np.isfinite(rate).all()):
        raise LoweringError(
            f"blocks.{layer}.ssm: a decay overflows. Retrain with a lower training.mode_rate."
        )
    n = np.maximum(np.rint(rate * DECAY_GRID), 1.0)
    size = model.channels
    cell = StateSpaceCell(
        tau=timestep * (DECAY_GRID / n)[:, None],
        c_re=np.ones((size, 1)),
        d=np.zeros(size),
        theta=-shift / np.abs(scale),
        bias=np.zeros(size),
    )
    return stream.scaled(np.sign(scale), np.zeros(size)), cell


def _native_layer(
    stream: Affine, arrays: Mapping[str, NDArray[Any]], model: ModelConfig, layer: int,
    timestep: float, source: Source,
) -> tuple[Affine, StateSpaceCell]:
    """The input and the cell of a layer, pre- or post-norm."""
    norm = _norm(arrays, layer)
    before = stream.scaled(*norm) if norm and model.prenorm else stream
    before = _on_grid(before, source, 1)
    return before, state_space_cell(arrays, model, layer, before.constant, timestep)


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
        if model.cells == "stock":
            before, cell = _stock_layer(stream, arrays, model, i, timestep)
            before = _on_grid(before, source, 1)
        else:
            before, cell = _native_layer(stream, arrays, model, i, timestep, source)
        populations.append(Population(name, cell, latency[name]))
        projections += _projections(before, name, latency)
        stream = stream.plus(name, *_dense(arrays, f"blocks.{i}.mixing", model.channels))
        norm = _norm(arrays, i)
        if norm and model.cells == "native" and not model.prenorm:
            stream = stream.scaled(*norm)
    steps = checkpoint.config.task.steps
    terms = steps if model.pooling == "mean" else 1
    logits = _on_grid(stream.mapped(*_dense(arrays, "decoder", model.classes)), source, terms)
    accumulator = _accumulator(model.classes, model.pooling, logits.constant)
    populations.append(Population(READOUT, accumulator, latency[READOUT]))
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
