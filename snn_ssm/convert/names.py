"""The map of a model trained elsewhere: what its arrays are called, and what the model is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pynn_models.errors import SnnSsmError
from snn_ssm.config import Config, ConfigError, ModelConfig, from_dict
from snn_ssm.files import read_bytes
from snn_ssm.reading import LARGEST_TEXT, parse_toml

_ENDS = {"encoder": "encoder", "decoder": "decoder"}
# Layout -> part -> its name in the source; all but the first four are within the block.
LAYOUTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "s4d": {
            **_ENDS, "block": "s4_layers.{i}", "norm": "norms.{i}", "log_dt": "kernel.log_dt",
            "log_A_real": "kernel.log_A_real", "A_imag": "kernel.A_imag", "C": "kernel.C",
            "D": "D", "mixing": "output_linear.0",
        },
        "snn-ssm": {
            **_ENDS, "block": "blocks.{i}", "norm": "blocks.{i}.norm", "a": "ssm.a",
            "omega": "ssm.omega", "log_dt": "ssm.log_dt", "b": "ssm.b", "c": "ssm.c",
            "d": "ssm.d", "mixing": "mixing",
        },
    }
)
# A checkpoint's name of a mode's parameter -> the minimal S4D's, which has no b: it is 1.
_S4D = {"a": "log_A_real", "omega": "A_imag", "log_dt": "log_dt", "c": "C", "d": "D"}
_S4D_MODEL = {"architecture": "state-space", "cells": "native", "bidirectional": False}
# What changes a model's output and no array shows; of a transformer, its heads too.
_STATED = ("activation", "discretisation", "input_scale", "pooling", "prenorm")


class MapError(SnnSsmError):
    """A map that cannot be read, or says too little or what is unknown; names the file and key."""


@dataclass(frozen=True)
class Names:
    """``[names]``: ``parts``, by the keys of :data:`LAYOUTS`, ``{i}`` being the block's number.

    ``key``: where a torch file holds the state dict, if among other things. ``ignore``: patterns
    of the source's arrays to leave out; ``zeros``: patterns of the checkpoint's arrays that are 0
    where the source has none.
    """

    layout: str
    parts: Mapping[str, str]
    key: str = ""
    ignore: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()

    def source_of(self, target: str) -> str | None:
        """The source's name of an array of a checkpoint; None for one that the layout lacks."""
        first, _, rest = target.partition(".")
        if first in _ENDS:
            return _joined(self.parts[first], rest)
        if first != "blocks":
            return target
        number, _, rest = rest.partition(".")
        part, _, leaf = rest.partition(".")
        block = self.parts["block"].replace("{i}", number)
        if part == "norm":
            return _joined(self.parts["norm"].replace("{i}", number), leaf)
        if part == "mixing":
            return _joined(block, self.parts["mixing"], leaf)
        if part != "ssm":
            return _joined(block, rest)
        if self.layout == "s4d":
            return _joined(block, self.parts[_S4D[leaf]]) if leaf in _S4D else None
        return _joined(block, self.parts.get(leaf, rest))


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def load_map(path: Path) -> tuple[Config, Names]:
    """The configuration of the model and the names of its arrays, from a TOML file.

    Tables ``[task]`` and ``[model]`` as in a training's configuration, and ``[names]``.
    Raises ``FileError``, :class:`MapError` or ``ConfigError``, naming the file.
    """
    try:
        table = parse_toml(read_bytes(path, "map", LARGEST_TEXT).decode("utf-8-sig"))
    except ValueError as error:
        raise MapError(f"{path} is not valid TOML: {error}. Correct the file.") from error
    for name in ("task", "model", "names"):
        if not isinstance(table.get(name), dict):
            raise MapError(f"{path} has no table [{name}]. Add it.")
    heads = ("heads",) if table["model"].get("architecture") == "transformer" else ()
    unsaid = [key for key in (*_STATED, *heads) if key not in table["model"]]
    if unsaid:
        raise MapError(
            f"{path}: [model] does not say {', '.join(unsaid)}, which no array shows. State how "
            "the model was trained."
        )
    names = _names(path, table.pop("names"))
    try:
        config = from_dict(Config, table)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if names.layout == "s4d":
        _check_s4d(path, config.model)
    return config, names


def _names(path: Path, table: dict[str, Any]) -> Names:
    layout = table.pop("layout", None)
    if not isinstance(layout, str) or layout not in LAYOUTS:
        raise MapError(
            f"{path}: names.layout is {layout!r}; expected one of {', '.join(LAYOUTS)}."
        )
    lists = {key: table.pop(key, []) for key in ("ignore", "zeros")}
    for name, value in lists.items():
        if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise MapError(f"{path}: names.{name} is {value!r}; expected an array of patterns.")
    known = {"key": "", **LAYOUTS[layout]}
    for name, value in table.items():
        if name not in known:
            raise MapError(
                f"{path}: names.{name} is unknown; the layout {layout!r} has "
                f"{', '.join(sorted([*known, *lists]))}."
            )
        if not isinstance(value, str):
            raise MapError(f"{path}: names.{name} is {value!r}; expected a name, in quotes.")
    parts = known | table
    key = parts.pop("key")
    return Names(layout, parts, key, tuple(lists["ignore"]), tuple(lists["zeros"]))


def _check_s4d(path: Path, model: ModelConfig) -> None:
    for key, value in _S4D_MODEL.items():
        if getattr(model, key) != value:
            raise MapError(
                f"{path}: [model.{key}] is {getattr(model, key)!r}; the minimal S4D has {value!r}. "
                "Correct it, or name the arrays as snn-ssm does (layout = \"snn-ssm\")."
            )
    if not model.complex_modes:
        raise MapError(
            f"{path}: [model.mode_init] is {model.mode_init!r}, which has real modes; those of the "
            "minimal S4D are complex. Correct it, for example to \"s4d-lin\"."
        )
