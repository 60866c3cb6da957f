"""Events of an AEDAT 4 file (iniVation's cameras), by the package ``aedat``.

A file is read in a process of its own: a damaged one can end the package's process. That process is
``python -m snn_ssm.tasks.own.aedat FILE``, which writes the events as an ``.npy`` to its output.
"""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
from pathlib import Path

import numpy as np

from snn_ssm.reading import open_regular
from snn_ssm.tasks.base import DataError
from snn_ssm.tasks.own.events import Events, to_events

_PATIENCE = 600  # seconds a file
_TYPE = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")])


def read_aedat(path: Path) -> Events:
    """The events of all streams; raises :class:`DataError`."""
    if importlib.util.find_spec("aedat") is None:
        raise DataError(
            f"{path} needs the package aedat, which is not installed. Install it: pip install "
            "'snn-ssm[events]'."
        )
    try:
        open_regular(path).close()
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(path)], capture_output=True, timeout=_PATIENCE,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{path} cannot be read ({error}). Fetch the file again.") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise DataError(
            f"{path} cannot be read as AEDAT 4 ({' '.join(said) or 'its reader ended'}); expected "
            "a file of events as cameras of iniVation record it. Fetch the file again, or save its "
            "events as an .npz."
        )
    events = np.load(io.BytesIO(done.stdout), allow_pickle=False)
    return to_events(str(path), *(events[name] for name in _TYPE.names or ()))


def main(path: str) -> None:
    """Decode a file to standard output."""
    import aedat

    parts = [packet["events"] for packet in aedat.Decoder(path) if "events" in packet]
    whole = np.zeros(sum(map(len, parts)), _TYPE)
    for name, field in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
        if parts:
            whole[name] = np.concatenate([part[field] for part in parts])
    np.save(sys.stdout.buffer, whole)


if __name__ == "__main__":
    main(sys.argv[1])
