"""Samples shared out over processes: the same recordings, in the same order."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import Network
from export.samples.recording import Recording, concatenate
from export.verification.backends.kind import Options, UnknownBackendError
from export.verification.contract import Runner
from pynn_models.errors import SnnSsmError

Make = Callable[[Network, Options], Runner]

# Of a process of the pool: what makes its runner, and that once it is made.
_made: list[Any] = []


class ProcessesError(SnnSsmError):
    """A number of processes that cannot be, or a process that ended on its own."""


def check_processes(processes: int, backend: str, shared: bool) -> None:
    """Raise :class:`ProcessesError` below 1, ``UnknownBackendError`` where samples are not shared.
    """
    if processes < 1:
        raise ProcessesError(
            f"--processes is {processes}; expected at least 1. Give the number of cores."
        )
    if processes > 1 and not shared:
        raise UnknownBackendError(
            f"--processes is {processes}, and the backend {backend} runs on one board; expected 1. "
            "Leave it out."
        )


def shared_out(make: Make, network: Network, options: Options) -> Runner:
    """A runner that gives ``options.processes`` processes each a run of samples, in order.

    Each process makes the backend's runner once. What ``make(network, options)`` raises there is
    raised here; of a process that ends on its own, :class:`ProcessesError`. Ctrl-C ends them all.
    """
    count = options.processes
    pool = ProcessPoolExecutor(
        count, multiprocessing.get_context("spawn"), _start, (make, network, options)
    )

    def run(samples: NDArray[Any], membranes: Collection[str]) -> Recording:
        parts = [part for part in np.array_split(samples, count) if len(part) > 0]
        try:
            with _undisturbed():
                done = [pool.submit(_run, part, list(membranes)) for part in parts]
            return concatenate([future.result() for future in done])
        except BrokenProcessPool as error:
            raise ProcessesError(
                f"one of {count} processes ended while it ran {len(samples)} samples; it may have "
                "run out of memory. Use fewer --processes."
            ) from error
        except BaseException:
            _end(pool)
            raise

    return run


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """While processes start, Ctrl-C waits: one that is half started would die with a traceback.

    They themselves never hear it, also while they import: a blocked signal stays so in a child.
    """
    if threading.current_thread() is not threading.main_thread():  # where no signal is handled
        yield
        return
    heard: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(n, lambda number, frame: heard.append(number)) for n in numbers]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if heard:
        raise KeyboardInterrupt


def _start(make: Make, network: Network, options: Options) -> None:
    """In a process of the pool; the runner is made with the first samples, where an error of it
    can be told."""
    os.environ.setdefault("PYNEST_QUIET", "1")
    warnings.filterwarnings("ignore", module=r"(nest|pyNN)\.")
    _made[:] = [make, network, options]


def _run(samples: NDArray[Any], membranes: list[str]) -> Recording:
    if len(_made) > 1:
        make, network, options = _made
        _made[:] = [make(network, options)]
    found: Recording = _made[0](samples, membranes)
    return found


def _end(pool: ProcessPoolExecutor) -> None:
    """At once: what was under way is of no use."""
    pool.shutdown(wait=False, cancel_futures=True)
    for child in multiprocessing.active_children():
        child.terminate()
