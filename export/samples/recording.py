"""What a run leaves behind: every layer's spikes, chosen membranes; to and from Neo."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray
from pynn_models.errors import SnnSsmError
from snn_ssm.files import FileError, read_arrays, read_sealed, seal_arrays, write_atomic

if TYPE_CHECKING:
    import neo

Spikes = NDArray[np.bool_] | NDArray[np.uint8]  # of cells of several levels: how many

_LOGITS = "logits"
_REMEDY = "Copy the file again, or make the recording anew."


class RecordingError(SnnSsmError):
    """A recording whose populations or shapes are not those expected."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Spikes (B, L, H) and membranes (B, L, H) by population, latencies taken off.

    Spikes are bool; of a population that sends several in a step they are counts, uint8.
    Step k of a sample is step k of the trained network, whichever backend it comes from.
    ``timestep`` in ms. ``logits`` (B, classes), or (B, L, classes) where each step is answered,
    only from a backend that computes its own; ``running`` (B, L, classes): the scores at each step
    from one that has them, which are not stored.
    """

    backend: str
    timestep: float
    spikes: Mapping[str, Spikes]
    membranes: dict[str, FloatArray] = field(default_factory=dict)
    logits: FloatArray | None = None
    running: FloatArray | None = None

    def to_neo(self) -> neo.Block:
        """A Neo Block: a segment a sample, a spike train a neuron, a signal a membrane.

        Times are in ms from the sample's start; step k stands at ``(k + 1) timestep``, the end of
        the step, as in NEST. Several spikes of one step are as many entries.
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
                    times = (steps_of(spikes[b, :, h]) + 1) * self.timestep
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
        """Write as safetensors with a SHA-256 inside.

        ``spikes.NAME`` as packed bits, ``counts.NAME`` uint8 where a population sends several in a
        step, ``membranes.NAME`` and ``logits`` float64.
        """
        write_atomic(Path(path), self.packed())

    def packed(self) -> bytes:
        """The content of the file that :meth:`save` writes."""
        arrays: dict[str, Any] = {}
        metadata = {"backend": self.backend, "timestep": repr(self.timestep)}
        for name, spikes in self.spikes.items():
            if spikes.dtype == np.uint8:
                arrays[f"counts.{name}"] = spikes
                continue
            arrays[f"spikes.{name}"] = np.packbits(spikes, axis=-1)
            metadata[f"size.{name}"] = str(spikes.shape[-1])
        for name, trace in self.membranes.items():
            arrays[f"membranes.{name}"] = trace
        if self.logits is not None:
            arrays[_LOGITS] = self.logits
        return seal_arrays(arrays, metadata)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read what :meth:`save` wrote; raises ``FileError`` or :class:`RecordingError`."""
        arrays, metadata = read_arrays(Path(path), "recording")
        if "backend" not in metadata:
            raise RecordingError(f"{path} is no recording. Make one with 'snn-ssm run --out'.")
        try:
            arrays, metadata = read_sealed(Path(path), "recording", _REMEDY)
            return _unpacked(arrays, metadata)
        except (KeyError, ValueError, OverflowError, FileError) as error:
            raise RecordingError(
                f"{path} was altered, or is of another version ({error!r}). {_REMEDY}"
            ) from error


def steps_of(spikes: Spikes) -> NDArray[np.int64]:
    """The steps of one neuron's spikes (L,), each as often as it spikes in it."""
    return np.repeat(np.arange(len(spikes)), spikes.astype(np.int64))


def _unpacked(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> Recording:
    """The recording in a file; raises ``KeyError`` or ``ValueError`` for what is none."""
    timestep = float(metadata["timestep"])
    if not 0 < timestep < math.inf:
        raise ValueError(f"a timestep of {timestep} ms")
    spikes: dict[str, Spikes] = {}
    membranes, scores = {}, None
    for key, array in arrays.items():
        kind, _, name = key.partition(".")
        if kind == "spikes" and name:
            spikes[name] = _unpacked_spikes(key, array, int(metadata[f"size.{name}"]))
        elif kind == "counts" and name and array.dtype == np.uint8 and array.ndim == 3:
            spikes[name] = array
        elif kind == "membranes" and name and array.dtype == np.float64 and array.ndim == 3:
            membranes[name] = array
        elif key == _LOGITS and array.dtype == np.float64 and array.ndim in (2, 3):
            scores = array
        else:
            raise ValueError(f"array {key!r} of {array.dtype} and shape {array.shape}")
    if len({s.shape[:2] for s in spikes.values()}) > 1:
        raise ValueError("its populations have different samples or steps")
    parts = [*spikes.values(), *membranes.values(), *([] if scores is None else [scores])]
    if len({len(part) for part in parts}) > 1:
        raise ValueError("its arrays are of different numbers of samples")
    return Recording(metadata["backend"], timestep, spikes, membranes, scores)


def _unpacked_spikes(key: str, array: NDArray[Any], size: int) -> NDArray[np.bool_]:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != -(-size // 8):
        raise ValueError(f"array {key!r} of {array.dtype} and shape {array.shape}, size {size}")
    return np.unpackbits(array, axis=-1, count=size).astype(np.bool_)


def concatenate(parts: Sequence[Recording]) -> Recording:
    """One recording of all samples; the parts are runs of one network on one backend."""
    first = parts[0]

    def joined(name: str) -> FloatArray | None:
        found = [getattr(p, name) for p in parts]
        return None if any(value is None for value in found) else np.concatenate(found)

    return Recording(
        first.backend,
        first.timestep,
        {k: np.concatenate([p.spikes[k] for p in parts]) for k in first.spikes},
        {k: np.concatenate([p.membranes[k] for p in parts]) for k in first.membranes},
        joined("logits"),
        joined("running"),
    )
