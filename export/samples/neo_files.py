"""Recordings as Neo files: MATLAB's MAT format, Neo's ``NeoMatlabIO``; no pickle.

A block holds one segment and a spike train a neuron, named by its annotations ``population`` and
``source_index``. The samples stand back to back, as a simulator ran them: sample b of the segment
covers the times ``b T`` to ``(b + 1) T``, where T = ``steps * timestep`` (annotations of the block,
``timestep`` in ms), and a spike of step k stands at the end of its step,
``b T + (k + 1) timestep``. ``Recording.to_neo`` is the same with a segment a sample: easier to
read, and slower by the number of samples, for Neo spends some 5 ms on a spike train. Its other
pickle-free format, NIX, needs 200 ms a train.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.samples.recording import Recording, RecordingError

if TYPE_CHECKING:
    import neo


def to_block(recording: Recording, **annotations: str | int | float) -> neo.Block:
    """A recording's spikes as a Neo block, with further annotations; no membranes."""
    import neo
    import quantities as pq

    samples, steps = next(iter(recording.spikes.values())).shape[:2]
    block = neo.Block(
        name=recording.backend,
        **annotations,
        timestep=recording.timestep,
        steps=steps,
        samples=samples,
    )
    segment = neo.Segment(name=f"{samples} samples back to back")
    for name, spikes in recording.spikes.items():
        stream = spikes.reshape(samples * steps, -1)  # (B L, H)
        for h in range(stream.shape[1]):
            segment.spiketrains.append(
                neo.SpikeTrain(
                    (np.flatnonzero(stream[:, h]) + 1) * recording.timestep,
                    units=pq.ms,
                    t_stop=samples * steps * recording.timestep,
                    population=name,
                    source_index=h,
                )
            )
    block.segments.append(segment)
    return block


def from_block(block: neo.Block) -> Recording:
    """The recording that :func:`to_block` wrote; raises ``RecordingError``."""
    try:
        timestep = float(block.annotations["timestep"])
        steps, samples = (int(block.annotations[key]) for key in ("steps", "samples"))
        found: dict[str, dict[int, Any]] = {}
        for train in block.segments[0].spiketrains:
            neurons = found.setdefault(str(train.annotations["population"]), {})
            at = np.rint(train.rescale("ms").magnitude / timestep).astype(np.int64) - 1
            if (at < 0).any():
                raise ValueError("a spike before the end of the first step")
            neurons[int(train.annotations["source_index"])] = at
        spikes = {}
        for name, neurons in found.items():
            stream = np.zeros((samples * steps, len(neurons)), np.bool_)
            for h, at in neurons.items():
                stream[at, h] = True
            spikes[name] = stream.reshape(samples, steps, len(neurons))
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise RecordingError(
            f"the Neo block {block.name!r} is no recording of samples back to back ({error!r}). "
            "Read the files that a job's run.py wrote."
        ) from error
    return Recording(str(block.name), timestep, spikes)


def block_bytes(block: neo.Block) -> bytes:
    """The content of a block's MAT file."""
    import neo

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "block.mat"
        neo.io.NeoMatlabIO(str(path)).write_block(block)
        return path.read_bytes()


def load_block(path: Path) -> neo.Block:
    """Read a block from a MAT file; raises ``RecordingError``."""
    import neo

    try:
        return neo.io.NeoMatlabIO(str(path)).read_block()
    except Exception as error:  # SciPy's reader has many for a broken file
        raise RecordingError(
            f"{path} cannot be read as a Neo block in a MAT file ({error!r}). Copy it again, or "
            "run the job again."
        ) from error
