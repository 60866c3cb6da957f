"""What a board job leaves behind: chunks of samples, and their comparison with the reference.

A chunk is two files, ``samples-START-STOP.mat`` (Neo, see :mod:`export.samples.neo_files`) and,
written after it, ``samples-START-STOP.json``, a :class:`Chunk` with the SHA-256 of the
first. One without the other, or one that is not the one that was hashed, is no result.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from export.description.storage import NETWORK_FILE
from export.samples.neo_files import from_block, load_block
from export.samples.recording import Recording
from export.verification.contract import Runner, Verification, samples_at_once
from pynn_models.errors import SnnSsmError
from snn_ssm.files import read_bytes, sha256

SCHEMA = 1
SIMULATORS = {"spiNNaker": "spinnaker", "nest": "nest", "software": "software"}


class JobError(SnnSsmError):
    """A job that cannot be run here, or results that do not belong to it."""


@dataclass(frozen=True)
class Chunk:
    """The result of the samples ``start`` to ``stop`` (not included), as its JSON file has it."""

    schema: int
    simulator: str
    network_sha256: str
    inputs_sha256: str
    samples: int
    start: int
    stop: int
    file: str
    sha256: str
    correct: int
    predictions: list[int]
    spikes: dict[str, int]
    seconds: float

    @property
    def identity(self) -> tuple[str, str, str]:
        """What all chunks of one run share."""
        return self.simulator, self.network_sha256, self.inputs_sha256


def network_digest(directory: Path) -> str:
    """The SHA-256 of a network: of its description, which holds that of its arrays."""
    return sha256(read_bytes(Path(directory) / NETWORK_FILE, "network"))


def inputs_digest(inputs: NDArray[Any]) -> str:
    """The SHA-256 of samples: of dtype, shape and elements in C order."""
    digest = hashlib.sha256(f"{inputs.dtype.str} {inputs.shape} ".encode())
    digest.update(np.ascontiguousarray(inputs).tobytes())
    return digest.hexdigest()


def read_chunks(results: Path) -> tuple[list[Chunk], dict[Path, str]]:
    """The whole chunks of a results directory, in order, and what is wrong with the others.

    Raises :class:`JobError` where two chunks are of different jobs or overlap.
    """
    chunks: list[Chunk] = []
    broken = {}
    for path in sorted(Path(results).glob("samples-*.json")):
        try:
            chunk = Chunk(**json.loads(read_bytes(path, "result")))
            if chunk.schema != SCHEMA or chunk.simulator not in SIMULATORS:
                raise ValueError(f"schema {chunk.schema!r}, simulator {chunk.simulator!r}")
            found = sha256(read_bytes(path.with_name(chunk.file), "result"))
        except (ValueError, TypeError, SnnSsmError) as error:
            broken[path] = str(error)
            continue
        if found != chunk.sha256:
            broken[path] = f"the SHA-256 of {chunk.file} is {found}, expected {chunk.sha256}"
            continue
        if chunks and (chunk.identity != chunks[0].identity or chunk.start < chunks[-1].stop):
            raise JobError(
                f"{results} holds results of two jobs: {path.name} does not go with "
                f"{chunks[0].file}. Keep the results of one job and one simulator in a directory."
            )
        chunks.append(chunk)
    return chunks, broken


def gaps(chunks: Sequence[Chunk], samples: int) -> list[tuple[int, int]]:
    """The ranges (start, stop) of 0 to ``samples`` that no chunk covers."""
    edges = [(0, 0), *((c.start, c.stop) for c in chunks), (samples, samples)]
    return [(a[1], b[0]) for a, b in itertools.pairwise(edges) if a[1] < b[0]]


def simulator(name: str) -> str:
    """The name in :data:`SIMULATORS`, whatever its case: platforms differ in it."""
    for known in SIMULATORS:
        if name.lower() == known.lower():
            return known
    raise JobError(f"unknown simulator {name!r}; expected one of {', '.join(SIMULATORS)}.")


def reference(results: Path) -> str:
    """The backend whose arithmetic a results directory should agree with."""
    chunks, _ = read_chunks(results)
    on_board = bool(chunks) and chunks[0].simulator == "spiNNaker"
    return "spinnaker-software" if on_board else "software"


class _Replay:
    """A runner that answers with what was recorded, without membranes."""

    recording: Recording

    def __call__(self, samples: NDArray[Any], membranes: Collection[str]) -> Recording:
        return self.recording


def verify_results(
    directory: Path,
    network: Network,
    inputs: NDArray[Any],
    labels: NDArray[np.int64],
    results: Path,
    runners: Mapping[str, Runner],
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Compare a results directory with ``runners``, the first of them the reference.

    ``network`` is the one stored in ``directory``; ``inputs`` and ``labels`` begin with the job's
    samples. Returns what :func:`export.verification.verify` does, for the samples that came
    back, and ``missing``, the ranges (start, stop) that did not, and ``broken``, which files do
    not count.
    Raises :class:`JobError` for no results, or results of another network or other samples.
    """
    chunks, broken = read_chunks(results)
    if not chunks:
        raise JobError(
            f"{results} holds no whole result; found "
            f"{'; '.join(broken.values()) or 'no samples-*.json'}. "
            "Name the directory that run.py wrote, with all its files."
        )
    first = chunks[0]
    _check(first, directory, inputs, results)
    replay, name = _Replay(), SIMULATORS[first.simulator]
    name = "recording" if name in runners else name
    verification = Verification(network, {**runners, name: replay})
    order: list[int] = []
    size = samples_at_once(network)
    for chunk in chunks:
        recording = from_block(load_block(Path(results) / chunk.file))
        for at in range(chunk.start, chunk.stop, size):
            stop = min(at + size, chunk.stop)
            part = {
                layer: spikes[at - chunk.start : stop - chunk.start]
                for layer, spikes in recording.spikes.items()
            }
            scores = _scores(network, chunk, slice(at - chunk.start, stop - chunk.start))
            replay.recording = Recording(name, recording.timestep, part, logits=scores)
            verification.add(inputs[at:stop], labels[at:stop])
            order += range(at, stop)
            progress(stop - at)
    result = verification.result()
    for found in result["backends"].values():
        divergence = found["first_divergence"]
        if divergence:
            divergence["sample"] = order[divergence["sample"]]
    result["missing"] = gaps(chunks, first.samples)
    result["broken"] = {path.name: reason for path, reason in broken.items()}
    return result


def _scores(network: Network, chunk: Chunk, part: slice) -> FloatArray | None:
    """The classes that a job of a gated network found, as scores, (B, classes); else None.

    Spikes alone do not give them then, and a block holds no membranes. Raises :class:`JobError`.
    """
    if network.linear_readout:
        return None
    classes = network.population(network.readout.population).size
    found = np.array(chunk.predictions)
    if found.shape != (chunk.stop - chunk.start,) or not np.isin(found, np.arange(classes)).all():
        raise JobError(
            f"the predictions beside {chunk.file} are not one class of {classes} a sample. Copy "
            "the results again, or run the job again."
        )
    return np.eye(classes)[found[part].astype(np.int64)]


def _check(chunk: Chunk, directory: Path, inputs: NDArray[Any], results: Path) -> None:
    expected = network_digest(directory)
    if chunk.network_sha256 != expected:
        raise JobError(
            f"{results} holds results of another network: its SHA-256 is {chunk.network_sha256}, "
            f"that of {directory} is {expected}. Name the network that the job was made from."
        )
    if len(inputs) < chunk.samples:
        raise JobError(
            f"{results} is of {chunk.samples} samples; there are {len(inputs)} to compare with. "
            "Give the job's own inputs.npz as --data, and no smaller --samples."
        )
    digest = inputs_digest(inputs[: chunk.samples])
    if chunk.inputs_sha256 != digest:
        raise JobError(
            f"{results} holds results of other samples: their SHA-256 is {chunk.inputs_sha256}, "
            f"that of the first {chunk.samples} given is {digest}. Give the job's own inputs.npz "
            "as --data."
        )
