"""Mutants of files: of their bytes, of the structure of what they hold, of arrays.

Every mutation takes a ``numpy.random.Generator`` and returns what it made; the same generator gives
the same mutant.
"""

import copy
import json

import numpy as np
import tomli_w

# What parsers take and programs do not expect; DEEP and LONG stand for what no writer writes.
DEEP, LONG, HUGE = "deep placeholder", "long placeholder", "huge placeholder"
VALUES = (
    None, True, False, 0, 1, -1, 2, 7, 2**31, 2**53, 2**63, 2**64, -(2**63), 0.5, -0.0, 1e-320,
    1e308, "", "a", "0", "-1", "nan", "x" * 3000, "\x1b[2J", "\n", "$x_{$", "../../x", "\x00",
    "é", "software", [], [0], [[]], [None], [[1, 2], [3]], {}, {"a": 1}, {"name": []},
    float("nan"), float("inf"), DEEP, LONG, HUGE,
)
_TOKENS = (
    b"", b"\x00", b"\xff" * 8, b"9" * 30, b"-", b"[", b"{", b"]", b'"', b"\n", b"\\u0000", b"1e999",
    b"NaN", b"null", b"inf", b"'", b"=", b"\xef\xbb\xbf",
)


def of_bytes(rng, data):
    """Some bytes flipped, cut, doubled, swapped or replaced."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(data) + 1))
        length = int(rng.integers(1, 40))
        match int(rng.integers(0, 8)):
            case 0 if at < len(data):
                data[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                del data[at : at + length]
            case 2:
                del data[at:]
            case 3:
                data[at:at] = data[at : at + length] * int(rng.integers(1, 5))
            case 4:
                data[at : at + length] = rng.bytes(length)
            case 5:
                data[at:at] = _TOKENS[int(rng.integers(0, len(_TOKENS)))]
            case 6:
                token = _TOKENS[int(rng.integers(0, len(_TOKENS)))]
                data[at : at + len(token)] = token
            case _:
                other = int(rng.integers(0, len(data) + 1))
                data[at:at] = data[other : other + length]
    return bytes(data)


def of_structure(rng, value):
    """One or two parts of tables and lists replaced, removed, doubled or renamed; a copy."""
    value = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 3))):
        places = list(_places(value))
        if not places:
            break
        table, key = places[int(rng.integers(0, len(places)))]
        new = copy.deepcopy(VALUES[int(rng.integers(0, len(VALUES)))])
        match int(rng.integers(0, 6)):
            case 0:
                del table[key]
            case 1 if isinstance(table, dict):
                table[f"{key}x"] = table.pop(key)
            case 1:
                table.insert(key, copy.deepcopy(table[key]))
            case 2:
                other, name = places[int(rng.integers(0, len(places)))]
                try:
                    table[key] = copy.deepcopy(other[name])
                except (KeyError, IndexError):  # it was removed before
                    table[key] = new
            case _:
                table[key] = new
    return value


def _places(value):
    """Every (table or list, key) below a value."""
    waiting = [value]
    while waiting:
        table = waiting.pop()
        keys = list(table) if isinstance(table, dict) else range(len(table))
        for key in keys:
            yield table, key
            if isinstance(table[key], dict | list):
                waiting.append(table[key])


def _filled(text):
    text = text.replace(f'"{DEEP}"', "[" * 3000 + "]" * 3000)
    text = text.replace(f'"{HUGE}"', "1" + "0" * 400)
    return text.replace(f'"{LONG}"', "9" * 4400)


def as_json(value, **options):
    """JSON text of a mutant, placeholders filled in."""
    return _filled(json.dumps(value, **options)).encode("utf-8", "surrogatepass")


def as_toml(value):
    """TOML text of a mutant; what TOML lacks is left out."""
    return _filled(tomli_w.dumps(_without_none(value))).encode("utf-8", "surrogatepass")


def _without_none(value):
    if isinstance(value, dict):
        return {str(k): _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value if v is not None] if isinstance(value, list) else value


def of_arrays(rng, arrays):
    """One or two of a table of arrays replaced, removed, renamed, or of another type or shape."""
    arrays = dict(arrays)
    for _ in range(int(rng.integers(1, 3))):
        if not arrays:
            break
        name = sorted(arrays)[int(rng.integers(0, len(arrays)))]
        array = np.array(arrays[name])
        match int(rng.integers(0, 10)):
            case 0:
                del arrays[name]
            case 1:
                arrays[f"{name}x"] = arrays.pop(name)
            case 2:
                arrays[name] = array.reshape(-1)[:1].reshape(())if array.size else array
            case 3:
                arrays[name] = array[None]
            case 4:
                arrays[name] = array.reshape(-1)[: array.size // 2]
            case 5:
                kinds = ("?", "u1", "i1", "u2", "i4", "u8", "i8", "f2", "f4", "f8", "c8")
                kind = kinds[int(rng.integers(0, len(kinds)))]
                with np.errstate(all="ignore"):
                    arrays[name] = (
                        array.astype(kind) if array.dtype.kind in "biufc" else np.zeros(3, kind)
                    )
            case 6:
                arrays[name] = np.zeros((0, *array.shape[1:]), array.dtype)
            case 7 if array.size and array.dtype.kind in "biuf":
                flat = array.reshape(-1).copy()
                extreme = [np.nan, np.inf, -np.inf, 1e308, 0] if array.dtype.kind == "f" else [
                    np.iinfo(array.dtype).max, np.iinfo(array.dtype).min, 0, 1,
                ] if array.dtype.kind != "b" else [True]
                with np.errstate(all="ignore"):
                    flat[int(rng.integers(0, flat.size))] = extreme[
                        int(rng.integers(0, len(extreme)))
                    ]
                arrays[name] = flat.reshape(array.shape)
            case 8:
                arrays[name] = arrays[sorted(arrays)[int(rng.integers(0, len(arrays)))]]
            case _:
                arrays[name] = np.moveaxis(array, 0, -1) if array.ndim else array
    return arrays
