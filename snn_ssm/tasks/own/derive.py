"""The configuration that fits a user's data, wherever the user did not set it.

    steps            those of the longest sample of any split
    columns          the names of a table's channels, as they stand
    classes          the names that the data have, or all labels of text in their order
    output           targets: values (of a step where they have three axes); labels: classes, or
                     labels of (B, L) ones, multi-label of (B, K) ones
    encode           levels of 8 bits of real values, which a board can be given; their range
    inputs           the channels; input_bits: the width of integers from 0 on, 0 for real values
    input_scale      1 / (2^bits - 1); of real values 1 / sqrt(mean square)
    dt_min, dt_max   0.8 / steps, and 100 times as much, 1 at most: as for 784 steps by default
    pooling          last where each step is answered
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from snn_ssm.config import Config, ModelConfig, TaskConfig, TrainingConfig, from_dict
from snn_ssm.tasks.base import DataError, Samples
from snn_ssm.tasks.own import folders
from snn_ssm.tasks.own.encoded import encoded, range_of
from snn_ssm.tasks.own.recordings import Recordings, by_name

_MOST_BITS = 16
_USUAL = 784  # the steps that the default of dt_min and dt_max is for

DERIVED = {
    "task": (
        "steps", "classes", "columns", "sample_rate", "encode", "encode_low", "encode_high",
        "event_sensor",
    ),
    "model": (
        "inputs", "classes", "output", "per_step", "input_bits", "input_scale", "dt_min", "dt_max",
        "pooling",
    ),
}


def derived(
    data: Path, table: Mapping[str, Mapping[str, Any]], given: Collection[str]
) -> dict[str, dict[str, Any]]:
    """``table``, a configuration's tables, with what follows from the data in ``data``.

    ``given``: the keys that the user set, such as ``model.inputs``: they stay. Raises
    :class:`DataError`.
    """
    paths = folders.splits(data)
    if "train" not in paths:
        raise DataError(
            f"{data} has no train.npz, nor another file or folder of the name train. Put one "
            "there, and one of the name test."
        )
    task, model = dict(table["task"]), dict(table["model"])
    reading = from_dict(TaskConfig, {**task, "steps": 1, "permutation": []}, "task")
    found = {split: folders.read_recordings(path, reading) for split, path in paths.items()}
    _set(task, "task", _of_task(found), given)
    found = {split: by_name(each, task["columns"]) for split, each in found.items()}
    if any(each.sensor for each in found.values()) and "task.event_sensor" not in given:
        task["event_sensor"] = [max(sizes) for sizes in zip(*(
            each.sensor for each in found.values()
        ), strict=True)]
        reading = replace(reading, event_sensor=tuple(task["event_sensor"]))
        found = {split: folders.read_recordings(path, reading) for split, path in paths.items()}
    integers = {"task.encode", "model.input_bits"} & set(given)
    if found["train"].inputs.dtype.kind == "f" and not integers:
        task["encode"] = "levels"
    if task["encode"] != "none":
        _set(task, "task", range_of(found["train"], task), given)
    reading = from_dict(TaskConfig, {**task, "steps": 1}, "task")
    found = {split: encoded(each, reading) for split, each in found.items()}
    _set(task, "task", {"steps": max(each.longest for each in found.values())}, given)
    _set(model, "model", _of_model(found["train"], task, model, given), given)
    if "model.pooling" not in given and (model["output"] == "labels" or model["per_step"]):
        model["pooling"] = "last"
    return {**{k: dict(v) for k, v in table.items()}, "task": task, "model": model}


def _set(
    table: dict[str, Any], name: str, changes: Mapping[str, Any], given: Collection[str]
) -> None:
    table.update({k: v for k, v in changes.items() if f"{name}.{k}" not in given})


def _of_task(found: Mapping[str, Recordings]) -> dict[str, Any]:
    rates = {split: each.sample_rate for split, each in found.items() if each.sample_rate}
    if len(set(rates.values())) > 1:
        listed = ", ".join(f"{rate:g} Hz of {split}" for split, rate in rates.items())
        raise DataError(
            f"the sample rates differ: {listed}. Resample the recordings to one rate."
        )
    names = {split: each.names for split, each in found.items() if each.names}
    if len(set(names.values())) > 1:
        listed = "; ".join(f"{split}: {', '.join(each)}" for split, each in names.items())
        raise DataError(f"the names differ: {listed}. Give all splits the same names.")
    train = found["train"]
    classes = next(iter(names.values()), ())
    if not classes and train.answers is not None and train.answers.dtype.kind == "U":
        classes = tuple(name for name in np.unique(train.answers).tolist() if name)
    return {
        "classes": list(classes),
        "columns": list(train.channels),
        "sample_rate": next(iter(rates.values()), 0.0),
    }


def _of_model(
    train: Recordings, task: Mapping[str, Any], model: Mapping[str, Any], given: Collection[str]
) -> dict[str, Any]:
    answers = train.answers
    if answers is None:
        raise DataError(
            f"{train.where} has neither labels nor targets; expected one of them, what is to be "
            "answered. Add it."
        )
    values = train.are_targets
    output = "values" if values else "classes"
    if not values and answers.ndim == 2:
        output = "labels" if answers.shape[1] == train.inputs.shape[-1] else "multi-label"
    output = str(model["output"]) if "model.output" in given else output
    if output in ("values", "multi-label"):
        count = answers.shape[1] if answers.ndim > 1 else 1
    else:
        count = len(task["classes"]) or _classes(train)
    steps = int(task["steps"])
    slowest = 0.8 / steps if steps != _USUAL else 1e-3
    return {
        "inputs": train.inputs.shape[1],
        "classes": count,
        "output": output,
        "per_step": values and answers.ndim == 3,
        **_encoding(train, model, given),
        "dt_min": slowest,
        "dt_max": min(100 * slowest, 1.0),
    }


def _classes(train: Recordings) -> int:
    answers = train.answers
    text = answers is None or answers.dtype.kind == "U"
    return 1 if text else int(np.asarray(answers).max()) + 1


def _encoding(
    train: Recordings, model: Mapping[str, Any], given: Collection[str]
) -> dict[str, Any]:
    inputs = train.inputs
    whole = inputs.dtype.kind in "bu" or (inputs.dtype.kind == "i" and inputs.min() >= 0)
    bits = max(int(inputs.max()).bit_length(), 1) if whole else 0
    bits = 0 if bits > _MOST_BITS else bits
    bits = int(model["input_bits"]) if "model.input_bits" in given else bits
    if bits:
        return {"input_bits": bits, "input_scale": 1 / (2**bits - 1)}
    size = float(np.sqrt(np.mean(np.square(inputs, dtype=np.float64))))
    return {"input_bits": 0, "input_scale": 1 / size if size else 1.0}


@dataclass(frozen=True)
class Own:
    """Whatever a user's files hold."""

    name: str = "own"
    classes: tuple[str, ...] = ()

    def config(self) -> Config:
        """What does not follow from the data."""
        return Config(
            task=TaskConfig(self.name),
            model=ModelConfig(surrogate="arctan", surrogate_slope=2.0),
            training=TrainingConfig(epochs=20, rate=5e-3),
        )

    def load(self, data: Path, split: str, task: TaskConfig) -> Samples:
        """Refused: where own files are, they are read before a task is asked."""
        raise DataError(
            f"{data} holds no samples of your own; expected train.npz and test.npz, or files or "
            "folders of these names. Put them there, or give another directory as --data."
        )

    def download(self, data: Path) -> None:
        """Nothing: own data come from nowhere else."""


OWN = Own()
