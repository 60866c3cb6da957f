"""A chunk of a run's samples, as its JSON file has it; and by what, and on what, it was run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.description.storage import NETWORK_FILE
from pynn_models.errors import SnnSsmError
from snn_ssm.files import read_bytes, sha256
from snn_ssm.reading import parse_json

SCHEMA = 2
SIMULATORS = {"spiNNaker": "spinnaker", "nest": "nest", "software": "software"}
# Backends whose runs are recorded in parts (``--chunk``); a board's are those of a job.
RECORDED = ("software", "nest", "brian2", "neuron", "spinnaker-software", "spinnaker2-software")
_SEAL = "json_sha256"  # of the content without it


class JobError(SnnSsmError):
    """A job that cannot be run here, or results that do not belong to it."""


class Identity(NamedTuple):
    """What all chunks of one run share: by what was run, and the SHA-256 of what."""

    simulator: str
    network_sha256: str
    inputs_sha256: str
    samples: int
    calibration_sha256: str | None = None


@dataclass(frozen=True)
class Chunk:
    """The result of the samples ``start`` to ``stop`` (not included), as its JSON file has it.

    ``correct``: how many samples are answered right, None where the answers are values or one a
    step; ``predictions``: the answers, a list a sample where there are several.
    """

    schema: int
    simulator: str
    network_sha256: str
    inputs_sha256: str
    samples: int
    start: int
    stop: int
    sha256: str
    correct: int | None
    predictions: list[Any]
    spikes: dict[str, int]
    seconds: float
    calibration_sha256: str | None = None

    @property
    def identity(self) -> Identity:
        """What all chunks of one run share."""
        return Identity(
            self.simulator, self.network_sha256, self.inputs_sha256, self.samples,
            self.calibration_sha256,
        )

    @property
    def name(self) -> str:
        """What the names of its files begin with."""
        return f"samples-{self.start:06d}-{self.stop:06d}"

    @property
    def file(self) -> str:
        """The name of the file with its spikes."""
        return f"{self.name}.safetensors"

    def packed(self) -> bytes:
        """The content of its JSON file."""
        content = asdict(self)
        return json.dumps(content | {_SEAL: _seal(content)}, indent=1).encode()


def _seal(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode())


def unpacked(data: bytes, stem: str) -> Chunk:
    """The chunk of a JSON file of that name; raises ``ValueError`` or ``TypeError``."""
    content = parse_json(data)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        schema = content.get("schema") if isinstance(content, dict) else None
        raise ValueError(f"schema {schema!r}, expected {SCHEMA}")
    if content.pop(_SEAL, None) != _seal(content):
        raise ValueError("it was altered: its SHA-256 is not the one that it was written with")
    chunk = Chunk(**content)
    counts = (chunk.samples, chunk.start, chunk.stop, chunk.correct or 0)
    words = (
        chunk.network_sha256, chunk.inputs_sha256, chunk.sha256, chunk.calibration_sha256 or ""
    )
    if not all(map(_is_count, counts)) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"samples, start, stop and correct are {counts}, the SHA-256 {words}")
    if chunk.simulator not in (*SIMULATORS, *RECORDED):
        raise ValueError(f"simulator {chunk.simulator!r}")
    size = chunk.stop - chunk.start
    if not 0 <= chunk.start < chunk.stop <= chunk.samples or stem != chunk.name:
        raise ValueError(
            f"samples {chunk.start} to {chunk.stop} of {chunk.samples} are not those of its name"
        )
    if (chunk.correct or 0) > size or not _are_answers(chunk.predictions, size):
        raise ValueError(f"{chunk.correct} correct, or predictions, are not of {size} samples")
    if not isinstance(chunk.spikes, dict) or not all(map(_is_count, chunk.spikes.values())):
        raise ValueError("spikes are no counts by layer")
    if not isinstance(chunk.seconds, float) or not 0 <= chunk.seconds < math.inf:
        raise ValueError(f"seconds are {chunk.seconds!r}")
    return chunk


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_answers(values: Any, size: int) -> bool:
    """A number a sample, or a list of them, or of lists."""
    numbers = isinstance(values, list) and len(values) == size and all(map(_is_answer, values))
    return numbers and len({type(value) is list for value in values}) <= 1


def _is_answer(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_answer, value))
    return _is_count(value) or (isinstance(value, float) and math.isfinite(value))


def network_digest(directory: Path) -> str:
    """The SHA-256 of a network: of its description, which holds that of its arrays."""
    return sha256(read_bytes(Path(directory) / NETWORK_FILE, "network"))


def inputs_digest(inputs: NDArray[Any]) -> str:
    """The SHA-256 of samples: of dtype, shape and elements in C order."""
    digest = hashlib.sha256(f"{inputs.dtype.str} {inputs.shape} ".encode())
    digest.update(np.ascontiguousarray(inputs).tobytes())
    return digest.hexdigest()
