"""Runs this board job.

    python run.py spiNNaker|nest|software [--out DIR] [--chunk N]

From any directory. First it compares every file here with manifest.py; files that are not Python
and that a transfer left behind (EBRAINS's client uploads *.py only) are restored from
payload_*.py. Results go to results/SIMULATOR beside this file: Neo files of a chunk of samples
each, and summary.json. Started again, it runs the samples that have no whole result yet.

Until the check is done this file uses Python's own library only.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
AGAIN = "Copy the job again, or make it anew with 'snn-ssm job'."


class BundleError(Exception):
    """A file of the job is missing or altered."""


def load(name: str) -> Any:
    """A module of this directory, whatever the import path is."""
    spec = importlib.util.spec_from_file_location(f"job_{name}", HERE / f"{name}.py")
    try:
        if spec is None or spec.loader is None:
            raise ImportError(f"no loader for {name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except (OSError, ImportError, SyntaxError, ValueError) as error:
        raise BundleError(f"{HERE / name}.py cannot be read ({error}). {AGAIN}") from error
    return module


def check(files: Mapping[str, str]) -> list[str]:
    """Compare every file with its SHA-256; returns those, not Python, that are not there."""
    absent = []
    for name, expected in files.items():
        path = HERE / name
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            if path.suffix != ".py":
                absent.append(name)
                continue
            raise BundleError(
                f"{path} is missing; expected a file of SHA-256 {expected}. {AGAIN}"
            ) from None
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}. {AGAIN}") from error
        if found != expected:
            remedy = AGAIN
            if path.suffix != ".py":
                remedy = "Delete it: run.py then restores it from payload_*.py."
            raise BundleError(
                f"{path} was altered: its SHA-256 is {found}, expected {expected}. {remedy}"
            )
    return absent


def restore(names: list[str], files: Mapping[str, str]) -> None:
    """Write files from the archive in payload_*.py, whose own hashes were checked."""
    modules = sorted(name for name in files if name.startswith("payload_"))
    text = "".join(load(name.removesuffix(".py")).DATA for name in modules)
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(text))) as archive:
        for name in names:
            path = HERE / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".restored")
                with os.fdopen(handle, "wb") as stream:
                    stream.write(archive.read(name))
                os.replace(temporary, path)
            except OSError as error:
                raise BundleError(
                    f"{path} is missing and cannot be restored: {error.strerror}. Copy the job to "
                    "a directory that you may write to."
                ) from error
    check({name: files[name] for name in names})
    print(f"run.py: restored {len(names)} files from payload_*.py")


def main() -> int:
    """Check, restore, and hand over to the code of this job."""
    if sys.version_info < (3, 11):  # noqa: UP036 - another Python may be the one at hand
        print(f"run.py: needs Python 3.11 or later, not {sys.version.split()[0]}", file=sys.stderr)
        return 2
    sys.dont_write_bytecode = True
    try:
        manifest = load("manifest").MANIFEST
        absent = check(manifest["files"])
        if absent:
            restore(absent, manifest["files"])
    except BundleError as error:
        print(f"run.py: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    sys.path.insert(0, str(HERE / "code"))
    from export.job.runner import main as run

    return run(HERE, manifest, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
