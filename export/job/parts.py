"""Samples shared out: over the tasks of an array job, or over processes of one machine.

Part i of n, counted from 1, of S samples is those from ``(i - 1) S // n`` to ``i S // n``. Parts
write their chunks into one directory, each under a lock of its own; whoever runs the whole job
waits for nobody, and is refused while a part is under way. Jobs do so, and ``--chunk``.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from export.job.chunk import JobError

_LOCK = ".lock"
_MOST = 2**20  # parts

Range = tuple[int, int]


@dataclass(frozen=True)
class Part:
    """Part ``number`` of ``count``."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, ranges: Sequence[Range], samples: int) -> list[Range]:
        """What of some ranges (start, stop) of ``samples`` belongs to this part."""
        first = (self.number - 1) * samples // self.count
        last = self.number * samples // self.count
        found = [(max(start, first), min(stop, last)) for start, stop in ranges]
        return [(start, stop) for start, stop in found if start < stop]


def part_of(text: str, option: str = "--part") -> Part:
    """``I/N``, which was given with ``option``; raises :class:`JobError`."""
    found = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", text)
    part = Part(int(found[1]), int(found[2])) if found else None
    if part is None or not 1 <= part.number <= part.count <= _MOST:
        raise JobError(
            f"{option} is {text!r}; expected I/N, the I-th of N parts, 1 to N. An array job gives "
            "its task's number as I."
        )
    return part


@contextlib.contextmanager
def alone(out: Path, part: Part | None) -> Iterator[None]:
    """Raise :class:`JobError` where another process writes the same samples to this directory.

    By locks that the system releases when their process ends, however it ends.
    """
    with contextlib.ExitStack() as stack:
        locks = [(_LOCK, fcntl.LOCK_EX)]
        if part is not None:
            own = f"{_LOCK}-{part.number}-of-{part.count}"
            locks = [(_LOCK, fcntl.LOCK_SH), (own, fcntl.LOCK_EX)]
        for name, kind in locks:
            lock = stack.enter_context((out / name).open("a"))
            try:
                fcntl.flock(lock, kind | fcntl.LOCK_NB)
            except OSError as error:
                raise JobError(
                    f"another run writes its results to {out}. Wait for it, or give another "
                    "directory with --out."
                ) from error
        yield


@contextlib.contextmanager
def in_turn(out: Path) -> Iterator[None]:
    """Wait until no other process does what is done in this context in this directory."""
    with (out / f"{_LOCK}-summary").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_in_processes(bundle: Path, simulator: str, out: Path, chunk: int, count: int) -> int:
    """A part of the job in each of so many processes: the first exit status that is not 0.

    Ctrl-C is handed on to them, and each keeps what it has done.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, str(bundle / "run.py"), simulator, "--out", str(out),
             "--chunk", str(chunk), "--part", str(Part(i, count))]
        )
        for i in range(1, count + 1)
    ]  # fmt: skip
    try:
        return next((code for code in [p.wait() for p in processes] if code), 0)
    except BaseException:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in processes:
            process.wait()
        raise
