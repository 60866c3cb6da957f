"""Starts the command line: ``python -m snn_ssm``, and the console script ``snn-ssm``.

Nothing is imported before :func:`main` but Python's own: a user who interrupts a start that takes
half a second is told so, and not where.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys

_INTERRUPTED = 130  # as export.command.process has it, which takes long to load


def _load_export() -> None:
    """Load the ``export`` that stands beside this package, whatever else has the name.

    A user's own ``export.py`` comes first on the path where ``PYTHONPATH=.`` is set, or with
    ``python -m``; it would hide the package.
    """
    import importlib.util
    from pathlib import Path

    path = Path(__file__).resolve().parents[1] / "export" / "__init__.py"
    spec = importlib.util.spec_from_file_location("export", path)
    if "export" in sys.modules or spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["export"] = module
    spec.loader.exec_module(module)


def _open_streams() -> None:
    """Occupy what of the standard streams is closed (``2>&-``).

    Else the next file that is opened would have that number, and what a library writes to standard
    error would stand in it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode))


def _end_as_interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run one command of ``snn-ssm``; returns its exit status.

    SIGTERM, as schedulers send it, ends it as Ctrl-C does, so that nothing is left half done.
    """
    ended: list[int] = []
    atexit.register(_last, ended)  # what was registered first runs last
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _end_as_interrupted)
        _open_streams()
        _load_export()
        from export.command import main as run

        status = run()
    except KeyboardInterrupt:
        print("snn-ssm: interrupted", file=sys.stderr)
        status = _INTERRUPTED
    _keep(status)
    ended.append(status)
    return status


def _keep(status: int) -> None:
    """From now on there is nothing to interrupt: libraries are let go, which takes a while."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(status))


def _last(ended: list[int]) -> None:
    """At the very end: signals would otherwise end Python by their own number again.

    And Python ends itself by SIGINT wherever one came while a string was executed, as dataclasses
    do when they are made, although it was caught.
    """
    if ended == [_INTERRUPTED]:
        os._exit(_INTERRUPTED)
    for number in (signal.SIGINT, signal.SIGTERM) if ended else ():
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
