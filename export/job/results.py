"""What a board job leaves behind: chunks of samples, and their comparison with the reference.

A chunk is two files, ``samples-START-STOP.safetensors`` (an ``export.Recording``) and, written
after it, ``samples-START-STOP.json``, an ``export.job.chunk.Chunk`` with the SHA-256 of the first
and of its own content. One without the other, or one that is not the one that was hashed, is no
result. What follows from the spikes is computed from the spikes again: a chunk's own counts are not
believed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from export.job.chunk import (
    SIMULATORS,
    Chunk,
    Identity,
    JobError,
    inputs_digest,
    network_digest,
    unpacked,
)
from export.samples.readout import logits
from export.samples.recording import Recording
from export.verification.contract import Runner, Verification, samples_at_once
from pynn_models.errors import SnnSsmError
from snn_ssm.files import read_bytes, sha256
from snn_ssm.npz import read_arrays
from snn_ssm.reading import LARGEST_TEXT

_REFERENCES = {
    "spiNNaker": "spinnaker-software",
    "spinnaker-software": "spinnaker-software",
    "spinnaker2-software": "spinnaker2-software",
}
CALIBRATION = "calibration.npz"


def read_chunks(results: Path) -> tuple[list[Chunk], dict[Path, str]]:
    """The whole chunks of a results directory, in order, and what is wrong with the others.

    Raises :class:`JobError` where two chunks are of different jobs or overlap.
    """
    chunks: list[Chunk] = []
    broken = {}
    for path in sorted(Path(results).glob("samples-*.json")):
        try:
            chunk = unpacked(read_bytes(path, "result", LARGEST_TEXT), path.stem)
            found = sha256(read_bytes(path.with_name(chunk.file), "result"))
        except (ValueError, TypeError, SnnSsmError) as error:
            broken[path] = str(error)
            continue
        if found != chunk.sha256:
            broken[path] = f"the SHA-256 of {chunk.file} is {found}, expected {chunk.sha256}"
            continue
        if chunks:
            _check_beside(chunk, chunks, results)
        chunks.append(chunk)
    return chunks, broken


def _check_beside(chunk: Chunk, before: Sequence[Chunk], results: Path) -> None:
    """Raise :class:`JobError` unless a chunk is of the same run as those before it, and after them.
    """
    first, last = before[0], before[-1]
    for what, found, expected in _differing(chunk.identity, first.identity):
        raise JobError(
            f"{results} holds results of two jobs: {chunk.file} does not go with {first.file}, its "
            f"{what} is {found}, not {expected}. Keep the results of one job and one simulator in "
            "a directory."
        )
    if chunk.start < last.stop:
        raise JobError(
            f"{results} holds the samples {chunk.start} to {min(chunk.stop, last.stop) - 1} twice, "
            f"in {last.file} and {chunk.file}; expected each once. Remove one of the two, with its "
            "JSON file."
        )


def _differing(found: Identity, expected: Identity) -> list[tuple[str, Any, Any]]:
    """What two runs do not share: in words, and both values."""
    words = (
        "simulator", "network (SHA-256)", "inputs (SHA-256)", "number of samples",
        "calibration (SHA-256)",
    )
    pairs = zip(words, found, expected, strict=True)
    return [(what, a, b) for what, a, b in pairs if a != b]


def check_identity(found: Identity, expected: Identity, results: Path) -> None:
    """Raise :class:`JobError` unless a directory's results are of the run ``expected``."""
    for what, theirs, ours in _differing(found, expected):
        raise JobError(
            f"{results} holds results of another job: their {what} is {theirs}, this "
            f"one's {ours}. Give another directory with --out, or remove this one."
        )


def recorded(results: Path, chunk: Chunk, network: Network) -> Recording:
    """The recording of a chunk, if it is one of this network; raises :class:`JobError`.

    Of a network whose classes the spikes do not give it holds the logits, (B, classes).
    """
    path = Path(results) / chunk.file
    recording = Recording.load(path)
    size = chunk.stop - chunk.start
    expected = {p.name: (size, network.steps, p.size, p.levels > 1) for p in network.layers}
    found = {
        name: (*spikes.shape, spikes.dtype == np.uint8) for name, spikes in recording.spikes.items()
    }
    if found != expected or recording.timestep != network.timestep:
        raise JobError(
            f"{path} has spikes of {found} (samples, steps, neurons, whether counts) at "
            f"{recording.timestep} ms; the network has {expected} at {network.timestep} ms. Run "
            "the job again."
        )
    if network.linear_readout:
        return recording
    classes = network.population(network.readout.population).size
    shape = (size, *((network.steps,) if network.readout.each_step else ()), classes)
    scores = recording.logits
    if scores is None or scores.shape != shape or not np.isfinite(scores).all():
        raise JobError(
            f"{path} has no logits of {size} samples and {classes} classes, which the spikes of "
            "this network do not give. Run the job again."
        )
    return recording


def scores_in(
    network: Network, inputs: NDArray[Any], recording: Recording,
    lengths: NDArray[np.int64] | None,
) -> FloatArray:
    """The scores (B, K), or (B, L, K), that a job's recording of ``inputs`` (B, C, L) stands for.

    Those in it are believed only where spikes do not give them.
    """
    given = None if network.linear_readout else recording.logits
    return logits(network, inputs, recording, lengths) if given is None else given


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
    by = chunks[0].simulator if chunks else "software"
    return _REFERENCES.get(by, "software")


class _Replay:
    """A runner that answers with what was recorded, without membranes."""

    recording: Recording

    def __call__(self, samples: NDArray[Any], membranes: Collection[str]) -> Recording:
        return self.recording


def verify_results(
    directory: Path,
    network: Network,
    inputs: NDArray[Any],
    labels: NDArray[Any],
    results: Path,
    runners: Mapping[str, Runner],
    *,
    calibration: NDArray[Any] | None = None,
    lengths: NDArray[np.int64] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Compare a results directory with ``runners``, the first of them the reference.

    ``network`` is the one stored in ``directory``; ``inputs`` and ``labels`` begin with the job's
    samples; ``calibration``: the samples that the reference's scalings are for.
    Returns what :func:`export.verification.verify` does, for the samples that came back, and
    ``missing``, the ranges (start, stop) that did not, and ``broken``, which files do not count.
    Raises :class:`JobError` for no results, or results of another network or other samples.
    """
    chunks, broken = read_chunks(results)
    check_results(chunks, broken, directory, inputs, results)
    first = chunks[0]
    _check_calibration(first, calibration, results)
    replay, name = _Replay(), SIMULATORS.get(first.simulator, first.simulator)
    name = "recording" if name in runners else name
    verification = Verification(network, {**runners, name: replay})
    order: list[int] = []
    size = samples_at_once(network)
    for chunk in chunks:
        recording = recorded(results, chunk, network)
        for at in range(chunk.start, chunk.stop, size):
            stop = min(at + size, chunk.stop)
            part = slice(at - chunk.start, stop - chunk.start)
            replay.recording = _part(name, network, recording, part)
            verification.add(
                inputs[at:stop], labels[at:stop], None if lengths is None else lengths[at:stop]
            )
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


def _part(name: str, network: Network, recording: Recording, part: slice) -> Recording:
    """Some samples of what a job recorded, as a run of the backend ``name``."""
    spikes = {layer: values[part] for layer, values in recording.spikes.items()}
    scores: FloatArray | None = None
    if not network.linear_readout and recording.logits is not None:
        scores = recording.logits[part]
    return Recording(name, recording.timestep, spikes, logits=scores)


def read_calibration(path: Path | None) -> NDArray[Any] | None:
    """The samples of a job's ``calibration.npz``; raises :class:`JobError` for what holds none."""
    if path is None:
        return None
    try:
        return read_arrays(Path(path), ("inputs",))["inputs"]
    except (OSError, ValueError) as error:
        raise JobError(
            f"{path} cannot be read as a job's {CALIBRATION} ({error}). Give that file."
        ) from error


def _check_calibration(chunk: Chunk, given: NDArray[Any] | None, results: Path) -> None:
    digest = None if given is None else inputs_digest(given)
    if chunk.simulator == "spiNNaker" and chunk.calibration_sha256 != digest:
        raise JobError(
            f"{results} was run with scalings for {_scaled_for(chunk.calibration_sha256)}, the "
            f"reference has them for {_scaled_for(digest)}. Give the job's own {CALIBRATION} as "
            "--calibration, or none where it has none."
        )


def _scaled_for(digest: str | None) -> str:
    return "all inputs" if digest is None else f"samples of SHA-256 {digest}"


def check_results(
    chunks: Sequence[Chunk], broken: Mapping[Path, str], directory: Path, inputs: NDArray[Any],
    results: Path,
) -> None:
    """Raise :class:`JobError` for no results, or results of another network or other samples.

    ``chunks`` and ``broken`` are what :func:`read_chunks` found.
    """
    if not chunks:
        raise JobError(
            f"{results} holds no whole result; found "
            f"{'; '.join(broken.values()) or 'no samples-*.json'}. "
            "Name the directory that run.py, or --chunk, wrote, with all its files."
        )
    chunk = chunks[0]
    expected = network_digest(directory)
    if chunk.network_sha256 != expected:
        raise JobError(
            f"{results} holds results of another network: its SHA-256 is {chunk.network_sha256}, "
            f"that of {directory} is {expected}. Name the network that was run."
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
