"""A user's arrays in an ``.npz``: no pickle, and nothing in it that is not understood.

``inputs`` (B, C, L), with ``lengths`` (B,) where samples are filled up; or ragged ``inputs``
(steps, C) or (steps,) and ``offsets`` (B + 1,): sample i is ``inputs[offsets[i]:offsets[i + 1]]``.
``labels``: (B,) of classes, integers or text; (B, L), or (steps,) of ragged samples, of a class a
step, -1 where there is none; (B, K) of labels that hold. ``targets``: (B,), (B, K), or at each step
(B, K, L), ragged (steps,) or (steps, K). ``names``: what classes, labels or values are called;
``sample_rate``: steps a second; ``groups`` (B,), integers or text: what is held out together, such
as a patient; ``encoded``, a text: that the inputs were encoded already, and by what
(:mod:`snn_ssm.tasks.own.encoded`). In place of inputs ``events``, of
:mod:`snn_ssm.tasks.own.events`.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_ssm.config import TaskConfig
from snn_ssm.reading import open_regular
from snn_ssm.tasks.base import DataError, read_npz
from snn_ssm.tasks.own.events import binned, from_fields
from snn_ssm.tasks.own.recordings import Recordings, by_channel, check_recordings, filled_up

EVENTS = "events"
_OPTIONAL = ("labels", "targets", "lengths", "offsets", "names", "sample_rate", "groups", "encoded")


def read_arrays(path: Path, task: TaskConfig) -> Recordings:
    """The recordings of an ``.npz`` file as the module says; raises :class:`DataError`."""
    if EVENTS in members(path):
        return _of_events(path, task)
    expected = {
        "inputs": "(B, C, L) and labels (B,), or targets, and where they are needed lengths, "
        "offsets, names, sample_rate, groups",
    }
    stored = read_npz(path, "samples", expected, strict=True, optional=_OPTIONAL)
    both = [name for name in ("labels", "targets") if name in stored]
    if len(both) == 2:
        raise DataError(
            f"{path} holds labels and targets; expected one of them, what is to be answered. Leave "
            "out the other."
        )
    answers = _answers(path, both[0], stored[both[0]]) if both else None
    names, rate, groups = _names(path, stored), _rate(path, stored), stored.get("groups")
    if "offsets" in stored:
        if "lengths" in stored:
            raise DataError(
                f"{path} holds offsets and lengths; expected one of them, where samples end. Leave "
                "out lengths."
            )
        found = _ragged(path, stored, answers, names, rate)
    else:
        found = Recordings(path, stored["inputs"], stored.get("lengths"), answers, names, rate)
    return check_recordings(replace(found, groups=groups, encoded=_encoded(path, stored)))


def members(path: Path) -> set[str]:
    """The names of a file's arrays; none where it cannot be read, which its reader will say."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return set()


def _of_events(path: Path, task: TaskConfig) -> Recordings:
    expected = {EVENTS: "(E,) of t, x, y, p", "offsets": "(B + 1,)"}
    stored = read_npz(
        path, "events", expected, strict=True, optional=("labels", "names", "groups"), fields=True
    )
    answers = _answers(path, "labels", stored["labels"]) if "labels" in stored else None
    samples = from_fields(path, stored[EVENTS], stored["offsets"])
    return check_recordings(replace(
        binned(samples, task, path), answers=answers, names=_names(path, stored),
        groups=stored.get("groups"),
    ))


def _answers(path: Path, name: str, values: NDArray[Any]) -> NDArray[Any]:
    if name == "targets":
        if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
            raise DataError(
                f"{path}: targets are of {values.dtype}; expected real numbers. Make the file "
                "again."
            )
        return values.astype(np.float64)
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if values.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: labels are integers from 0 on, but they are {values.dtype}. Make the file "
            "again."
        )
    return values


def _names(path: Path, stored: dict[str, NDArray[Any]]) -> tuple[str, ...]:
    names = stored.get("names", np.array([], "U1"))
    texts = tuple(str(name) for name in names.ravel())
    fit = all(text and text.isprintable() for text in texts) and len(set(texts)) == len(texts)
    if names.dtype.kind != "U" or names.ndim != 1 or not fit:
        raise DataError(
            f"{path}: names are of {names.dtype} and shape {names.shape}; expected texts that "
            "differ, (K,), one a class, label or value. Make the file again."
        )
    return texts


def _rate(path: Path, stored: dict[str, NDArray[Any]]) -> float:
    if "sample_rate" not in stored:
        return 0.0
    rate = stored["sample_rate"]
    value = float(rate.ravel()[0]) if rate.size == 1 and rate.dtype.kind in "iuf" else math.nan
    if not 0 < value < math.inf:
        raise DataError(
            f"{path}: sample_rate is of {rate.dtype} and shape {rate.shape}; expected one positive "
            "number, the steps a second. Correct it, or leave it out."
        )
    return value


def _encoded(path: Path, stored: dict[str, NDArray[Any]]) -> str:
    said = stored.get("encoded", np.array(""))
    if said.dtype.kind != "U" or said.size != 1:
        raise DataError(
            f"{path}: encoded is of {said.dtype} and shape {said.shape}; expected one text, which "
            "snn-ssm writes beside samples that it has encoded. Leave it out beside recordings."
        )
    return str(said.ravel()[0])


def _ragged(
    path: Path, stored: dict[str, NDArray[Any]], answers: NDArray[Any] | None,
    names: tuple[str, ...], rate: float,
) -> Recordings:
    inputs, offsets = stored["inputs"], stored["offsets"]
    whole = offsets.ndim == 1 and len(offsets) > 1 and offsets.dtype.kind in "iu"
    edges = offsets.astype(np.int64) if whole else offsets
    rises = whole and edges[0] == 0 and bool((np.diff(edges) > 0).all())
    if inputs.ndim not in (1, 2) or not rises or edges[-1] != len(inputs):
        raise DataError(
            f"{path}: inputs have shape {inputs.shape} and offsets, of {offsets.dtype}, "
            f"{offsets.shape}; expected (steps, C), and offsets (B + 1,) that rise from 0 to the "
            "number of steps. Make the file again."
        )
    pieces = np.split(inputs, edges[1:-1])
    values, lengths = filled_up(pieces, path)
    if answers is not None and len(answers) == len(inputs) and len(inputs) != len(pieces):
        steps, _ = filled_up(np.split(answers, edges[1:-1]), path)  # (B, L) or (B, L, K)
        if answers.dtype.kind == "f":
            answers = by_channel(steps)
        elif answers.ndim == 1:
            answers = _unlabelled(steps, lengths)
        else:
            raise DataError(
                f"{path}: labels have shape {answers.shape}; expected one a sample or one a step. "
                "Make the file again."
            )
    return Recordings(path, by_channel(values), lengths, answers, names, rate)


def _unlabelled(steps: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[Any]:
    """Labels (B, L), -1 behind the ends of their samples; of text, as it is."""
    if steps.dtype.kind == "U":
        return steps
    filled = steps.astype(np.int64)
    filled[np.arange(steps.shape[1]) >= lengths[:, None]] = -1
    return filled
