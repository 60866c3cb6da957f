"""A model trained elsewhere -> a checkpoint: every array in its place, or a list of what is not.

The minimal S4D (Gu et al., arXiv 2206.11893; ``s4d.py`` of its authors) has, per channel and mode,

    A = -exp(log_A_real) + i A_imag,     Delta = exp(log_dt),
    K[l] = 2 Re(sum_n C_n (exp(Delta A_n) - 1)/A_n exp(l Delta A_n)),     y = K * u + D u:

our mode with a = log_A_real, omega = A_imag, b = 1, c = C, d = D, discretised by ZOH. Its output
linear, of H or (GLU) 2 H rows, is our mixing. The full kernel of the same authors trains B, which
multiplies C, and some of its versions have the conjugate of A (:mod:`snn_ssm.convert.layouts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pynn_models.errors import SnnSsmError
from snn_ssm.checkpoint import Checkpoint, expected_shapes, save_checkpoint
from snn_ssm.config import ModelConfig
from snn_ssm.convert.changes import Change
from snn_ssm.convert.check import Comparison, DifferentModelError, compare
from snn_ssm.convert.names import Names, load_map
from snn_ssm.convert.source import read_state
from snn_ssm.files import whole_directory

Shape = tuple[int, ...]


class ConvertError(SnnSsmError):
    """Arrays without a place, places without an array, arrays that do not fit: all of them."""


class _MisfitError(Exception):
    """What is wrong with one array, to be said after its name."""


@dataclass(frozen=True)
class Placement:
    """A checkpoint's arrays, by name, and what became of the source's.

    ``changes``: of each array taken from the source, the largest change of a value that float32
    made, relative to the value; ``zeros``: arrays set to 0; ``ignored``: those of the source that
    were left out; ``comparison``: with the source's own logits, where there are some.
    """

    arrays: Mapping[str, NDArray[Any]]
    changes: Mapping[str, float]
    zeros: tuple[str, ...]
    ignored: tuple[str, ...]
    comparison: Comparison | None = None


def convert(source: Path, out: Path, mapping: Path, check: Path | None = None) -> Placement:
    """Write the checkpoint ``out`` from a state dict and the TOML file that names its parts.

    ``check``: an ``.npz`` of ``inputs`` (B, C, L) and the source's ``logits`` (B, K) of them.
    Nothing is written unless everything has its place and the logits are the same. Raises
    :class:`ConvertError`, ``MapError`` or ``ConfigError`` (the map), ``SourceError`` or
    ``FileError`` (files), ``CheckError`` or ``DataError`` (the check's file), and
    ``DifferentModelError`` where the logits differ by more than rounding.
    """
    config, names = load_map(mapping, checked=check is not None)
    placement = place(read_state(source, names.key), config.model, names, str(source))
    checkpoint = Checkpoint(config, placement.arrays)
    if check is not None:
        comparison = compare(checkpoint, check)
        if not comparison.holds:
            raise DifferentModelError(comparison, str(source))
        placement = replace(placement, comparison=comparison)
    with whole_directory(out, "checkpoint") as directory:
        save_checkpoint(directory, checkpoint)
    return placement


def place(
    source: Mapping[str, NDArray[Any]], model: ModelConfig, names: Names, where: str
) -> Placement:
    """The arrays of a source in the places of a model, in float32 (counters in int64).

    Axes of length 1 may be more or fewer, and a complex array stands for one of (re, im).
    Raises :class:`ConvertError`, which names ``where`` and lists all that does not go together.
    """
    low_rank, empty = _low_rank(source, model, names)
    ignored = tuple(name for name in source if name in empty or _matches(name, names.ignore))
    arrays: dict[str, NDArray[Any]] = {}
    changes: dict[str, float] = {}
    zeros: list[str] = []
    missing, unfit = [], []
    places: dict[str, list[str]] = {name: [] for name in source if name not in ignored}
    for target, shape in expected_shapes(model).items():
        name = names.source_of(target)
        if name is None:
            arrays[target] = _ones(shape)
        elif name in places:
            places[name].append(target)
            try:
                change = names.change_of(target)
                found = _real(source[name], target)
                arrays[target], changes[target] = _stored(found, shape, _type(target), change)
                _check_variance(arrays[target], target)
            except _MisfitError as error:
                unfit.append(f"{target}: {name}{error}")
        elif _matches(target, names.zeros):
            arrays[target] = np.zeros(shape, _type(target))
            zeros.append(target)
        else:
            missing.append(f"{target} {shape}, looked for as {name}")
    problems = {
        "of a kernel whose modes are not diagonal; convert one that is: S4D, mode = \"diag\"":
            low_rank,
        "without a place; name them in [names], or list them in names.ignore": [
            f"{name} {source[name].shape}" for name, targets in places.items() if not targets
        ],
        "of the checkpoint without a source; correct [names] or [model], or list in names.zeros "
        "what is 0": missing,
        "that do not fit; correct [names] or [model]": unfit,
        "with several places; correct [names]": [
            f"{name}: {', '.join(targets)}" for name, targets in places.items() if len(targets) > 1
        ],
    }
    if any(problems.values()):
        raise ConvertError(f"{where} was not converted, nothing was written.{_listed(problems)}")
    return Placement(arrays, changes, tuple(zeros), ignored)


def _low_rank(
    source: Mapping[str, NDArray[Any]], model: ModelConfig, names: Names
) -> tuple[list[str], list[str]]:
    """What S4's own kernels hold beside their C: that which matters, said, and names of zeros.

    Their A is diag(lambda) - P P*, and of a kernel of length l_kernel > 0 they keep
    C (1 - abar^l_kernel) in place of C.
    """
    found = [
        name for i in range(model.depth) for name in names.low_rank(i) if name in source
    ]
    bad = [name for name in found if np.any(source[name])]
    said = [f"{name} {source[name].shape}, which is not 0" for name in bad]
    return said, [name for name in found if name not in bad]


def _listed(problems: Mapping[str, list[str]]) -> str:
    return "".join(
        f"\narrays {kind}:" + "".join(f"\n  {line}" for line in lines)
        for kind, lines in problems.items()
        if lines
    )


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _type(target: str) -> type[np.generic]:
    return np.int64 if target.endswith("num_batches_tracked") else np.float32


def _ones(shape: Shape) -> NDArray[np.float32]:
    """1 as complex numbers (..., 2), (re, im)."""
    ones = np.zeros(shape, np.float32)
    ones[..., 0] = 1
    return ones


def _real(array: NDArray[Any], target: str) -> NDArray[Any]:
    """The array; a complex one of modes as (..., 2), (re, im)."""
    if array.dtype.kind == "c" and target.endswith((".ssm.b", ".ssm.c")):
        return np.stack([array.real, array.imag], axis=-1)
    if array.dtype.kind not in "fiu":
        raise _MisfitError(f" is of type {array.dtype}; expected real numbers")
    return array


def _check_variance(array: NDArray[Any], target: str) -> None:
    """Raise :class:`_MisfitError` for variances of a norm that are none."""
    if target.endswith("running_var") and (array < 0).any():
        at = int(array.argmin())
        raise _MisfitError(f"[{at}] is {array[at]}; expected a variance, from 0 on")


def _stored(
    array: NDArray[Any],
    shape: Shape,
    kind: type[np.generic],
    change: tuple[str, Change] | None,
) -> tuple[NDArray[Any], float]:
    """The array in a place's shape and type, and the largest relative change that this made."""
    if _long_axes(array.shape) != _long_axes(shape):
        raise _MisfitError(f" has shape {array.shape}; expected {shape}")
    given = exact = array.astype(np.float64).reshape(shape)
    if change is not None:
        leaf, said = change
        exact = said.apply(leaf, given)
    with np.errstate(over="ignore", invalid="ignore"):
        stored = exact.astype(kind)
    sound = np.isfinite(exact) & np.isfinite(stored)
    if not sound.all():
        index = tuple(int(i) for i in np.argwhere(~sound)[0])
        expected = f"a finite number of {np.dtype(kind)}"
        if change is not None and abs(given[index]) <= np.finfo(np.float32).max:
            expected = f"one of which {change[0]} is {expected}"
        raise _MisfitError(f"{list(index)} is {given[index]}; expected {expected}")
    size = np.where(exact == 0, 1, np.abs(exact))
    return stored, float(np.max(np.abs(stored - exact) / size, initial=0))


def _long_axes(shape: Shape) -> Shape:
    """The axes that are longer than 1."""
    return tuple(n for n in shape if n != 1)
