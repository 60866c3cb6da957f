"""Runs a board job: chunk by chunk, each chunk's result whole on disk before the next begins.

Called by a job's ``run.py`` after it has checked the files. In ``out`` stand, for the samples
``start`` to ``stop``, ``samples-START-STOP.safetensors`` and, written after it,
``samples-START-STOP.json`` with its SHA-256 (see :mod:`export.job.results`), and beside them, where
Neo is installed, ``samples-START-STOP.mat`` for the user (see :mod:`export.samples.neo_files`).
``summary.json`` adds the chunks up.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from export.description.network import Network
from export.description.storage import load_network
from export.fixed_point.simulation import make_plan
from export.job.board import configured
from export.job.inputs import INPUTS, Given, read_given
from export.job.parts import Part, alone, part_of, run_in_processes
from export.job.results import (
    CALIBRATION,
    SCHEMA,
    SIMULATORS,
    Chunk,
    JobError,
    gaps,
    read_chunks,
    recorded,
    scores_in,
    simulator,
)
from export.job.settings import board_settings
from export.pynn.registry import board_backend
from export.pynn.spinnaker import SpinnakerBackend
from export.samples.answers import Counted, decide
from export.samples.neo_files import block_bytes, to_block
from export.samples.readout import logits, needed_membranes
from export.samples.recording import Recording
from export.verification.contract import versions
from pynn_models.errors import SnnSsmError, printable
from snn_ssm.files import FileError, remove_leftovers, sha256, write_atomic
from snn_ssm.npz import read_arrays

SUMMARY_FILE = "summary.json"
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
        given = self._samples()
        self._prepare()
        with alone(self.out, self.part):
            return self._run_missing(network, given, size)

    def _run_missing(self, network: Network, given: Given, size: int) -> int:
        has_neo = _has_neo()
        answers = Counted.of(network)
        chunks = self._whole_chunks(network, given, answers)
        missing = gaps(chunks, len(given.inputs))
        if self.part is not None:
            missing = self.part.of(missing, len(given.inputs))
        for start, stop in _pieces(missing, size):
            part = given.take(slice(start, stop))
            own = Counted.of(network)
            chunk = self._run_chunk(network, part, start, has_neo, own)
            answers.counts = answers.counts + own.counts
            chunks.append(chunk)
            self._summarise(chunks, answers)
            said = own.headline() if chunk.correct is None else f"{chunk.correct} correct"
            print(
                f"samples {start} to {stop - 1} of {len(given.inputs)}: {said}, "
                f"{chunk.seconds:.1f} s",
                flush=True,
            )
        self._summarise(chunks, answers)
        return sum(stop - start for start, stop in missing)

    def _samples(self) -> Given:
        path = self.bundle / INPUTS
        try:
            return read_given(path)
        except (OSError, ValueError) as error:
            raise JobError(f"{path} cannot be read ({error}). Make the job anew.") from error

    def _whole_chunks(self, network: Network, given: Given, answers: Counted) -> list[Chunk]:
        """The chunks that need not be run again, what they count counted anew."""
        chunks, broken = read_chunks(self.out)
        for chunk in chunks[:1]:
            self._check_same_job(chunk)
        whole = []
        for chunk in chunks:
            part = slice(chunk.start, chunk.stop)
            try:
                recording = recorded(self.out, chunk, network)
            except SnnSsmError as error:
                broken[self.out / f"{chunk.name}.json"] = str(error)
                continue
            found = _counts(network, given.take(part), recording, answers)
            whole.append(replace(chunk, **found))
        for path, reason in broken.items():
            print(printable(f"not whole, runs again: {path.name}: {reason}"), flush=True)
            path.unlink()  # else it would be found again beside what replaces it
        return whole

    def _prepare(self) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.out)
            with tempfile.TemporaryFile(dir=self.out):
                pass
        except OSError as error:
            raise JobError(
                f"no results can be written to {self.out}: {error.strerror}. Give a directory "
                "that you may write to: --out DIR."
            ) from error

    def _check_same_job(self, chunk: Chunk) -> None:
        keys = ("network_sha256", "inputs_sha256", "samples")
        mine = (
            self.simulator, *(self.manifest[key] for key in keys), self._calibration_digest(),
        )
        whats = (
            "simulator", "network (SHA-256)", "inputs (SHA-256)", "number of samples",
            "calibration (SHA-256)",
        )
        for what, found, expected in zip(whats, chunk.identity, mine, strict=True):
            if found != expected:
                raise JobError(
                    f"{self.out} holds results of another job: their {what} is {found}, this "
                    f"job's {expected}. Give another directory with --out, or remove this one."
                )

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

    def _run_chunk(
        self,
        network: Network,
        given: Given,
        start: int,
        has_neo: bool,
        answers: Counted,
    ) -> Chunk:
        begun = time.perf_counter()
        inputs = given.inputs
        recording = _execute(self, network, inputs)
        seconds = time.perf_counter() - begun
        scores = None
        if not network.linear_readout:
            scores = logits(network, inputs, recording, given.lengths)
        kept = Recording(recording.backend, recording.timestep, recording.spikes, logits=scores)
        data = kept.packed()
        stop = start + len(inputs)
        digests = {key: self.manifest[key] for key in ("network_sha256", "inputs_sha256")}
        chunk = Chunk(
            schema=SCHEMA,
            simulator=self.simulator,
            **digests,
            samples=self.manifest["samples"],
            start=start,
            stop=stop,
            sha256=sha256(data),
            seconds=seconds,
            calibration_sha256=self._calibration_digest(),
            **_counts(network, given, kept, answers),
        )
        self._write(chunk.file, data)
        if has_neo:
            block = to_block(kept, start=start, stop=stop, **digests)
            self._write(f"{chunk.name}.mat", block_bytes(block))
        self._write(f"{chunk.name}.json", chunk.packed())
        return chunk

    def _write(self, name: str, data: bytes) -> None:
        try:
            write_atomic(self.out / name, data)
        except FileError as error:
            raise JobError(
                f"{error} Make room or give another --out; the finished samples in a directory are "
                "kept and not run again."
            ) from error

    def _summarise(self, chunks: Sequence[Chunk], answers: Counted) -> None:
        chunks = sorted(chunks, key=lambda chunk: chunk.start)
        done = sum(chunk.stop - chunk.start for chunk in chunks)
        missing = gaps(chunks, self.manifest["samples"])
        summary = {
            "schema": SCHEMA,
            "simulator": self.simulator,
            "complete": not missing,
            "samples": self.manifest["samples"],
            "samples_done": done,
            "missing": missing,
            "accuracy": None,
            **answers.metrics(),
            "spikes": {
                layer: sum(chunk.spikes[layer] for chunk in chunks)
                for layer in (chunks[0].spikes if chunks else ())
            },
            "seconds": sum(chunk.seconds for chunk in chunks),
            "network_sha256": self.manifest["network_sha256"],
            "inputs_sha256": self.manifest["inputs_sha256"],
            "files": {chunk.file: chunk.sha256 for chunk in chunks},
            "versions": {**versions(), "snn-ssm": self.manifest["snn_ssm"]},
            "platform": platform.platform(),
        }
        self._write(SUMMARY_FILE, json.dumps(summary, indent=1).encode())


def _pieces(ranges: Sequence[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    for start, stop in ranges:
        for at in range(start, stop, size):
            yield at, min(at + size, stop)


def _counts(
    network: Network, given: Given, recording: Recording, answers: Counted
) -> dict[str, Any]:
    """What of a :class:`Chunk` follows from what was recorded; its answers are counted, too."""
    scores = scores_in(network, given.inputs, recording, given.lengths)
    answers.add(scores, given.labels, given.lengths)
    predictions = decide(network, scores)
    correct = None
    if not (network.readout.answers.real or network.readout.each_step):
        hits = predictions == given.labels
        correct = int((hits.all(axis=1) if hits.ndim > 1 else hits).sum())
    return {
        "correct": correct,
        "predictions": predictions.tolist(),
        "spikes": {layer: int(s.sum()) for layer, s in recording.spikes.items()},
    }


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
