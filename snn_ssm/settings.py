"""A configuration from what a user gives: a file, ``--set KEY=VALUE``, the task's own. No torch."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from snn_ssm.config import Config, ConfigError, from_dict, neighbours, to_dict
from snn_ssm.reading import LARGEST_TEXT, parse_toml, read_regular

Tables = dict[str, dict[str, Any]]


def tables_of(config: Config) -> Tables:
    """A configuration as tables of keys."""
    found: Tables = to_dict(config)
    return found


def read_tables(path: Path) -> Tables:
    """The tables of a TOML file, checked as a configuration; raises ``ConfigError``.

    A checkpoint's ``config.toml`` is one: its ``[checkpoint]`` table is left out.
    """
    try:
        text = read_regular(Path(path), LARGEST_TEXT).decode("utf-8-sig")
        tables = parse_toml(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read configuration {path}: {error}.") from error
    tables.pop("checkpoint", None)
    try:
        from_dict(Config, tables)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return tables


def parse_settings(settings: Iterable[str]) -> Tables:
    """``table.key=value`` -> tables; a value is TOML, or, where it is none, a text.

    ``key=value`` alone is that of the one table that has such a key. Raises ``ConfigError``.
    """
    known = {
        table.name: [key.name for key in dataclasses.fields(getattr(Config(), table.name))]
        for table in dataclasses.fields(Config)
    }
    found: Tables = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        table, key = _place(name.strip(), known)
        if not equals:
            raise ConfigError(
                f"--set {setting}: no value; expected KEY=VALUE, for example model.channels=32."
            )
        found.setdefault(table, {})[key] = _value(text.strip())
    return found


def _place(name: str, known: Mapping[str, list[str]]) -> tuple[str, str]:
    table, dot, key = name.partition(".")
    if not dot:
        places = [place for place, keys in known.items() if name in keys]
        if len(places) == 1:
            return places[0], name
        every = [f"{place}.{each}" for place, keys in known.items() for each in keys]
        if len(places) > 1:
            raise ConfigError(
                f"--set {name}: it may be {' or '.join(f'{place}.{name}' for place in places)}. "
                "Name the table, too."
            )
        bare = [each.partition(".")[2] for each in every]
        raise ConfigError(
            f"--set {name}: unknown key; {neighbours(name, bare)}'snn-ssm config TASK' prints all."
        )
    if table not in known:
        raise ConfigError(
            f"--set {name}: unknown table; {neighbours(table, known)}known: {', '.join(known)}."
        )
    if key not in known[table]:
        raise ConfigError(
            f"--set {name}: unknown key; {neighbours(key, known[table])}known: "
            f"{', '.join(sorted(known[table]))}."
        )
    return table, key


def _value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, ValueError, KeyError):
        return text


def keys_of(tables: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Which keys are set, such as ``model.channels``."""
    return {f"{table}.{key}" for table, keys in tables.items() for key in keys}


def merged(*parts: Mapping[str, Mapping[str, Any]]) -> Tables:
    """The tables together; of a key that several set, the last one's value."""
    found: Tables = {}
    for part in parts:
        for table, keys in part.items():
            found.setdefault(table, {}).update(keys)
    return found
