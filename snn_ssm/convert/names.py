"""The map of a model trained elsewhere: what its arrays are called, and what the model is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pynn_models.errors import SnnSsmError
from snn_ssm.config import Config, ConfigError, ModelConfig, from_dict
from snn_ssm.convert.changes import TRANSFORMS, Change, fields_of
from snn_ssm.convert.layouts import ENDS, LAYOUTS, MODES, OPTIONS, TURNED, of_either_sign
from snn_ssm.files import read_bytes
from snn_ssm.reading import LARGEST_TEXT, parse_toml

_S4D_MODEL = {"architecture": "state-space", "cells": "native", "bidirectional": False}
# What changes a model's output and no array shows; of a transformer, its heads too.
_STATED = ("activation", "discretisation", "input_scale", "pooling", "prenorm")
_NUMBERED = ("block", "norm")
_LOW_RANK = ("P", "l_kernel")
# The values of a part's table.
_KINDS: Mapping[str, tuple[type, str]] = {
    "name": (str, "a name, in quotes"),
    "negate": (bool, "true or false"),
    "conjugate": (bool, "true or false"),
    "transform": (str, f"one of {', '.join(TRANSFORMS)}"),
    "offset": (int, "an integer from 0"),
    "stride": (int, "an integer from 1"),
}
_LEAST = {"offset": 0, "stride": 1}


class MapError(SnnSsmError):
    """A map that cannot be read, or says too little or what is unknown; names the file and key."""


@dataclass(frozen=True)
class Names:
    """``[names]``: ``parts``, by the keys of the layout, ``{i}`` being the block's number.

    ``key``: where a torch file holds the state dict, if among other things. ``ignore``: patterns
    of the source's arrays to leave out; ``zeros``: patterns of the checkpoint's arrays that are 0
    where the source has none. ``prefix``: how all of the source's names begin. ``numbers``, of
    ``block`` and ``norm``: (offset, stride), ``{i}`` of block i being offset + stride i.
    ``changes``: of a mode's parameters, by the keys of the layout.
    """

    layout: str
    parts: Mapping[str, str]
    key: str = ""
    ignore: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()
    prefix: str = ""
    numbers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    changes: Mapping[str, Change] = field(default_factory=dict)

    def source_of(self, target: str) -> str | None:
        """The source's name of an array of a checkpoint; None for one that the layout lacks."""
        found = self._within(target)
        return None if found is None else self.prefix + found

    def _within(self, target: str) -> str | None:
        first, _, rest = target.partition(".")
        if first in ENDS:
            return _joined(self.parts[first], rest)
        if first != "blocks":
            return target
        number, _, rest = rest.partition(".")
        part, _, leaf = rest.partition(".")
        block = self._numbered("block", number)
        if part == "norm":
            return _joined(self._numbered("norm", number), leaf)
        if part == "mixing":
            return _joined(block, self.parts["mixing"], leaf)
        if part != "ssm":
            return _joined(block, rest)
        key = MODES[self.layout].get(leaf)
        return None if key is None else _joined(block, self.parts[key])

    def _numbered(self, part: str, number: str) -> str:
        offset, stride = self.numbers.get(part, (0, 1))
        return self.parts[part].replace("{i}", str(offset + stride * int(number)))

    def change_of(self, target: str) -> tuple[str, Change] | None:
        """The parameter of a mode that an array of a checkpoint is, and what the source's goes
        through; None for an array of another kind.
        """
        first, _, rest = target.partition(".")
        _, _, rest = rest.partition(".")
        part, _, leaf = rest.partition(".")
        key = MODES[self.layout].get(leaf)
        if first != "blocks" or part != "ssm" or key is None:
            return None
        said = self.changes.get(key, Change())
        turned = self.layout in TURNED
        return leaf, Change(said.negate, said.conjugate, said.transform, turned)

    def low_rank(self, number: int) -> tuple[str, ...]:
        """What a block's kernel holds beside its C if it is S4's, of diagonal plus low rank."""
        readout = self.source_of(f"blocks.{number}.ssm.c") or ""
        kernel, dot, _ = readout.rpartition(".")
        return tuple(kernel + dot + name for name in _LOW_RANK)


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def load_map(path: Path, *, checked: bool = False) -> tuple[Config, Names]:
    """The configuration of the model and the names of its arrays, from a TOML file.

    Tables ``[task]`` and ``[model]`` as in a training's configuration, and ``[names]``.
    ``checked``: the conversion is going to be compared with its source, so the map need not state
    the sign of rotations whose names leave it open.
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
    if names.layout != "snn-ssm":
        _check_s4d(path, config.model, names.layout)
    _check_changes(path, config.model, names)
    if not checked:
        _check_sign(path, config.model, names)
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
    parts = {"key": "", "prefix": "", **LAYOUTS[layout]}
    leaves = {key: leaf for leaf, key in MODES[layout].items()}
    numbers: dict[str, tuple[int, int]] = {}
    changes: dict[str, Change] = {}
    for name, value in table.items():
        if name not in parts:
            raise MapError(
                f"{path}: names.{name} is unknown; the layout {layout!r} has "
                f"{', '.join(sorted([*parts, *lists]))}."
            )
        said = {"name": value}
        if isinstance(value, dict) and name in _NUMBERED:
            said = _fields(path, name, value, ("name", "offset", "stride"))
            numbers[name] = said.get("offset", 0), said.get("stride", 1)
            if "{i}" not in said.get("name", parts[name]):
                raise MapError(
                    f"{path}: names.{name} is numbered, but its name has no {{i}}. Put it where "
                    "the number stands."
                )
        elif isinstance(value, dict) and name in leaves:
            said = _fields(path, name, value, fields_of(leaves[name]))
            changes[name] = Change(**{key: said[key] for key in said if key != "name"})
        parts[name] = said.get("name", parts[name])
        if not isinstance(parts[name], str):
            raise MapError(f"{path}: names.{name} is {value!r}; expected a name, in quotes.")
    key, prefix = parts.pop("key"), parts.pop("prefix")
    ignore, zeros = tuple(lists["ignore"]), tuple(lists["zeros"])
    return Names(layout, parts, key, ignore, zeros, prefix, numbers, changes)


def _fields(
    path: Path, part: str, table: dict[str, Any], known: tuple[str, ...]
) -> dict[str, Any]:
    """A part's table, if all that it says is known and of its kind."""
    for name, value in table.items():
        where = f"{path}: names.{part}.{name}"
        if name not in known:
            raise MapError(f"{where} is unknown; names.{part} has {', '.join(known)}.")
        kind, expected = _KINDS[name]
        sound = isinstance(value, kind) and (kind is not int or not isinstance(value, bool))
        if sound and name in _LEAST:
            sound = value >= _LEAST[name]
        if sound and name == "transform":
            sound = value in TRANSFORMS
        if not sound:
            raise MapError(f"{where} is {value!r}; expected {expected}.")
    return table


def _check_s4d(path: Path, model: ModelConfig, layout: str) -> None:
    what = "the minimal S4D" if layout == "s4d" else "an S4D kernel"
    for key, value in _S4D_MODEL.items():
        if getattr(model, key) != value:
            raise MapError(
                f"{path}: [model.{key}] is {getattr(model, key)!r}; {what} has {value!r}. "
                "Correct it, or name the arrays as snn-ssm does (layout = \"snn-ssm\")."
            )
    if not model.complex_modes:
        raise MapError(
            f"{path}: [model.mode_init] is {model.mode_init!r}, which has real modes; those of "
            f"{what} are complex. Correct it, for example to \"s4d-lin\"."
        )


def _check_changes(path: Path, model: ModelConfig, names: Names) -> None:
    """Raise :class:`MapError` for a transform that must be stated, or conjugates of real modes."""
    unsaid = [
        key
        for key in OPTIONS.get(names.layout, ())
        if not names.changes.get(key, Change()).transform
    ]
    if unsaid:
        raise MapError(
            f"{path}: names.{unsaid[0]} does not say its transform, an option of the kernel that "
            f"no array shows. State it, such as {unsaid[0]} = {{ transform = \"exp\" }}; expected "
            f"{_KINDS['transform'][1]}."
        )
    for key, change in names.changes.items():
        if change.conjugate and not model.complex_modes:
            raise MapError(
                f"{path}: names.{key}.conjugate is true, but the modes of [model.mode_init] = "
                f"{model.mode_init!r} are real. Leave it out, or correct model.mode_init."
            )


def _check_sign(path: Path, model: ModelConfig, names: Names) -> None:
    """Raise :class:`MapError` where nothing says which way the modes turn."""
    if model.architecture == "transformer" or model.cells != "native" or not model.complex_modes:
        return
    modes = MODES[names.layout]
    rotation = modes["omega"]
    stated = names.changes.get(rotation, Change()).negate is not None
    if of_either_sign(names.layout, names.parts) and not stated:
        decay = modes["a"]
        raise MapError(
            f"{path}: names.{decay} is {names.parts[decay]!r} and names.{rotation} "
            f"{names.parts[rotation]!r}, as in S4's kernels, of which some have lambda = "
            "-exp(A_real) + i A_imag and some the conjugate. Use the layout \"s4d-v3\" (+) or "
            f"\"s4d-v4\" (-), say names.{rotation}.negate, true or false, or convert with --check."
        )
