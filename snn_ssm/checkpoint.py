"""A trained model on disk: ``model.safetensors`` + ``config.toml``. Reading needs numpy only.

Arrays (H channels, N modes, C inputs, K classes, D directions: 2 if bidirectional, else 1), float32
unless noted; block ``i`` counts from 0:

====================================  ===============  ============================================
name                                  shape            meaning
====================================  ===============  ============================================
``encoder.weight``                    (H, C)           linear encoder, after ``input_scale``;
                                      (C, H)           for an embedding: row = symbol
``encoder.bias``                      (H,)             absent for an embedding
``blocks.i.ssm.a``                    (H, N)           ``Re(lambda) = -exp(a)``
``blocks.i.ssm.omega``                (H, N)           ``Im(lambda)``; absent for real modes
``blocks.i.ssm.log_dt``               (H,)             log of the step Delta
``blocks.i.ssm.b``                    (H, N, 2)        input weight, (re, im); (H, N) if real
``blocks.i.ssm.c``                    (D, H, N, 2)     readout weight; (D, H, N) if real
``blocks.i.ssm.d``                    (H,)             feedthrough
``blocks.i.mixing.weight``            (H, H)           (to, from)
``blocks.i.mixing.bias``              (H,)
``blocks.i.norm.weight``, ``.bias``   (H,)             affine part of the norm
``blocks.i.norm.running_mean/_var``   (H,)             batch norm only
``blocks.i.norm.num_batches_tracked`` ()               batch norm only, int64
``decoder.weight``, ``.bias``         (K, H), (K,)     logits from the pooled residual stream
====================================  ===============  ============================================

With ``cells = "stock"`` a layer has ``blocks.i.ssm.a`` (H,), ``log(n / 2^15)`` of the decay
``exp(-round(n) / 2^15)``, and nothing else; encoder and mixing have no bias.

``config.toml`` holds the configuration and, in ``[checkpoint]``, the schema version and the
SHA-256 of ``model.safetensors``, whose metadata in turn holds that of the text before it: an
altered file of either kind is found before it is used.
"""

from __future__ import annotations

import tomllib
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
    pack_arrays,
    read_arrays,
    read_bytes,
    require_finite,
    sha256,
    write_atomic,
)

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


def expected_shapes(model: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every array that a model of this configuration has."""
    h, n, c = model.channels, model.modes, model.inputs
    pair = (2,) if model.complex_modes else ()
    directions = 2 if model.bidirectional else 1
    stock = model.cells == "stock"
    shapes: dict[str, tuple[int, ...]] = {}
    if model.encoder == "embedding":
        shapes["encoder.weight"] = (c, h)
    else:
        shapes["encoder.weight"] = (h, c)
        if not stock:
            shapes["encoder.bias"] = (h,)
    for i in range(model.depth):
        ssm, norm = f"blocks.{i}.ssm", f"blocks.{i}.norm"
        shapes[f"blocks.{i}.mixing.weight"] = (h, h)
        if stock:
            shapes[f"{ssm}.a"] = (h,)
        else:
            shapes.update({f"{ssm}.a": (h, n), f"{ssm}.log_dt": (h,), f"{ssm}.d": (h,)})
            shapes[f"{ssm}.b"] = (h, n, *pair)
            shapes[f"{ssm}.c"] = (directions, h, n, *pair)
            shapes[f"blocks.{i}.mixing.bias"] = (h,)
        if model.complex_modes:
            shapes[f"{ssm}.omega"] = (h, n)
        if model.norm in ("batch", "layer"):
            shapes.update({f"{norm}.weight": (h,), f"{norm}.bias": (h,)})
        if model.norm == "batch":
            shapes.update({f"{norm}.running_mean": (h,), f"{norm}.running_var": (h,)})
            shapes[f"{norm}.num_batches_tracked"] = ()
    shapes.update({"decoder.weight": (model.classes, h), "decoder.bias": (model.classes,)})
    return shapes


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
    """Write a checkpoint into an existing directory, each file whole or not at all."""
    check_arrays(checkpoint.arrays, checkpoint.config.model, str(directory))
    text = configuration.dumps(checkpoint.config)
    data = pack_arrays(
        checkpoint.arrays,
        {"schema": str(SCHEMA), "config_sha256": sha256(text.encode())},
    )
    stamp = {"checkpoint": {"schema": SCHEMA, "model_sha256": sha256(data)}}
    write_atomic(directory / MODEL_FILE, data)
    write_atomic(directory / CONFIG_FILE, f"{text}\n{tomli_w.dumps(stamp)}".encode())


def load_checkpoint(directory: Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises :class:`CheckpointError`, ``FileError`` or ``ConfigError``, naming the file and, where
    one is to blame, the array.
    """
    directory = Path(directory)
    path = directory / CONFIG_FILE
    try:
        text = read_bytes(path, "checkpoint configuration").decode("utf-8")
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
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
        directory / MODEL_FILE, "checkpoint", str(stamp["model_sha256"])
    )
    # The text as it was written, not the configuration: a later version may know more keys.
    if metadata.get("config_sha256") != sha256(text.partition(_STAMP)[0].encode()):
        raise CheckpointError(
            f"{path} was altered: it is not the configuration that {MODEL_FILE} was saved with. "
            "Restore the file."
        )
    check_arrays(arrays, config.model, str(directory / MODEL_FILE))
    return Checkpoint(config, arrays)
