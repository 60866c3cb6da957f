"""Samples run chunk by chunk, each chunk's result whole on disk before the next begins.

In ``out`` stand, for the samples ``start`` to ``stop``, ``samples-START-STOP.safetensors`` and,
written after it, ``samples-START-STOP.json`` with its SHA-256 (see :mod:`export.job.chunk`), and
beside them, if asked for, ``samples-START-STOP.mat`` for the user
(see :mod:`export.samples.neo_files`). ``summary.json`` adds the chunks up.
"""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from export.description.network import Network
from export.job.chunk import SCHEMA, Chunk, Identity, JobError
from export.job.inputs import Given
from export.job.parts import Part, Range, alone, in_turn
from export.job.results import check_identity, gaps, read_chunks, recorded, scores_in
from export.samples.answers import Counted, decide
from export.samples.neo_files import block_bytes, to_block
from export.samples.readout import logits
from export.samples.recording import Recording
from export.verification.contract import versions
from pynn_models.errors import SnnSsmError, printable
from pynn_models.ranks import world
from snn_ssm.files import FileError, remove_leftovers, sha256, write_atomic

SUMMARY_FILE = "summary.json"


@dataclass(frozen=True)
class Recorder:
    """What runs the samples ``given`` by ``execute``, and where the results go.

    ``identity``: what all chunks of the run share; ``version``: of this package, as the summary
    has it; ``part``: of the samples, None for all; ``neo``: write Neo's files, too; ``say``: is
    told what was run.
    """

    network: Network
    given: Given
    execute: Callable[[NDArray[Any]], Recording]
    out: Path
    identity: Identity
    version: str
    part: Part | None = None
    neo: bool = False
    say: Callable[[str], None] = print

    def run(self, size: int) -> int:
        """Run what is missing, ``size`` samples at a time; returns how many were run.

        Raises :class:`JobError` for a directory that cannot be written to, that holds results of
        another run, or to which another process writes these samples. Of the processes of an MPI
        run all execute, and the first writes.
        """
        if not world().is_first:
            pieces = world().first(list[Range])
            for start, stop in pieces:
                self.execute(self.given.inputs[start:stop])
            return sum(stop - start for start, stop in pieces)
        self._prepare()
        with alone(self.out, self.part):
            return self._run_missing(size)

    def _run_missing(self, size: int) -> int:
        given, answers = self.given, Counted.of(self.network)
        chunks, broken = self._whole_chunks(answers)
        for path, reason in broken.items():
            self.say(printable(f"not whole, runs again: {path.name}: {reason}"))
            path.unlink()  # else it would be found again beside what replaces it
        missing = gaps(chunks, len(given.inputs))
        if self.part is not None:
            missing = self.part.of(missing, len(given.inputs))
        pieces = list(_pieces(missing, size))
        for start, stop in world().first(lambda: pieces):
            own = Counted.of(self.network)
            chunk = self._run_chunk(given.take(slice(start, stop)), start, own)
            answers.merge(own.counts)
            chunks.append(chunk)
            self._summarise(chunks, answers)
            self.say(
                f"samples {start} to {stop - 1} of {len(given.inputs)}: "
                f"{self._said(chunk, own)}{chunk.seconds:.1f} s"
            )
        if self.part is None:
            self._summarise(chunks, answers)
        else:
            self._summarise_all()
        return sum(stop - start for start, stop in missing)

    def _summarise_all(self) -> None:
        """Of what other processes have run meanwhile, too: the last of them sees every part."""
        with in_turn(self.out):
            answers = Counted.of(self.network)
            self._summarise(self._whole_chunks(answers)[0], answers)

    def _said(self, chunk: Chunk, answers: Counted) -> str:
        """How good the answers of a chunk are, in words; nothing where that is not known."""
        if self.given.labels is None:
            return ""
        return f"{answers.headline() if chunk.correct is None else f'{chunk.correct} correct'}, "

    def _whole_chunks(self, answers: Counted) -> tuple[list[Chunk], dict[Path, str]]:
        """The chunks that need not be run again, what they count counted anew; and what is wrong
        with the others."""
        chunks, broken = read_chunks(self.out)
        for chunk in chunks[:1]:
            check_identity(chunk.identity, self.identity, self.out)
        whole = []
        for chunk in chunks:
            part = slice(chunk.start, chunk.stop)
            try:
                recording = recorded(self.out, chunk, self.network)
            except SnnSsmError as error:
                broken[self.out / f"{chunk.name}.json"] = str(error)
                continue
            found = _counts(self.network, self.given.take(part), recording, answers)
            whole.append(replace(chunk, **found))
        return whole, broken

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

    def _run_chunk(self, given: Given, start: int, answers: Counted) -> Chunk:
        begun = time.perf_counter()
        recording = self.execute(given.inputs)
        seconds = time.perf_counter() - begun
        scores = None
        if not self.network.linear_readout:
            scores = logits(self.network, given.inputs, recording, given.lengths)
        kept = Recording(recording.backend, recording.timestep, recording.spikes, logits=scores)
        data = kept.packed()
        stop = start + len(given.inputs)
        chunk = Chunk(
            schema=SCHEMA,
            simulator=self.identity.simulator,
            network_sha256=self.identity.network_sha256,
            inputs_sha256=self.identity.inputs_sha256,
            samples=self.identity.samples,
            start=start,
            stop=stop,
            sha256=sha256(data),
            seconds=seconds,
            calibration_sha256=self.identity.calibration_sha256,
            **_counts(self.network, given, kept, answers),
        )
        self._write(chunk.file, data)
        if self.neo:
            block = to_block(
                kept, start=start, stop=stop, network_sha256=self.identity.network_sha256,
                inputs_sha256=self.identity.inputs_sha256,
            )
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
        samples = self.identity.samples
        missing = gaps(chunks, samples)
        summary = {
            "schema": SCHEMA,
            "simulator": self.identity.simulator,
            "complete": not missing,
            "samples": samples,
            "samples_done": sum(chunk.stop - chunk.start for chunk in chunks),
            "missing": missing,
            "accuracy": None,
            **({} if self.given.labels is None else answers.metrics()),
            "spikes": {
                layer: sum(chunk.spikes[layer] for chunk in chunks)
                for layer in (chunks[0].spikes if chunks else ())
            },
            "seconds": sum(chunk.seconds for chunk in chunks),
            "network_sha256": self.identity.network_sha256,
            "inputs_sha256": self.identity.inputs_sha256,
            "files": {chunk.file: chunk.sha256 for chunk in chunks},
            "versions": {**versions(), "snn-ssm": self.version},
            "platform": platform.platform(),
        }
        self._write(SUMMARY_FILE, json.dumps(summary, indent=1).encode())


def _pieces(ranges: Sequence[Range], size: int) -> Iterator[Range]:
    for start, stop in ranges:
        for at in range(start, stop, size):
            yield at, min(at + size, stop)


def _counts(
    network: Network, given: Given, recording: Recording, answers: Counted
) -> dict[str, Any]:
    """What of a :class:`Chunk` follows from what was recorded; its answers are counted, too."""
    scores = scores_in(network, given.inputs, recording, given.lengths)
    predictions = decide(network, scores)
    correct = None
    if given.labels is not None:
        answers.add(scores, given.labels, given.lengths)
        if not (network.readout.answers.real or network.readout.each_step):
            hits = predictions == given.labels
            correct = int((hits.all(axis=1) if hits.ndim > 1 else hits).sum())
    return {
        "correct": correct,
        "predictions": predictions.tolist(),
        "spikes": {layer: int(s.sum()) for layer, s in recording.spikes.items()},
    }

