"""Recordings of real values as the integers or spikes that a configuration asks for.

A file that is written of such samples says so in an array ``encoded``, so that who reads it does
not encode them once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snn_ssm.config import TaskConfig
from snn_ssm.tasks.base import DataError
from snn_ssm.tasks.encoders import ENCODERS
from snn_ssm.tasks.own.recordings import Recordings, by_name, each_step

_LOW, _HIGH = 0.1, 99.9  # percent of the values below the ends of a range
_LOWEST = 50.0  # Hz of a cochlea


def encoding_of(task: TaskConfig) -> str:
    """The text that stands as ``encoded`` beside samples of the task: the keys that they were
    encoded by, as JSON; "" where they are the recordings themselves."""
    keys = ("stride", "encode", "encode_size", "encode_low", "encode_high", "encode_hop")
    recorded = task.encode == "none" and (task.name != "own" or task.stride == 1)
    return "" if recorded else json.dumps({key: getattr(task, key) for key in keys})


def encoded(found: Recordings, task: TaskConfig) -> Recordings:
    """Every ``task.stride``-th step of the task's own recordings, by ``task.encode``; what fills
    samples up becomes 0.

    Channels that have names are put in the order of ``task.columns``. What is encoded already stays
    as it is. Raises :class:`DataError` for what was encoded in another way, other channels,
    channels other than ranges, an unknown sample rate, answers at each of the steps that a hop
    takes together, and steps that a stride would lose.
    """
    if found.encoded:
        _check_encoded(found, task)
        return found
    found = by_name(found, task.columns)
    if task.name == "own" and task.stride > 1:
        found = _strided(found, task)
    if task.encode == "none":
        return found
    encoder = ENCODERS[task.encode]
    _check(found, task)
    values = encoder.encode(found.inputs.astype(np.float64), task)
    lengths = found.lengths
    if lengths is not None:
        lengths = -(-lengths // task.encode_hop)
        values = np.where(np.arange(values.shape[-1]) < lengths[:, None, None], values, 0)
    rate = found.sample_rate / task.encode_hop
    return replace(found, inputs=values.astype(values.dtype), lengths=lengths, sample_rate=rate)


def _strided(found: Recordings, task: TaskConfig) -> Recordings:
    together = {
        "task.event_bin": bool(found.sensor),
        "task.encode_hop": task.encode != "none" and ENCODERS[task.encode].hops,
    }
    for key in (key for key, holds in together.items() if holds):
        raise DataError(
            f"task.stride is {task.stride}, which leaves out steps of {found.where}; what they are "
            f"made of is taken together by {key}. Set task.stride = 1, and a larger {key}."
        )
    answers, steps = found.answers, found.inputs.shape[-1]
    if answers is not None and each_step(found) and answers.shape[-1] == steps:
        answers = answers[..., :: task.stride]
    lengths = found.lengths
    return replace(
        found, inputs=np.ascontiguousarray(found.inputs[..., :: task.stride]), answers=answers,
        lengths=None if lengths is None else -(-lengths // task.stride),
        sample_rate=found.sample_rate / task.stride,
    )


def _check_encoded(found: Recordings, task: TaskConfig) -> None:
    expected = encoding_of(task)
    if found.encoded != expected:
        raise DataError(
            f"{found.where} holds samples that were encoded by {found.encoded}; expected "
            f"{expected or 'recordings, or samples that were not'}. Give the recordings that they "
            "were made of, or the network that they were made for."
        )


def _check(found: Recordings, task: TaskConfig) -> None:
    encoder, channels = ENCODERS[task.encode], found.inputs.shape[1]
    expected = channels if encoder.ranged else 1
    if len(task.encode_low) != expected:
        raise DataError(
            f"{found.where} has {channels} channels, for which {task.encode!r} needs {expected} "
            f"low and high ends; task.encode_low and encode_high have {len(task.encode_low)}, "
            "which follow from the training samples where you leave them out. Give samples of the "
            "channels that were trained on, or correct these keys."
        )
    if task.encode_hop > 1 and not encoder.hops:
        raise DataError(
            f"task.encode_hop is {task.encode_hop}, and {task.encode!r} takes a step at a time. "
            "Set it to 1."
        )
    if task.encode_hop > 1 and each_step(found):
        raise DataError(
            f"{found.where} has an answer a step, and task.encode_hop = {task.encode_hop} takes "
            "several together. Set it to 1, or give an answer a sample."
        )
    if encoder.ranged:
        return
    if not task.sample_rate:
        raise DataError(
            f"{task.encode!r} needs the sample rate, and {found.where} has none. Add sample_rate "
            "to the data, or set task.sample_rate in Hz."
        )
    if task.encode_high[0] >= task.sample_rate / 2:
        raise DataError(
            f"task.encode_high is {task.encode_high[0]:g} Hz; expected less than half the sample "
            f"rate, {task.sample_rate / 2:g} Hz. Lower it."
        )


def range_of(train: Recordings, task: Mapping[str, Any]) -> dict[str, Any]:
    """``encode_low`` and ``encode_high`` of training recordings: of each channel the values that
    0.1 and 99.9 % of its own are below; of a cochlea 50 Hz and 0.4 of the sample rate."""
    if not ENCODERS[task["encode"]].ranged:
        high = max(0.4 * float(task["sample_rate"]), 2 * _LOWEST)
        return {"encode_low": [_LOWEST], "encode_high": [high]}
    inputs, lengths = train.inputs, train.lengths
    ends = []
    for c in range(inputs.shape[1]):
        values = inputs[:, c]
        if lengths is not None:
            values = values[np.arange(values.shape[-1]) < lengths[:, None]]
        low, high = np.percentile(values.astype(np.float64), [_LOW, _HIGH])
        ends.append((float(low), float(high) if high > low else float(low) + 1.0))
    lows, highs = zip(*ends, strict=True)
    return {"encode_low": list(lows), "encode_high": list(highs)}
