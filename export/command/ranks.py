"""A command in every process of an MPI run: all work, one writes and prints, an error ends all."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

from export.command.common import BACKENDS, UsageError
from pynn_models.ranks import told_rank, world

_TOGETHER = ("run", "predict", "verify")
_GRACE = 1.0  # s: in which the first process tells of an error that all have


@contextlib.contextmanager
def one_voice() -> Iterator[None]:
    """What is printed here the first process alone prints."""
    if not told_rank():
        yield
        return
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def is_shared(args: argparse.Namespace) -> bool:
    """Whether ``mpiexec`` started the command, and its processes work together at it."""
    return told_rank() is not None and args.command in _TOGETHER


def in_step(args: argparse.Namespace, function: Callable[[argparse.Namespace], int]) -> int:
    """Run a command as one of several processes, of which the first has files to write, and prints.

    Where one ends with an error the first may have the same, and tells of it: the others wait a
    little before they do, and end all. Raises :class:`UsageError` for arguments that do not go
    together with several processes.
    """
    try:
        if world().size > 1:
            _check(args, world().size)
        if world().is_first:
            return function(args)
        args.out = args.json = None
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            return function(args)
    except BaseException:
        if told_rank():
            time.sleep(_GRACE)
        raise


def end_all(status: int) -> None:
    """End the other processes, where this one ended with an error."""
    if "mpi4py.MPI" in sys.modules:
        world().abort(status)


def _check(args: argparse.Namespace, size: int) -> None:
    if args.command != "verify":
        names = args.backend or "software"
    elif args.recording is None:
        names = args.backends or BACKENDS
    else:
        names = args.backends or "software"
    if "nest" not in [name.strip() for name in names.split(",")]:
        raise UsageError(
            f"mpiexec started {size} processes, and the backend {names} runs in one; expected "
            "nest, which shares its neurons out (for verify, among --backends). Start without "
            "mpiexec; --processes shares samples out."
        )
    if args.processes > 1:
        raise UsageError(
            f"--processes is {args.processes}, and mpiexec started {size} processes already; "
            "expected 1. Leave it out."
        )
