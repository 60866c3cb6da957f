"""What a run leaves behind: every layer's spikes, chosen membranes; to and from Neo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray
from pynn_models.errors import SnnSsmError
from snn_ssm.files import pack_arrays, read_arrays, write_atomic

if TYPE_CHECKING:
    import neo


class RecordingError(SnnSsmError):
    """A recording whose populations or shapes are not those expected."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Spikes (B, L, H) bool and membranes (B, L, H) by population, latencies taken off.

    Step k of a sample is step k of the trained network, whichever backend it comes from.
    ``timestep`` in ms. ``logits`` (B, classes) only from a backend that computes its own.
    """

    backend: str
    timestep: float
    spikes: dict[str, NDArray[np.bool_]]
    membranes: dict[str, FloatArray] = field(default_factory=dict)
    logits: FloatArray | None = None

    def to_neo(self) -> neo.Block:
        """A Neo Block: a segment a sample, a spike train a neuron, a signal a membrane.

        Times are in ms from the sample's start; step k stands at ``(k + 1) timestep``, the end of
        the step, as in NEST.
        """
        import neo
        import quantities as pq

        block = neo.Block(name=self.backend)
        samples, steps = next(iter(self.spikes.values())).shape[:2]
        stop = steps * self.timestep
        for b in range(samples):
            segment = neo.Segment(name=f"sample {b}")
            for name, spikes in self.spikes.items():
                for h in range(spikes.shape[2]):
                    times = (np.flatnonzero(spikes[b, :, h]) + 1) * self.timestep
                    segment.spiketrains.append(
                        neo.SpikeTrain(
                            times, units=pq.ms, t_stop=stop, population=name, source_index=h
                        )
                    )
            for name, trace in self.membranes.items():
                segment.analogsignals.append(
                    neo.AnalogSignal(
                        trace[b],
                        units=pq.dimensionless,
                        sampling_period=self.timestep * pq.ms,
                        t_start=self.timestep * pq.ms,
                        name=name,
                    )
                )
            block.segments.append(segment)
        return block

    def save(self, path: Path) -> None:
        """Write as safetensors: ``spikes.NAME`` as packed bits, ``membranes.NAME`` float64."""
        arrays: dict[str, Any] = {}
        metadata = {"backend": self.backend, "timestep": repr(self.timestep)}
        for name, spikes in self.spikes.items():
            arrays[f"spikes.{name}"] = np.packbits(spikes, axis=-1)
            metadata[f"size.{name}"] = str(spikes.shape[-1])
        for name, trace in self.membranes.items():
            arrays[f"membranes.{name}"] = trace
        write_atomic(Path(path), pack_arrays(arrays, metadata))

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read what :meth:`save` wrote; raises ``FileError`` or :class:`RecordingError`."""
        arrays, metadata = read_arrays(Path(path), "recording")
        if "backend" not in metadata:
            raise RecordingError(f"{path} is no recording. Make one with 'snn-ssm run --out'.")
        spikes, membranes = {}, {}
        try:
            timestep = float(metadata["timestep"])
            for key, array in arrays.items():
                kind, name = key.split(".", 1)
                if kind == "spikes":
                    count = int(metadata[f"size.{name}"])
                    packed = array.astype(np.uint8)
                    spikes[name] = np.unpackbits(packed, axis=-1, count=count).astype(np.bool_)
                elif kind == "membranes":
                    membranes[name] = array.astype(np.float64)
                else:
                    raise ValueError(f"array {key!r}")
        except (KeyError, ValueError) as error:
            raise RecordingError(
                f"{path} was altered, or is of another version ({error!r}). Make the recording "
                "anew with 'snn-ssm run --out'."
            ) from error
        return cls(metadata["backend"], timestep, spikes, membranes)


def concatenate(parts: Sequence[Recording]) -> Recording:
    """One recording of all samples; the parts are runs of one network on one backend."""
    first = parts[0]
    return Recording(
        first.backend,
        first.timestep,
        {k: np.concatenate([p.spikes[k] for p in parts]) for k in first.spikes},
        {k: np.concatenate([p.membranes[k] for p in parts]) for k in first.membranes},
    )
