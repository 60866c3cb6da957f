"""Runs a board job: chunk by chunk, each chunk's result whole on disk before the next begins.

Called by a job's ``run.py`` after it has checked the files. What stands in ``out``:
:mod:`export.job.recorder`.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from export.description.network import Network
from export.description.storage import load_network
from export.fixed_point.simulation import make_plan
from export.job.board import configured
from export.job.chunk import SIMULATORS, Identity, JobError
from export.job.inputs import INPUTS, Given, read_given
from export.job.parts import Part, part_of, run_in_processes
from export.job.recorder import SUMMARY_FILE, Recorder
from export.job.results import CALIBRATION, simulator
from export.job.settings import board_settings
from export.pynn.registry import board_backend
from export.pynn.spinnaker import SpinnakerBackend
from export.samples.readout import needed_membranes
from export.samples.recording import Recording
from pynn_models.errors import SnnSsmError, printable
from snn_ssm.npz import read_arrays

_CHUNK = 50
_INSTALL = "python -m pip install -r requirements.txt"


@dataclass(frozen=True)
class Job:
    """A job on disk and where its results go."""

    bundle: Path
    manifest: Mapping[str, Any]
    simulator: str
    out: Path
    part: Part | None = None

    def run(self, size: int) -> int:
        """Run what is missing, ``size`` samples at a time; returns how many were run."""
        network = load_network(self.bundle / "network")
        return Recorder(
            network,
            self._samples(),
            lambda inputs: _execute(self, network, inputs),
            self.out,
            Identity(
                self.simulator,
                self.manifest["network_sha256"],
                self.manifest["inputs_sha256"],
                self.manifest["samples"],
                self._calibration_digest(),
            ),
            self.manifest["snn_ssm"],
            self.part,
            neo=_has_neo(),
            say=lambda text: print(text, flush=True),
        ).run(size)

    def _samples(self) -> Given:
        path = self.bundle / INPUTS
        try:
            return read_given(path)
        except (OSError, ValueError) as error:
            raise JobError(f"{path} cannot be read ({error}). Make the job anew.") from error

    def _calibration_digest(self) -> str | None:
        """Of the samples that this run's scalings are for; None for all inputs, or no scalings."""
        if self.simulator != "spiNNaker":
            return None
        return board_settings(self.manifest).calibration_sha256

    def board(self, network: Network) -> SpinnakerBackend:
        """How the network runs on a board, as the job was made."""
        settings = board_settings(self.manifest)
        calibration = None
        if settings.calibration_sha256 is not None:
            calibration = self._arrays(CALIBRATION, ("inputs",))["inputs"]
        return board_backend(
            network, settings.neurons_per_core, make_plan(network, calibration),
            settings.time_scale_factor,
        )

    def _arrays(self, name: str, arrays: tuple[str, ...]) -> dict[str, NDArray[Any]]:
        path = self.bundle / name
        try:
            return read_arrays(path, arrays)
        except (OSError, ValueError) as error:
            raise JobError(f"{path} cannot be read ({error}). Make the job anew.") from error


def _has_neo() -> bool:
    """Whether Neo's files can be written, too; says so where they cannot."""
    for name in ("neo", "scipy"):
        try:
            __import__(name)
        except ImportError as error:
            print(f"run.py: no .mat files for Neo: {error}. The results need none.", flush=True)
            return False
    return True


def _execute(job: Job, network: Network, inputs: NDArray[Any]) -> Recording:
    membranes = needed_membranes(network)
    if job.simulator == "software":
        from export.software import simulation as software

        return software.run(network, inputs, membranes=membranes)
    from export.pynn import built as pynn

    name = SIMULATORS[job.simulator]
    if job.simulator == "spiNNaker":
        backend = job.board(network)
        with configured(job.bundle, job.out):
            return pynn.run(name, network, inputs, membranes=membranes, backend=backend)
    return pynn.run(name, network, inputs, membranes=membranes)


def main(bundle: Path, manifest: Mapping[str, Any], arguments: Sequence[str]) -> int:
    """What ``run.py`` calls; 0 done, 2 refused (the reason on stderr), 130 interrupted."""
    parser = argparse.ArgumentParser(prog="run.py", description="Run this board job.")
    parser.add_argument("simulator", help=", ".join(SIMULATORS))
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: results/SIMULATOR beside run.py"
    )
    parser.add_argument(
        "--chunk", type=int, default=_CHUNK, metavar="N",
        help="samples in one run of the simulator (default: %(default)s)",
    )
    parser.add_argument(
        "--part", metavar="I/N",
        help="the I-th of N parts of the samples only, as a task of an array job",
    )
    parser.add_argument(
        "--processes", type=int, default=1, metavar="P",
        help="share the samples out over so many processes (not on a board)",
    )
    args = parser.parse_args(arguments)
    os.environ["MPLBACKEND"] = "agg"  # a notebook's need not be there
    os.environ.setdefault("PYNEST_QUIET", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    warnings.filterwarnings("ignore", module=r"(nest|pyNN)\.")
    try:
        if args.chunk < 1:
            raise JobError(f"--chunk is {args.chunk}; expected at least 1.")
        name = simulator(args.simulator)
        part = None if args.part is None else part_of(args.part)
        _check_processes(args.processes, name, part)
        out = args.out.absolute() if args.out else bundle / "results" / name
        if args.processes > 1:
            failed = run_in_processes(bundle, name, out, args.chunk, args.processes)
            if failed:
                return failed
        count = Job(bundle, manifest, name, out, part).run(args.chunk)
    except SnnSsmError as error:
        print(printable(f"run.py: {type(error).__name__}: {error}"), file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"run.py: {name} needs what is not installed: {error}. {_INSTALL}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("run.py: interrupted; started again, it goes on from here", file=sys.stderr)
        return 130
    said = "complete" if part is None else f"part {part} complete"
    by = f" by {args.processes} processes" if args.processes > 1 else f", {count} samples run now"
    print(f"{out / SUMMARY_FILE}: {said}{by}")
    return 0


def _check_processes(processes: int, name: str, part: Part | None) -> None:
    if processes < 1:
        raise JobError(f"--processes is {processes}; expected at least 1.")
    if processes > 1 and (name == "spiNNaker" or part is not None):
        why = "it is a part of the job already" if part is not None else "a job has one board"
        raise JobError(f"--processes is {processes}, and {why}. Leave it out.")
