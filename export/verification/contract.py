"""Compares runs of one Network: mismatched spikes, the first divergence, margins, accuracy.

The rows of the contract that can be checked here: E2, torch step and ``software``; E3,
``software`` and NEST; E4, ``spinnaker-software`` and a board; E5, training's float32 convolution
and torch step.
"""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.network import FloatArray, Network
from export.samples.answers import Counted, decide
from export.samples.messages import sent
from export.samples.readout import needed_membranes, scores_of
from export.samples.recording import Recording
from export.verification.cause import cause_of
from export.verification.comparison import (
    Divergence,
    VerificationError,
    at_threshold,
    first_difference,
    mismatches,
    mismatches_by_layer,
)
from export.verification.quantised import Quantised
from snn_ssm.kinds.outputs.answered import answered, mask

Runner = Callable[[NDArray[Any], Collection[str]], Recording]

CONTRACT = {
    "E2": ("torch", "software"),
    "E3": ("software", "nest"),
    "E4": ("spinnaker-software", "spinnaker"),
}
SAME_CLASS = 0.999  # E5
MEMBRANES = "software"  # whose membranes cost nothing, and give margins and ties
_CHUNK = 50  # samples in one run: many enough to stream back to back
_VALUES = 2**26  # membranes of all layers at once: 512 MiB
_PACKAGES = ("snn-ssm", "numpy", "torch", "nest-simulator", "PyNN", "numba")


def _locate(
    network: Network,
    samples: NDArray[Any],
    runners: tuple[Runner, Runner],
    recordings: tuple[Recording, Recording],
) -> Divergence:
    """Describe the first difference; the two backends run that sample again for its membranes."""
    where = first_difference(*recordings)
    if where is None:
        raise VerificationError("the recordings do not differ; there is nothing to locate.")
    sample, step, layer, neuron = where
    traces: list[FloatArray] = []
    values: list[float | None] = []
    margins: list[float | None] = []
    for runner in runners:
        again = runner(samples[sample : sample + 1], [layer])
        found = again.membranes.get(layer)
        if found is not None:
            traces.append(found[0, : step + 1, neuron])
        values.append(None if found is None else float(found[0, step, neuron]))
        margins.append(None if found is None else _margin(network, layer, found, step, neuron))
    cell, spikes = network.population(layer).cell, recordings[0].spikes[layer]
    cause = None
    if len(traces) == 2:
        cause = cause_of(cell, spikes[sample, : step + 1, neuron].astype(np.int64), *traces)
    return Divergence(
        sample=sample,
        layer=layer,
        neuron=neuron,
        step=step,
        spike=spikes[sample, step, neuron].item(),
        reference=values[0],
        value=values[1],
        margin=margins[0],
        cause=cause,
    )


def _margin(
    network: Network, layer: str, membrane: FloatArray, step: int, neuron: int
) -> float:
    """How far a neuron's membrane of one sample (1, L, H) is from the nearest threshold."""
    population = network.population(layer)
    distance = population.kind.distance(population.cell, membrane[:, : step + 1])
    return float(distance[0, step, neuron])


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that take part and are installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclass
class _Tally:
    """Sums over chunks for one backend."""

    answers: Counted
    mismatched_spikes: int = 0
    first_divergence: Divergence | None = None
    at_ties: int = 0
    seconds: float = 0.0


@dataclass
class _Layer:
    """Sums over chunks for one layer of the reference."""

    slots: int = 0
    spikes: int = 0
    smallest_margin: float = np.inf
    ties: int = 0
    mismatched: dict[str, int] = field(default_factory=dict)  # by backend


def samples_at_once(network: Network) -> int:
    """How many samples :class:`Verification` should be given at a time: bounds memory."""
    values = network.steps * sum(p.size for p in network.layers)
    return max(min(_CHUNK, _VALUES // values), 1)


class Verification:
    """A comparison that grows chunk by chunk, so that memory does not grow with the samples.

    The first of ``runners`` is the reference. ``convolution``, where given, is the trainer's
    float32 pass (row E5), ``real`` the same on values that a quantised input changes; ``margins``
    those of :func:`export.lowering.margins`, by which ties are told.
    """

    def __init__(
        self,
        network: Network,
        runners: Mapping[str, Runner],
        convolution: Runner | None = None,
        margins: Mapping[str, FloatArray] | None = None,
        real: Runner | None = None,
    ) -> None:
        if not runners:
            raise VerificationError("no backend to run; name at least one, such as software.")
        self.network, self.runners, self.convolution = network, runners, convolution
        self.margins = margins or {}
        self.reference = next(iter(runners))
        self.samples = 0
        self.tallies = {name: _Tally(Counted.of(network)) for name in runners}
        pairs = {row: pair for row, pair in CONTRACT.items() if set(pair) <= set(runners)}
        self.rows = {row: (pair, 0) for row, pair in pairs.items()}
        self.layers = {p.name: _Layer() for p in network.layers}
        self.predictions: list[Any] = []
        self.float32_mismatches = 0
        self.float32_same = np.zeros(2, np.int64)  # of so many answers
        self.quantised = Quantised(network, real) if network.source.kind.fractions else None

    def add(
        self, samples: NDArray[Any], labels: NDArray[Any], lengths: NDArray[np.int64] | None = None
    ) -> None:
        """Run one chunk of samples (B, C, L) on every backend and compare.

        ``labels``: what is to be answered, ``lengths`` (B,): the steps that count, as
        :class:`snn_ssm.tasks.Samples` has them.
        """
        recordings, scores = {}, {}
        for name in self.runners:
            recordings[name], scores[name] = self._run(name, samples, labels, lengths)
        reference = recordings[self.reference]
        for name, recording in recordings.items():
            self._compare(name, samples, reference, recording)
        for row, ((a, b), count) in self.rows.items():
            total = count + mismatches(recordings[a], recordings[b])
            self.rows[row] = ((a, b), total)
        for recording in recordings.values():
            self._margins(recording)
            self._ties(recording, recordings)
        own = mask(len(samples), self.network.steps, lengths)  # not what fills samples up
        for name, spikes in sent(self.network, reference).items():
            self.layers[name].slots += int(own.sum()) * spikes.shape[2]
            self.layers[name].spikes += int(spikes[own].sum())
        found = None
        if self.convolution is not None:
            trained = self.convolution(samples, [])
            self.float32_mismatches += mismatches(reference, trained)
            found = scores_of(self.network, samples, trained, lengths)
            pair = [answered(s, None, lengths)[0] for s in (scores[self.reference], found)]
            same = self.network.readout.answers.same(*pair)
            self.float32_same += (int(same.sum()), len(same))
        if self.quantised is not None:
            self.quantised.add(samples, labels, lengths, found)
        self.predictions += decide(self.network, scores[self.reference]).tolist()
        self.samples += len(samples)

    def _run(
        self, name: str, samples: NDArray[Any], labels: NDArray[Any],
        lengths: NDArray[np.int64] | None,
    ) -> tuple[Recording, FloatArray]:
        """The recording and its scores."""
        tally = self.tallies[name]
        margins = list(self.layers) if name == MEMBRANES else []
        membranes = [*margins, *needed_membranes(self.network)]
        begun = time.perf_counter()
        recording = self.runners[name](samples, membranes)
        tally.seconds += time.perf_counter() - begun
        scores = scores_of(self.network, samples, recording, lengths)
        tally.answers.add(scores, labels, lengths)
        return recording, scores

    def _compare(
        self, name: str, samples: NDArray[Any], reference: Recording, recording: Recording
    ) -> None:
        tally = self.tallies[name]
        found = mismatches_by_layer(reference, recording)
        for layer, differing in found.items():
            sums = self.layers[layer].mismatched
            sums[name] = sums.get(name, 0) + differing
        count = sum(found.values())
        tally.mismatched_spikes += count
        if count and tally.first_divergence is None:
            pair = (self.runners[self.reference], self.runners[name])
            first = _locate(self.network, samples, pair, (reference, recording))
            tally.first_divergence = replace(first, sample=first.sample + self.samples)

    def _margins(self, recording: Recording) -> None:
        for name, layer in self.layers.items():
            if name not in recording.membranes:
                continue
            trace = recording.membranes[name]
            population = self.network.population(name)
            distance = population.kind.distance(population.cell, trace)
            layer.smallest_margin = min(layer.smallest_margin, float(distance.min()))

    def _ties(self, recording: Recording, recordings: Mapping[str, Recording]) -> None:
        """Count the ties of a recording with membranes, and the spikes that differ at them."""
        reference = recordings[self.reference]
        for name, margin in self.margins.items():
            if name not in recording.membranes or name not in self.layers:
                continue
            population = self.network.population(name)
            ties = functools.reduce(np.logical_or, (
                at_threshold(recording.membranes[name], theta, margin)
                for theta in population.kind.thresholds(population.cell).T
            ))
            self.layers[name].ties += int(ties.sum())
            for backend, other in recordings.items():
                differs = reference.spikes[name] != other.spikes[name]
                self.tallies[backend].at_ties += int((differs & ties).sum())

    def _count_ties(self) -> dict[str, Any] | None:
        """None where nobody knows the margins or the membranes."""
        if not self.margins or MEMBRANES not in self.runners:
            return None
        return {
            "membranes": sum(layer.ties for layer in self.layers.values()),
            "mismatched_spikes": {name: tally.at_ties for name, tally in self.tallies.items()},
        }

    def result(self) -> dict[str, Any]:
        """What ``verify --json`` writes."""
        spikes = sum(layer.spikes for layer in self.layers.values())
        slots = sum(layer.slots for layer in self.layers.values())
        contract = {row: count == 0 for row, (_, count) in self.rows.items()}
        ties = self._count_ties()
        result: dict[str, Any] = {
            "samples": self.samples,
            "spikes": spikes,
            "spike_rate": spikes / slots,
            "output": self.network.readout.output,
            "reference": self.reference,
            "backends": {
                name: {
                    "mismatched_spikes": tally.mismatched_spikes,
                    **{k: v for k, v in tally.answers.metrics().items() if k != "classes"},
                    "seconds": tally.seconds,
                    "first_divergence": (
                        asdict(tally.first_divergence) if tally.first_divergence else None
                    ),
                }
                for name, tally in self.tallies.items()
            },
            "contract": contract,
            "layers": {
                name: {
                    "spike_rate": layer.spikes / layer.slots,
                    "smallest_margin": (
                        layer.smallest_margin if np.isfinite(layer.smallest_margin) else None
                    ),
                    "ties": layer.ties if ties else None,
                    "mismatched_spikes": layer.mismatched,
                }
                for name, layer in self.layers.items()
            },
            "ties": ties,
            "predictions": self.predictions,
            "versions": versions(),
        }
        if self.quantised is not None:
            result["quantiser"] = self.quantised.result()
        if self.convolution is not None:
            same = float(self.float32_same[0] / self.float32_same[1])
            result["E5"] = {"mismatched_spikes": self.float32_mismatches, "same_class": same}
            if not self.network.readout.answers.real:  # values have no class: nothing is promised
                contract["E5"] = same >= SAME_CLASS
        return result


def verify(
    network: Network,
    samples: NDArray[Any],
    labels: NDArray[Any],
    runners: Mapping[str, Runner],
    *,
    convolution: Runner | None = None,
    margins: Mapping[str, FloatArray] | None = None,
    lengths: NDArray[np.int64] | None = None,
    real: Runner | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Run ``samples`` (B, C, L) on every backend and compare with the first one, the reference.

    ``labels`` and ``lengths`` as :class:`snn_ssm.tasks.Samples` has them.
    Returns what ``verify --json`` writes: ``samples``, ``spikes`` (sent in the reference, in the
    samples' own steps; mismatches are looked for in all), ``spike_rate``, ``output``, ``backends``
    = {name: {``mismatched_spikes``, ``accuracy`` and other metrics of that output, ``seconds``,
    ``first_divergence``}}, ``contract`` = {row: holds},
    ``layers`` (spike rate, smallest distance of a membrane from its threshold, mismatched spikes of
    each backend),
    ``predictions``, ``versions``, and with ``convolution`` also ``E5``. With ``margins``, of
    :func:`export.lowering.margins`, ``ties`` = {``membranes``: how many of ``software`` are at
    their trained threshold but for rounding, ``mismatched_spikes`` = {name: those at ties, which
    are mismatches all the same}}, else None. Of a quantised input ``quantiser``: what it lost of
    the samples (:class:`export.description.Lost`) and, with ``real``, what the trained model
    answers to them as they are, and how often the same. ``progress`` is told how many samples were
    added.
    Raises :class:`VerificationError` for no samples, no backend or labels of another number.
    """
    if len(labels) != len(samples) or len(samples) == 0:
        raise VerificationError(
            f"{len(samples)} samples and {len(labels)} labels; expected one label a sample, and "
            "at least one sample. Give a larger --samples or other data."
        )
    verification = Verification(network, runners, convolution, margins, real)
    chunk = samples_at_once(network)
    for start in range(0, len(samples), chunk):
        part = slice(start, start + chunk)
        verification.add(
            samples[part], labels[part], None if lengths is None else lengths[part]
        )
        progress(len(samples[part]))
    return verification.result()


def _in_integers(backend: str) -> bool:
    return backend.startswith("spinnaker")


def holds(result: Mapping[str, Any]) -> bool:
    """Whether every compared row of the contract holds, and the backends agree that should.

    Those are the ones that compute as the reference does, float64 or SpiNNaker's integers; between
    the two, differing spikes are a result and no failure.
    """
    return not differing(result) and all(result["contract"].values())


def differing(result: Mapping[str, Any]) -> list[str]:
    """The backends that should spike as the reference does, and do not."""
    kind = _in_integers(result["reference"])
    return [
        name
        for name, found in result["backends"].items()
        if found["mismatched_spikes"] and (name == "recording" or _in_integers(name) == kind)
    ]
