"""The fields of a stored description: each of the type and in the range that a network has.

What a network is made of checks what the parts mean; here stands what they are, so that a number
in place of a name is found where it stands. A name is printable: it goes to terminals and pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_LARGEST = 2**24  # of sizes, steps and delays: beyond it a slip or an attack on the memory

Check = Callable[[Any], bool]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and value != ""


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _wholes(value: Any) -> bool:
    """A short list of integers, of either sign."""
    return isinstance(value, list) and all(
        isinstance(v, int) and not isinstance(v, bool) and abs(v) <= _LARGEST for v in value
    )


def _sizes(value: Any) -> bool:
    """A list of numbers that are not below 0."""
    return isinstance(value, list) and all(_number(v) and v >= 0 for v in value)


_NETWORK: Mapping[str, Check] = {"timestep": _number, "steps": _whole, "cells": _name}
_SOURCE: Mapping[str, Check] = {
    "name": _name, "encoding": _name, "channels": _whole, "bits": _whole, "symbols": _whole,
    "fraction": _wholes,
}
_POPULATION: Mapping[str, Check] = {
    "name": _name, "size": _whole, "modes": _whole, "latency": _whole, "cell": _name,
    "branches": _name, "reset": _name, "refractory": _whole, "history": _whole, "levels": _whole,
    "differences": _flag,
}
_PROJECTION: Mapping[str, Check] = {
    "source": _name, "target": _name, "delay": _whole, "receptor": _name, "graded": _flag,
    "synapses": _whole,
}
_READOUT: Mapping[str, Check] = {
    "population": _name, "pooling": _name, "output": _name, "each_step": _flag,
}

_LOST = ("rms", "largest", "rms_error", "largest_error", "cut_off")  # a number a channel


def check_fields(description: Mapping[str, Any]) -> None:
    """Raise ``TypeError`` naming the first field that is of the wrong type or out of range.

    Fields that are not there are for others to miss.
    """
    _check("", description, _NETWORK)
    tables = {"source": _SOURCE, "readout": _READOUT, "origin": {}}
    for key, checks in tables.items():
        _check(f"{key}.", description.get(key), checks)
    for key, checks in {"populations": _POPULATION, "projections": _PROJECTION}.items():
        entries = description.get(key)
        if not isinstance(entries, list):
            raise TypeError(f"{key} is {_shown(entries)}, no list")
        for i, entry in enumerate(entries):
            _check(f"{key}[{i}].", entry, checks)
    names = description["origin"].get("names", [])
    if not isinstance(names, list) or not all(map(_name, names)):
        raise TypeError(f"origin.names is {_shown(names)}, no list of names")
    task = description["origin"].get("task", {})
    _check("origin.task.", task, {"name": _name})
    if "quantiser" in description["origin"]:
        _check_lost(description["origin"]["quantiser"], description["source"])


def _check_lost(entry: Any, source: Mapping[str, Any]) -> None:
    """What a quantised input lost of samples: complete, and of its channels."""
    where = "origin.quantiser."
    _check(where, entry, {"samples": _whole, "values": _number, **dict.fromkeys(_LOST, _sizes)})
    if set(entry) != {"samples", "values", *_LOST}:
        raise TypeError(f"{where.rstrip('.')} has {_shown(sorted(entry))}")
    if any(len(entry[name]) != source.get("channels") for name in _LOST):
        raise TypeError(f"{where.rstrip('.')} is not of {source.get('channels')} channels")


def _check(where: str, table: Any, checks: Mapping[str, Check]) -> None:
    if not isinstance(table, dict):
        raise TypeError(f"{where.rstrip('.')} is {_shown(table)}, no table")
    for key, check in checks.items():
        if key in table and not check(table[key]):
            raise TypeError(f"{where}{key} is {_shown(table[key])}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
