"""Where a command's answers go: text, JSON, files and directories, of which none is overwritten.

A command that is not told ``--force`` refuses an output that exists, before it starts to work. With
``--force`` a directory is replaced only if nothing is in it but what such a command writes, and at
the end, so that a command that fails leaves it as it was.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import math
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pynn_models.errors import SnnSsmError
from snn_ssm.files import FileError, is_leftover, writable, write_atomic

STANDARD_OUTPUT = Path("-")
_LONGEST = 100  # characters of a directory's name in that of its replacement
_HERE, _TRADE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


class ExistsError(SnnSsmError):
    """An output that exists, and that the command was not told to replace, or must not."""


class Output:
    """Text to standard output and a result to ``--json``; text to standard error for ``--json -``.

    ``others``: the names of further arguments that are files to write. Raises :class:`ExistsError`
    and ``FileError`` when made, before the work.
    """

    def __init__(self, args: argparse.Namespace, *others: str) -> None:
        self._json: Path | None = args.json
        for path in (args.json, *(getattr(args, name) for name in others)):
            if path is not None and path != STANDARD_OUTPUT:
                if path.exists() and path.is_file() and not args.force:
                    raise ExistsError(
                        f"{path} exists; nothing was written. Name another file, or replace it "
                        "with --force."
                    )
                writable(path)

    def say(self, text: str) -> None:
        """A line or table for the reader."""
        print(text, file=sys.stderr if self._json == STANDARD_OUTPUT else sys.stdout)

    def result(self, result: Mapping[str, Any]) -> None:
        """The same for a program, if it was asked for."""
        text = json.dumps(_json(result), indent=1, allow_nan=False)
        if self._json == STANDARD_OUTPUT:
            print(text)
        elif self._json is not None:
            write_atomic(self._json, text.encode())


def _json(value: Any) -> Any:
    """Infinite and undefined numbers as null, which JSON has no others for."""
    if isinstance(value, Mapping):
        return {str(key): _json(found) for key, found in value.items()}
    if isinstance(value, list | tuple):
        return [_json(found) for found in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def directory(path: Path, what: str, own: tuple[str, ...], force: bool) -> Iterator[Path]:
    """Where to write a new directory: ``path``, or beside it where that is to be replaced.

    ``own``: patterns of the names that such a directory holds. Raises :class:`ExistsError`.
    """
    path = Path(path)
    if not (path.is_dir() and any(path.iterdir())):
        yield path
        return
    if not force:
        raise ExistsError(
            f"the {what} {path} exists; nothing was written. Name a new directory, or replace it "
            "with --force."
        )
    strange = [
        p.name for p in path.iterdir()
        if not is_leftover(p) and not any(fnmatch(p.name, name) for name in own)
    ]
    if strange or path.is_symlink() or path.is_mount():
        raise ExistsError(
            f"the {what} {path} holds {', '.join(sorted(strange)) or 'a link or a mount'}, which "
            "is none of its own files; it is not replaced. Name a new directory, or move that away."
        )
    new = path.with_name(f".{path.name[:_LONGEST]}.{secrets.token_hex(4)}.n")
    try:
        yield new
        try:
            _exchange(new, path)
        except OSError as error:
            raise FileError(f"cannot replace the {what} {path}: {error.strerror}.") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    """Let two directories trade places at once, so that whoever ends this loses neither."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        if not rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _TRADE):
            return
    except AttributeError:  # a C library without it
        pass
    between = one.with_suffix(".o")  # a file system without it
    os.rename(other, between)
    try:
        os.rename(one, other)
    except BaseException:
        if not other.exists():
            os.rename(between, other)
        raise
    os.rename(between, one)
