"""Timing shared by the benchmarks: interleaved repetitions, ratios, a target and its verdict.

Only ratios within one run mean anything on a machine with other work to do. Each repetition runs
every candidate once, and both the wall clock and the processor time (all threads of the process)
are taken: the first is what a user waits for, the second what does not grow with others' load.

Import this module first: it makes OpenMP's threads wait without spinning, and NEST start without
its banner; the libraries read both when they are loaded.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("PYNEST_QUIET", "1")


class Elapsed(NamedTuple):
    """Seconds of one run: the wall clock's, and the processors'."""

    wall: float
    cpu: float


@dataclass
class Times:
    """The runs of one candidate."""

    runs: list[Elapsed] = field(default_factory=list)

    @property
    def wall(self) -> list[float]:
        """Wall clock seconds of each run."""
        return [run.wall for run in self.runs]

    @property
    def cpu(self) -> list[float]:
        """Processor seconds of each run."""
        return [run.cpu for run in self.runs]


def stopwatch(work: Callable[[], Any]) -> Elapsed:
    """How long ``work`` takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Elapsed(time.perf_counter() - wall, time.process_time() - cpu)


def interleave(candidates: Mapping[str, Callable[[], Elapsed]], repetitions: int) -> list[Times]:
    """Each candidate once, then each again, ...; a candidate times the part that counts itself.

    Prints a line a candidate and returns their times in the order given.
    """
    times = [Times() for _ in candidates]
    for _ in range(repetitions):
        for taken, candidate in zip(times, candidates.values(), strict=True):
            taken.runs.append(candidate())
    width = max(map(len, candidates))
    for name, taken in zip(candidates, times, strict=True):
        print(
            f"  {name:{width}}  wall min {min(taken.wall):9.4f} s, median {median(taken.wall):9.4f}"
            f" s;  cpu min {min(taken.cpu):9.4f} s, median {median(taken.cpu):9.4f} s"
        )
    return times


def ratio(above: Times, below: Times) -> float:
    """The ratio of the least processor times; prints those of the medians and wall clock too."""
    least = min(above.cpu) / min(below.cpu)
    print(
        f"  ratio of cpu minima {least:.2f}, medians {median(above.cpu) / median(below.cpu):.2f};"
        f"  of wall minima {min(above.wall) / min(below.wall):.2f},"
        f" medians {median(above.wall) / median(below.wall):.2f}"
    )
    return least


def verdict(what: str, value: float, target: float, unit: str, *, at_least: bool = True) -> None:
    """Print a value beside its target, and whether it is met."""
    met = value >= target if at_least else value <= target
    sign = ">=" if at_least else "<="
    print(f"  => {what}: {value:.4g}{unit}, target {sign} {target:g}{unit}: "
          f"{'met' if met else 'MISSED'}")


def require(right: bool, what: str) -> None:
    """End the program with status 1 if a result is wrong: its speed would mean nothing."""
    if not right:
        print(f"WRONG RESULT: {what}")
        sys.exit(1)
    print(f"  same results: {what}")


def machine() -> str:
    """The processor, its cores, and what else they have to do."""
    model = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(x.split(":")[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        pass
    load = os.getloadavg()[0]
    return f"{model}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}"
