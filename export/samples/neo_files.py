"""Recordings as Neo files, for the user: MATLAB's MAT format, Neo's ``NeoMatlabIO``; no pickle.

Written and never read here: Neo has the units of a file evaluated, and SciPy's reader of this
format is not made for a stranger's bytes. What is compared stands in files of our own format.

A block holds one segment and a spike train a neuron, named by its annotations ``population`` and
``source_index``. The samples stand back to back, as a simulator ran them: sample b of the segment
covers the times ``b T`` to ``(b + 1) T``, where T = ``steps * timestep`` (annotations of the block,
``timestep`` in ms), and a spike of step k stands at the end of its step,
``b T + (k + 1) timestep``, as often as there are spikes. ``Recording.to_neo`` is the same with a
segment a sample: easier to read, and slower by the number of samples, for Neo spends some 5 ms on
a spike train. Its other pickle-free format, NIX, needs 200 ms a train.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from export.samples.recording import Recording, steps_of

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
                    (steps_of(stream[:, h]) + 1) * recording.timestep,
                    units=pq.ms,
                    t_stop=samples * steps * recording.timestep,
                    population=name,
                    source_index=h,
                )
            )
    block.segments.append(segment)
    return block


def block_bytes(block: neo.Block) -> bytes:
    """The content of a block's MAT file."""
    import neo

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "block.mat"
        neo.io.NeoMatlabIO(str(path)).write_block(block)
        return path.read_bytes()
