"""The table ``[task]``: what is learned."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from snn_ssm.config.checks import LARGEST, LONGEST, one_of, require

ENCODE = ("none", "levels", "crossings", "delta", "cochlea")  # what is made of own recordings
POLARITIES = ("both", "merged", "on")


@dataclass(frozen=True)
class TaskConfig:
    """What is learned: the task's name, the length of one sample and the fixed pixel order.

    ``permutation`` is empty for the natural order; otherwise step k of a sample is element
    ``permutation[k]`` of the natural order. ``train_samples``: the first so many training samples
    in the task's fixed order; 0: all. ``valid_samples``: so many of these are held out to validate
    with; 0: none, or the data's own. ``valid_fold = "I/K"``: in their place part I of K, for
    cross-validation, in which the test samples are not read. Both hold out whole groups, such as
    patients, where the data have any. ``stride``: read every so many steps of that order only;
    ``steps`` are those that are read. ``classes``: the names of classes, labels or values; empty:
    the task's own, or numbers. ``sample_rate``: of the recordings, in Hz; 0: not known.

    Of the task ``own`` alone: ``columns`` are the names of the channels of tables, in the order in
    which they are read wherever they stand; empty: as they stand. ``encode`` makes integers or
    spikes of real values (:mod:`snn_ssm.tasks.encoders`), with ``encode_size`` (bits, thresholds or
    bands), ``encode_low`` and ``encode_high`` (the range of each channel, or frequencies in Hz) and
    ``encode_hop`` (recorded steps a step). Events are counted into steps of ``event_bin`` µs, on
    ``event_sensor`` (width, height) of which ``event_pool`` neighbours in a row are one, of
    ``event_polarity`` ``both`` apart, ``merged``, or ``on`` ones only.
    """

    name: str = "smnist"
    steps: int = 784
    permutation: tuple[int, ...] = ()
    train_samples: int = 0
    valid_samples: int = 0
    valid_fold: str = ""
    stride: int = 1
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    sample_rate: float = 0.0
    encode: str = "none"
    encode_size: int = 8
    encode_low: tuple[float, ...] = ()
    encode_high: tuple[float, ...] = ()
    encode_hop: int = 1
    event_bin: float = 1000.0
    event_sensor: tuple[int, ...] = ()
    event_pool: int = 1
    event_polarity: str = "both"

    def __post_init__(self) -> None:
        require(0 < self.steps <= LONGEST, "task.steps", self.steps,
                 f"a positive number of steps, up to {LONGEST}")
        require(self.train_samples >= 0, "task.train_samples", self.train_samples,
                 "0 (all) or a positive number")
        require(self.valid_samples >= 0, "task.valid_samples", self.valid_samples,
                 "0 (none) or a positive number")
        fold = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})", self.valid_fold)
        require(
            not self.valid_fold or (fold is not None and int(fold[1]) <= int(fold[2]) >= 2),
            "task.valid_fold", self.valid_fold,
            "empty (none), or I/K with 1 <= I <= K, K >= 2, such as 1/4",
        )
        require(not (self.valid_fold and self.valid_samples), "task.valid_fold", self.valid_fold,
                 f"it alone, or task.valid_samples = {self.valid_samples} alone")
        require(0 < self.stride <= LONGEST, "task.stride", self.stride, "a positive integer")
        for key in ("classes", "columns"):
            names = getattr(self, key)
            for i, name in enumerate(names):
                require(name != "" and name.isprintable(), f"task.{key}[{i}]", name,
                         "a name of printable characters")
                require(name not in names[:i], f"task.{key}[{i}]", name,
                         "a name of its own, and it stands twice")
        require(self.name == "own" or not self.columns, "task.columns", self.columns,
                 "none for a task other than 'own'")
        require(0 <= self.sample_rate < math.inf, "task.sample_rate", self.sample_rate,
                 "0 (not known) or a number of Hz")
        self._check_encoding()
        require(self.name != "own" or not self.permutation, "task.permutation",
                 f"{len(self.permutation)} entries", "none for the task 'own'")
        if self.permutation:
            last = (self.steps - 1) * self.stride  # the last step that is read
            count = len(self.permutation)
            require(
                last < count <= last + self.stride
                and sorted(self.permutation) == list(range(count)),
                "task.permutation",
                f"{count} entries",
                f"each of 0..{self.steps - 1} once" if self.stride == 1 else
                f"each index once, of {self.steps} x {self.stride} steps",
            )

    def _check_encoding(self) -> None:
        one_of("task.encode", self.encode, ENCODE)
        require(self.name == "own" or self.encode == "none", "task.encode", self.encode,
                 "'none' for a task other than 'own'")
        require(1 <= self.encode_size <= 256, "task.encode_size", self.encode_size, "1 to 256")
        require(self.encode_size <= 16 or self.encode not in ("levels", "delta"),
                 "task.encode_size", self.encode_size, f"1 to 16 with encode = {self.encode!r}")
        ends = list(zip(self.encode_low, self.encode_high, strict=False))
        require(
            len(self.encode_low) == len(self.encode_high)
            and all(-math.inf < low < high < math.inf for low, high in ends)
            and (self.encode != "cochlea" or all(low > 0 for low in self.encode_low)),
            "task.encode_low, encode_high", (self.encode_low, self.encode_high),
            "as many of each, low < high, of frequencies low > 0",
        )
        require(0 < self.encode_hop <= LONGEST, "task.encode_hop", self.encode_hop,
                 "a positive number of steps")
        require(0 < self.event_bin < math.inf, "task.event_bin", self.event_bin,
                 "a positive number of microseconds")
        require(len(self.event_sensor) in (0, 2) and all(
            0 < n <= LARGEST for n in self.event_sensor
        ), "task.event_sensor", self.event_sensor, "width and height, or none: those of the events")
        require(0 < self.event_pool <= LARGEST, "task.event_pool", self.event_pool,
                 "a positive number of pixels")
        one_of("task.event_polarity", self.event_polarity, POLARITIES)
