"""A trained model on disk: ``model.safetensors`` + ``config.toml``. Reading needs numpy only.

Arrays (H channels, N modes, S sets of modes: ``n_ssm``, or H where that is 0; C inputs, K classes,
D directions: 2 if bidirectional, else 1; F features that the decoder reads: 4 H with ``pair``, else
H), float32 unless noted; block ``i`` counts from 0:

====================================  ===============  ============================================
name                                  shape            meaning
====================================  ===============  ============================================
``encoder.weight``                    (H, C)           linear encoder, after ``input_scale``;
                                      (C, H)           for an embedding: row = symbol
``encoder.bias``                      (H,)             absent for an embedding
``blocks.i.norm.weight``, ``.bias``   (H,)             affine part of the norm
``blocks.i.norm.running_mean/_var``   (H,)             batch norm only
``blocks.i.norm.num_batches_tracked`` ()               batch norm only, int64
``blocks.i.ssm.a``                    (S, N)           ``Re(lambda) = -exp(a)``
``blocks.i.ssm.omega``                (S, N)           ``Im(lambda)``; absent for real modes
``blocks.i.ssm.b``                    (S, N, 2)        input weight, (re, im); (S, N) if real
``blocks.i.ssm.log_dt``               (H,)             log of the step Delta
``blocks.i.ssm.c``                    (D, H, N, 2)     readout weight; (D, H, N) if real
``blocks.i.ssm.d``                    (H,)             feedthrough
``blocks.i.membrane_norm.*``          as the norm      a batch norm; with ``membrane_norm`` only
``blocks.i.log_threshold``            (H,)             ``ternary-constant`` only: log of delta
``blocks.i.ssm.theta``                (H,)             threshold; with a ``reset`` only
``blocks.i.ssm.r``                    (H, N, 2)        what a spike takes, (re, im); (H, N) if
                                                       real; ``reset = "soft"`` only
                                      (H,)             from the last mode; ``reset = "soma"`` only
``blocks.i.history``                  (H, J)           a_j, j = 1 first; with a ``history`` only
``blocks.i.mixing.weight``            (H, H)           (to, from); ``linear`` and ``gsu``
                                      (2H, H)          ``glu``: rows of the values, then the gates
``blocks.i.mixing.bias``              (H,), (2H,)      as the rows of the weight
``blocks.i.mixing.gate_weight``       (H, H)           ``gsu`` of two matrices only: (to, from)
``blocks.i.mixing.norm.*``            as the norm      ``gsu`` only, the kind that ``gsu_norm`` says
``blocks.i.mixing.delays.position``   (H, H), (H,)     p, (to, from) or an axon; with ``delays`` D
``blocks.i.recurrent.weight``         (H, H)           (to, from); with ``recurrent`` only
``blocks.i.recurrent.delays.*``       as the mixing's  with ``recurrent_delays`` D only
``decoder.weight``, ``.bias``         (K, F), (K,)     logits from the pooled residual stream
``pooling.log_tau``                   (K,)             ``filter`` only: log of tau, in steps
====================================  ===============  ============================================

Channel h has the modes of set ``h mod S``. The mixings, of a layer's output s and its membrane y:

- ``linear``: ``o = W s + b``.
- ``glu``: ``(v, g) = W s + b``, ``o = v sigmoid(g)``.
- ``gsu``: ``o = GELU(norm((W s + b) * (T(G) y)))``, ``T(G) = (G > t) - (G < -t)`` with
  ``t = 0.15 max|G|`` in float64; G is ``gate_weight``, and W where there is none. The GELU is the
  exact one.

With ``delays`` D spikes are mixed late, ``o_h[t] = sum_j W_hj s_j[t - d_hj] + b_h``, with
``d = rint(D / (1 + exp(-p)))`` in float64 and half to even. A ``recurrent`` layer's input is
``u_h[t] + sum_j R_hj s_j[t - 1 - d_hj]``, R its weight, and d of its own positions, or 0.

With a reset, mode n of channel h is ``x[k] = abar (x[k-1] - r s[k-1]) + u[k]``, hard ``x[k-1]
(1 - s[k-1])``, ``y = Re(sum_n c bbar b x) + d u`` as without (2 Re if complex), and a spike is
``y > theta`` where the last one is more than ``refractory`` steps ago; a hard reset holds the modes
at 0 for as long. With a history a spike is ``y[k] > sum_j a_j p[k-j]``, p[k] = 1 where y[k] > 0.

Cells other than ``native`` have fewer arrays. ``stock``: of ``ssm`` only ``a`` (H,),
``log(n / 2^15)`` of the decay ``exp(-clip(rint(n), 66, 2^18) / 2^15)``; encoder and mixing have no
bias.
``lif``: of ``ssm`` only ``a`` (H,), of ``v[k] = beta v[k-1] (1 - s[k-1]) + u[k]``,
``s = 1 if v > 1 else 0``, with ``beta = exp(-exp(a))``.
``egru``: of ``ssm`` ``weight`` W and ``recurrent_weight`` R (3 H, H), (to, from), and ``bias`` b
(3 H,): rows of z, then r, then g; ``recurrent_bias`` c and ``threshold_logit`` (H,). With the
layer's input x, ``theta = 1 / (1 + exp(-threshold_logit))`` and the output y of the step before:
``z, r = sigmoid(W x + R y + b)``, ``g = tanh(W x + b + r (R y + c))``, ``v = z h + (1 - z) g``,
``y = v if v > theta else 0``, ``h = v - theta if v > theta else v``; what is mixed is y.

The arrays are those that training changes: what ``weight_bits`` and ``quantise_decays`` round is
stored **before rounding**, and whoever uses it rounds it, in float64 and half to even:

- ``weight_bits = B``: W of every mixing (neither b nor T(G), which is that of the stored matrix) is
  ``q rint(W / q)`` with ``q = max|W| / (2^(B-1) - 1)``, the maximum over the whole array; a W of
  zeros is left alone.
- ``quantise_decays``: the pole abar of a native mode is ``n / 2^31`` with ``n = rint(2^31 abar)``,
  real and imaginary part each, and, where |n| > 2^31 - 1, ``trunc(n (2^31 - 1) / |n|)``, so that
  it leaks; the input weight bbar is that of the pole before rounding.

A transformer has ``encoder``, ``decoder`` and, in block i, with ``norm`` as above:

=======================================  ==================  ======================================
name                                     shape               meaning
=======================================  ==================  ======================================
``blocks.i.attention.norm.*``            as the norm
``blocks.i.attention.input.weight``      (3H, H), bias (3H,) rows of queries, then keys, then values
``blocks.i.attention.output.weight``     (H, H), bias (H,)   from the heads side by side
``blocks.i.feedforward.norm.*``          as the norm
``blocks.i.feedforward.hidden.weight``   (4H, H), bias (4H,)
``blocks.i.feedforward.output.weight``   (H, 4H), bias (H,)
=======================================  ==================  ======================================

``config.toml`` holds the configuration and, in ``[checkpoint]``, the schema version and the
SHA-256 of ``model.safetensors``, whose metadata in turn holds that of the text before it: an
altered file of either kind is found before it is used. Where a model replaces another of the same
configuration, ``previous_sha256`` is that one's: ``config.toml`` is written first, and whenever
the writer is killed, the model that is there, the old one or the new, is one of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tomli_w
from numpy.typing import NDArray

from pynn_models.errors import SnnSsmError
from snn_ssm import config as configuration
from snn_ssm.config import Config, ConfigError, ModelConfig
from snn_ssm.files import (
    FileError,
    pack_arrays,
    read_arrays,
    read_bytes,
    remove_leftovers,
    require_finite,
    sha256,
    write_atomic,
)
from snn_ssm.kinds.cells import CELLS
from snn_ssm.kinds.mixings import MIXINGS
from snn_ssm.kinds.shapes import Shapes, linear_shapes, norm_shapes
from snn_ssm.reading import LARGEST_TEXT, memory, parse_toml

SCHEMA = 1
MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.toml"
_STAMP = "\n[checkpoint]\n"  # what ends the configuration's own text



class CheckpointError(SnnSsmError):
    """A checkpoint that is of another schema, altered, or whose arrays do not fit its model."""


@dataclass(frozen=True)
class Checkpoint:
    """A configuration and the arrays of its model, by the names above."""

    config: Config
    arrays: Mapping[str, NDArray[np.generic]]


def _block_shapes(prefix: str, model: ModelConfig) -> Shapes:
    h = model.channels
    shapes = norm_shapes(f"{prefix}.norm", model.norm, h)
    shapes |= CELLS[model.cells].shapes(f"{prefix}.ssm", model)
    if model.membrane_norm:
        shapes |= norm_shapes(f"{prefix}.membrane_norm", "batch", h)
    if model.activation == "ternary-constant":
        shapes[f"{prefix}.log_threshold"] = (h,)
    each = (h, h) if model.delay_per == "synapse" else (h,)
    if model.recurrent:
        shapes[f"{prefix}.recurrent.weight"] = (h, h)
    if model.recurrent_delays:
        shapes[f"{prefix}.recurrent.delays.position"] = each
    if model.delays:
        shapes[f"{prefix}.mixing.delays.position"] = each
    if model.history:
        shapes[f"{prefix}.history"] = (h, model.history)
    return shapes | MIXINGS[model.mixing].shapes(f"{prefix}.mixing", model)


def _transformer_block_shapes(prefix: str, model: ModelConfig) -> Shapes:
    h = model.channels
    attention, feedforward = f"{prefix}.attention", f"{prefix}.feedforward"
    return {
        **norm_shapes(f"{attention}.norm", model.norm, h),
        **linear_shapes(f"{attention}.input", 3 * h, h),
        **linear_shapes(f"{attention}.output", h, h),
        **norm_shapes(f"{feedforward}.norm", model.norm, h),
        **linear_shapes(f"{feedforward}.hidden", 4 * h, h),
        **linear_shapes(f"{feedforward}.output", h, 4 * h),
    }


def expected_shapes(model: ModelConfig) -> Shapes:
    """Name -> shape of every array that a model of this configuration has."""
    h, transformer = model.channels, model.architecture == "transformer"
    if model.encoder == "embedding":
        shapes: Shapes = {"encoder.weight": (model.inputs, h)}
    else:
        bias = transformer or model.cells != "stock"
        shapes = linear_shapes("encoder", h, model.inputs, bias)
    block = _transformer_block_shapes if transformer else _block_shapes
    for i in range(model.depth):
        shapes |= block(f"blocks.{i}", model)
    if model.pooling == "filter":
        shapes["pooling.log_tau"] = (model.classes,)
    return shapes | linear_shapes("decoder", model.classes, 4 * h if model.pair else h)


def check_size(model: ModelConfig) -> None:
    """Raise ``ConfigError`` for a model that memory cannot hold in training.

    That takes its weights four times, in float32: gradients and two moments, too.
    """
    h, room = model.channels, memory()
    least = 16 * (model.depth * h * max(h, model.modes) + h * (model.inputs + model.classes))
    if least > room:
        raise ConfigError(
            f"a model of model.channels = {h}, depth = {model.depth}, modes = {model.modes}, "
            f"inputs = {model.inputs} and classes = {model.classes} takes {least} bytes at least; "
            f"expected no more than {room}, half of the memory. Choose a smaller one."
        )


def check_arrays(
    arrays: Mapping[str, NDArray[np.generic]], model: ModelConfig, source: str
) -> None:
    """Raise :class:`CheckpointError` for missing, unknown or misshapen arrays, NaN and infinity."""
    expected = expected_shapes(model)
    for name, shape in expected.items():
        if name not in arrays:
            raise CheckpointError(
                f"{source}: array {name} is missing; its configuration asks for shape {shape}. "
                "Use the config.toml that the model was trained with."
            )
        if arrays[name].shape != shape:
            raise CheckpointError(
                f"{source}: array {name} has shape {arrays[name].shape}; its configuration asks "
                f"for {shape}. Use the config.toml that the model was trained with."
            )
    unknown = sorted(set(arrays) - set(expected))
    if unknown:
        raise CheckpointError(
            f"{source}: array {unknown[0]} has no place in the model of its configuration. "
            "Use the config.toml that the model was trained with."
        )
    require_finite(arrays, source)


def save_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint into an existing directory: the old one can be read until the new one can.

    One of another configuration is removed first.
    """
    directory = Path(directory)
    for name in (CONFIG_FILE, MODEL_FILE):
        remove_leftovers(directory, name)
    check_arrays(checkpoint.arrays, checkpoint.config.model, str(directory))
    text = configuration.dumps(checkpoint.config)
    metadata = {"schema": str(SCHEMA), "config_sha256": sha256(text.encode())}
    data = pack_arrays(checkpoint.arrays, metadata)
    digest, previous = sha256(data), _model_there(directory, metadata["config_sha256"])
    if previous == digest and _stamp_there(directory) == digest:
        return  # killed after the last step, and done again: what is there is the whole
    stamp = {"schema": SCHEMA, "model_sha256": digest}
    if previous is None:
        _remove_model(directory)
    elif previous != digest:
        stamp["previous_sha256"] = previous
    stamped = f"{text}\n{tomli_w.dumps({'checkpoint': stamp})}"
    write_atomic(directory / CONFIG_FILE, stamped.encode())
    write_atomic(directory / MODEL_FILE, data)


def _model_there(directory: Path, config_digest: str) -> str | None:
    """The SHA-256 of a directory's model, if it is of that configuration."""
    path = directory / MODEL_FILE
    try:
        _, metadata = read_arrays(path, "checkpoint")
        found = sha256(read_bytes(path, "checkpoint"))
    except FileError:
        return None
    return found if metadata.get("config_sha256") == config_digest else None


def _stamp_there(directory: Path) -> str | None:
    """The SHA-256 of the model that a directory's configuration goes with."""
    try:
        text = read_bytes(directory / CONFIG_FILE, "configuration").decode()
        return str(parse_toml(text)["checkpoint"]["model_sha256"])
    except (FileError, ValueError, KeyError, TypeError):
        return None


def _remove_model(directory: Path) -> None:
    try:
        (directory / MODEL_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise FileError(
            f"cannot replace {directory / MODEL_FILE}: {error.strerror}. Name another directory."
        ) from error


def load_checkpoint(directory: Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises :class:`CheckpointError`, ``FileError`` or ``ConfigError``, naming the file and, where
    one is to blame, the array.
    """
    directory = Path(directory)
    path = directory / CONFIG_FILE
    try:
        text = read_bytes(path, "checkpoint configuration", LARGEST_TEXT).decode("utf-8")
        table = parse_toml(text)
    except ValueError as error:
        raise CheckpointError(
            f"{path} was truncated or altered: {error}. Restore the file."
        ) from error
    stamp = table.pop("checkpoint", None)
    if not isinstance(stamp, dict) or "model_sha256" not in stamp:
        raise CheckpointError(
            f"{path} has no [checkpoint] table: it was truncated, or is the configuration of a "
            "training that saved nothing yet. Name the directory of a trained checkpoint."
        )
    if stamp.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{path} has checkpoint schema {stamp.get('schema')!r}; this version reads {SCHEMA}. "
            "Install the version of snn-ssm that wrote it."
        )
    try:
        config = configuration.from_dict(Config, table)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    arrays, metadata = read_arrays(
        directory / MODEL_FILE,
        "checkpoint",
        str(stamp["model_sha256"]),
        str(stamp.get("previous_sha256")),
    )
    # The text as it was written, not the configuration: a later version may know more keys.
    if metadata.get("config_sha256") != sha256(text.partition(_STAMP)[0].encode()):
        raise CheckpointError(
            f"{path} was altered: it is not the configuration that {MODEL_FILE} was saved with. "
            "Restore the file."
        )
    check_arrays(arrays, config.model, str(directory / MODEL_FILE))
    return Checkpoint(config, arrays)
