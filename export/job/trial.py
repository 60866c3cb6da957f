"""Tries a job on an emulated board, and compares its results with SpiNNaker's integers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.boards import emulated
from export.boards.config import EMULATED, Board, write_configuration
from export.description.network import Network
from export.job.chunk import JobError
from export.job.results import reference, verify_results

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from snn_ssm.tasks import Samples

_LINES_SHOWN = 3


def try_job(
    job: Path, directory: Path, network: Network, samples: Samples,
    calibration: NDArray[Any] | None, time_scale_factor: int,
) -> dict[str, Any]:
    """Run a copy of ``job``, made of the network in ``directory``, on an emulated board.

    Returns what :func:`export.job.results.verify_results` finds against ``spinnaker-software``,
    with ``emulated``: what the board told. Raises :class:`JobError` if the job fails.
    """
    from export.verification.backends import runners

    board = Board(EMULATED, time_scale_factor=time_scale_factor)
    with tempfile.TemporaryDirectory(prefix="snn-ssm-") as temporary:
        copy = shutil.copytree(job, Path(temporary) / "job")
        with emulated.started(board) as (found, made):
            write_configuration(copy, found)
            done = subprocess.run(
                [sys.executable, os.fspath(copy / "run.py"), "spiNNaker"],
                cwd=temporary, capture_output=True, text=True, check=False,
            )  # fmt: skip
            told = {} if made is None else emulated.told(made)
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()[-_LINES_SHOWN:]
            raise JobError(
                f"the job ended with status {done.returncode} on an emulated board: "
                f"{' / '.join([*last, *told.get('errors', [])])}. Run it yourself on "
                f"'snn-ssm board' to see all that it says."
            )
        results = copy / "results" / "spiNNaker"
        compared, _ = runners([reference(results)], network, None, calibration)
        found_results = verify_results(
            directory, network, samples.inputs, samples.labels, results, compared,
            calibration=calibration, lengths=samples.lengths,
        )  # fmt: skip
    return found_results | {"emulated": told}
