"""Configurations <-> tables <-> TOML text. Unknown keys and wrong types are refused by name."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from snn_ssm.config.checks import ConfigError, require
from snn_ssm.config.whole import Config
from snn_ssm.reading import LARGEST_TEXT, parse_toml, read_regular

T = TypeVar("T")


def _coerce(value: Any, hint: Any, where: str) -> Any:
    """``value`` as the type a field declares; TOML's integers are accepted where floats are."""
    if dataclasses.is_dataclass(hint):
        require(isinstance(value, dict), where, value, "a table")
        return from_dict(typing.cast(type, hint), value, where)
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        require(isinstance(value, list | tuple), where, value, "an array")
        return tuple(_coerce(v, item, f"{where}[{i}]") for i, v in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        require(abs(value) < 2**64, where, "an integer of many digits", "a number")
        return float(value)
    ok = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
    require(ok, where, value, f"a value of type {hint.__name__}")
    return value


def neighbours(key: str, known: Iterable[str]) -> str:
    """The keys that a wrong one may have been meant for."""
    near = difflib.get_close_matches(key, list(known), 3)
    return f"did you mean {' or '.join(near)}? " if near else ""


def from_dict(cls: type[T], table: dict[str, Any], where: str = "") -> T:
    """A configuration dataclass from a table of TOML; unknown keys are refused."""
    hints = typing.get_type_hints(cls)
    prefix = f"{where}." if where else ""
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise ConfigError(
            f"unknown configuration key {prefix}{unknown[0]}; {neighbours(unknown[0], hints)}"
            f"known: {', '.join(sorted(hints))}."
        )
    return cls(**{k: _coerce(v, hints[k], prefix + k) for k, v in table.items()})


def to_dict(config: Any) -> Any:
    """The table of a configuration dataclass; tuples become arrays."""
    if dataclasses.is_dataclass(config):
        return {f.name: to_dict(getattr(config, f.name)) for f in dataclasses.fields(config)}
    return list(config) if isinstance(config, tuple) else config


def loads(text: str, source: str = "configuration") -> Config:
    """A :class:`Config` from TOML text; raises :class:`ConfigError` naming ``source``.

    A checkpoint's own ``config.toml`` is one: its ``[checkpoint]`` table is left out.
    """
    try:
        table = parse_toml(text)
        table.pop("checkpoint", None)
    except ValueError as error:
        raise ConfigError(f"{source} is not valid TOML: {error}. Correct the file.") from error
    try:
        return from_dict(Config, table)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def load(path: Path) -> Config:
    """A :class:`Config` from a TOML file."""
    try:
        text = read_regular(Path(path), LARGEST_TEXT).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read configuration {path}: {error}.") from error
    return loads(text, str(path))


def dumps(config: Config) -> str:
    """TOML text of a configuration; :func:`loads` returns the same configuration."""
    return tomli_w.dumps(to_dict(config))
