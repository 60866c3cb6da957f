"""Where a board job finds its machine: the configuration that sPyNNaker reads.

sPyNNaker reads ``.spynnaker.cfg`` from the home or configuration directory, and a ``spynnaker.cfg``
in the current directory overrides it. A job runs in its results directory, where its reports go,
too. The job's own ``spynnaker.cfg``, beside ``run.py``, is then all that counts. Without one, the
environment's is used, as a job system (EBRAINS) sets it up.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from export.boards.config import CONFIGURATION, use_configuration
from export.job.chunk import JobError
from export.job.machine import check_configuration


@contextlib.contextmanager
def configured(bundle: Path, out: Path) -> Iterator[None]:
    """Run in ``out``, with the configuration of the job, else the environment's.

    Raises :class:`JobError` where there is none, and as :func:`check_configuration` does.
    """
    directory, environment = Path.cwd(), dict(os.environ)
    own = bundle / CONFIGURATION
    given = [p for p in (own, directory / CONFIGURATION) if p.is_file()]
    found = given[:1] if own.is_file() else [*given, *_of_the_user()]
    if not found:
        raise JobError(
            f"sPyNNaker has no configuration. Copy {own}.template to {own} and fill in the "
            "machine."
        )
    check_configuration(found)
    for path in given[:1]:
        shutil.copyfile(path, out / CONFIGURATION)
    os.chdir(out)
    try:
        if own.is_file():
            use_configuration(out, os.environ)
        yield
    finally:
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)


def _of_the_user() -> list[Path]:
    settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    places = (Path.home(), Path(settings), Path("/etc/xdg"))
    return [path for p in places if (path := p / f".{CONFIGURATION}").is_file()]
