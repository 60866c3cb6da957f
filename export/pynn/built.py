"""A Network as PyNN populations and projections, on any PyNN backend that has its cells.

    sim.setup(**setup_arguments("nest", network))
    built = build(sim, network, samples)
    built.record()
    sim.run(built.duration)
    recording = built.recording()

Native cells zero their modes at a sample's first step, so samples stream: sample b of a population
with first step f occupies the simulator's steps ``f + b P .. f + b P + T - 1``, where T is the
sample's length and P = T + the network's longest lag. What is sent in a sample's last step arrives
at most so much later; in the steps between two samples the input is silent, and so are the neurons,
which take nothing in. Without lag the samples stream back to back. A SpiNNaker core knows no such
gap: there a network with lags runs one sample at a time.

Stock and LIF cells cannot be set to rest, so there the samples run side by side: neuron h of sample
b is neuron ``b H + h`` of a population B times as large, every projection is one block a sample,
and all samples start at step f. The readout population is left out then; logits come from the
spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.description.multiplicity import in_units
from export.description.network import INPUT_RECEPTOR, FloatArray, Network, Population, Projection
from export.pynn.backend import (
    Backend,
    BackendError,
    Delay,
    first_steps,
    later,
    no_currents,
)
from export.pynn.simulators import backend_for, setup_arguments, simulator
from export.samples.inputs import as_samples, encode
from export.samples.multiplicity import counted
from export.samples.recording import Recording, Spikes, concatenate
from pynn_models.ranks import world

__all__ = ["BackendError", "Built", "build", "run", "setup_arguments", "simulator"]


@dataclass(frozen=True, eq=False)
class Built:
    """A network's PyNN objects: ``populations`` and ``projections`` by name.

    ``projections`` has the keys of ``Network.key``: (source, target), or (source, target, receptor)
    for one onto a value or a gate; ``duration`` is the time in ms to pass to ``sim.run``;
    ``first_steps`` the simulator step at which each population starts; ``copies`` samples run side
    by side, or stream with ``gap`` silent steps in between; ``clock`` the simulator's time in ms.
    ``network``: what was built; it is that ``asked`` for, or, where the backend sends one spike in
    a step, that of as many populations as it sends.
    """

    network: Network
    asked: Network
    backend: str
    samples: int
    duration: float
    first_steps: dict[str, int]
    via: Backend
    copies: int = 1
    gap: int = 0
    populations: dict[str, Any] = field(default_factory=dict)
    projections: dict[tuple[str, ...], Any] = field(default_factory=dict)
    recorders: dict[str, Any] = field(default_factory=dict)
    clock: Callable[[], float] = field(default=lambda: 0.0)

    def projections_of(self, projection: Projection) -> Any:
        """Its PyNN projections, or None of one that needs no synapses or was not built."""
        return None if projection.graded else self.projections.get(self.network.key(projection))

    def record(self, membranes: Collection[str] = ()) -> None:
        """Record every layer's spikes, and the membranes of the named populations."""
        for population in self.network.layers:
            self.populations[population.name].record("spikes")
        for name in membranes:
            self.recorders[name] = self.via.record_membrane(self._built(name))

    def recording(self, membranes: Collection[str] = ()) -> Recording:
        """What PyNN's ``get_data`` returns, with samples cut apart and latencies taken off.

        Raises :class:`BackendError` for data that were not computed or are not there any more: a
        run that was too short, a layer or membrane that was not recorded, a reset, cleared data, a
        virtual board.
        """
        self._check_run()
        spikes = {p.name: self._spikes(p) for p in self.network.layers}
        traces = {name: self._membrane(name) for name in membranes}
        found = Recording(self.backend, self.network.timestep, spikes, traces)
        return found if self.network is self.asked else counted(self.asked, found)

    def _check_run(self) -> None:
        now = float(self.clock())
        if now < self.duration - 1e-6 * self.network.timestep:
            raise BackendError(
                f"the simulator is at {now:g} ms of the {self.duration:g} ms that the network "
                "needs; nothing is read before. Call sim.run(built.duration), and after a reset "
                "setup() and build() first."
            )
        self.via.check_ran()

    def _built(self, name: str) -> Any:
        known = self.network.population(name).name
        if known not in self.populations:
            raise BackendError(
                f"the population {name!r} is not built: a network of {self.network.cells} cells is "
                "read out on the host. Use the spikes of the layers."
            )
        return self.populations[known]

    def _spikes(self, population: Population) -> Spikes:
        rows = self.samples * self._period // self.copies
        found = np.zeros((rows, self.copies * population.size), np.uint8)
        ranks = world()
        trains = self.via.spikes(self.populations[population.name])
        recorded = int(ranks.sum(np.array(trains.neurons)))
        if recorded != found.shape[1]:
            raise BackendError(
                f"population {population.name!r}: the spikes of {recorded} of its "
                f"{found.shape[1]} neurons were recorded; expected all. Call built.record() "
                "before sim.run()."
            )
        stamps = trains.times / self.network.timestep - self.via.stamp
        steps = np.rint(stamps).astype(np.int64) - self.first_steps[population.name]
        # Steps past the last sample run on while the layers behind finish it.
        within = steps < len(found)
        at = (steps[within], trains.sources[within])
        if population.levels == 1:
            found[at] = 1
        else:
            np.add.at(found, at, 1)  # a spike of multiplicity m stands there m times
        found = ranks.sum(found)
        return self._by_sample(found if population.levels > 1 else found.astype(np.bool_))

    def _membrane(self, name: str) -> FloatArray:
        self._built(name)
        if name not in self.recorders:
            raise BackendError(
                f"population {name!r}: its membrane was not recorded. Call "
                f"built.record(membranes=[{name!r}]) before sim.run()."
            )
        rows = self.via.membrane(self.recorders[name], self.first_steps[name])
        wanted = self.samples * self._period // self.copies
        if len(rows) < wanted:
            raise BackendError(
                f"population {name!r}: {len(rows)} steps of its membrane were recorded; expected "
                f"{wanted}. Call built.record() before sim.run(), and sim.run(built.duration)."
            )
        return self._by_sample(rows[:wanted])

    def _by_sample(self, rows: NDArray[Any]) -> NDArray[Any]:
        """(steps, copies H) or, where samples stream, (B period, H) -> (B, steps, H)."""
        if self.via.copies is None:
            whole = rows.reshape(self.samples, self._period, -1)
            return whole[:, : self.network.steps].copy() if self.gap else whole
        return rows.reshape(self.network.steps, self.copies, -1).transpose(1, 0, 2).copy()

    @property
    def _period(self) -> int:
        """Steps from the first of a sample to the first of the next."""
        return self.network.steps + self.gap


def build(
    sim: Any, network: Network, samples: NDArray[Any] | None = None, *,
    source: Any = None, backend: Backend | None = None,
) -> Built:
    """The network as PyNN objects of the simulator ``sim``, with ``samples`` as its input.

    ``sim`` is a PyNN backend module after ``setup``; ``samples`` (B, channels, steps), or None for
    one sample's time of silence, into which a script sends input of its own.
    Populations keep the network's names as labels, so a script can add its own projections.
    ``source``: a PyNN population of the script's own as the input, a neuron a spike source, in
    place of ``samples``, for one sample's time; what it sends in step ``first_steps[input] + k`` is
    the input of the sample's step k.
    ``backend``: in place of the one that goes by the name of ``sim``.
    Raises :class:`BackendError`, ``InputError``, and what the backend's cells raise.
    """
    backend = backend or backend_for(sim.__name__, network)
    if source is not None:
        _check_source(network, source, samples)
    if samples is None:
        samples = np.zeros((1, network.source.channels, network.steps))
    samples = as_samples(network, samples)
    asked, network = network, network if backend.counts else in_units(network)
    emitted = encode(network, samples)  # (B, L, sources)
    if network.source.kind.currents and not backend.takes_currents:
        raise no_currents(network.source)
    most = backend.samples_a_run(network)
    if backend.copies is None and most is not None and len(samples) > most:
        raise BackendError(
            f"{len(samples)} samples in one run; expected at most {most} of this network with "
            f"{backend.module}. Build them one run after another, as export.pynn.built.run does."
        )
    backend.prepare(sim, network)
    offset = backend.first_input(network)
    first = first_steps(network, backend.lag, offset)
    if backend.copies is None:
        copies, gap = 1, backend.gap(network)
        silence = ((0, 0), (0, gap), (0, 0))
        stream = np.pad(emitted, silence).reshape(-1, network.source.size)  # (B P, sources)
    else:
        copies, gap = len(samples), 0
        stream = emitted.transpose(1, 0, 2).reshape(network.steps, -1)  # (L, B sources)
    made = network.populations if network.family.streams else network.layers
    last = max(first[p.name] for p in made)
    built = Built(
        network, asked, sim.__name__, len(samples), (last + len(stream) + 1) * network.timestep,
        first, backend, copies, gap, clock=sim.get_current_time,
    )
    for population in made:
        built.populations[population.name] = backend.population(
            sim, network, population, first[population.name], copies
        )
    if source is not None:
        built.populations[network.source.name] = source
    elif network.source.encoding != "current":
        times = [np.flatnonzero(row) + offset + backend.stamp for row in stream.T]
        built.populations[network.source.name] = backend.spike_sources(
            sim, times, network.timestep, network.source.name
        )
    for projection in network.projections:
        if projection.target in built.populations:
            built.projections[network.key(projection)] = _connect(sim, built, projection, stream)
    return built


def _check_source(network: Network, source: Any, samples: NDArray[Any] | None) -> None:
    """Raise :class:`BackendError` unless a population can be the input of the network."""
    expected = network.source
    if samples is not None:
        raise BackendError(
            "build: both samples and a source are given; expected one of them. Leave samples out "
            "where a population of your own is the input."
        )
    if expected.kind.currents:
        raise BackendError(
            f"input {expected.name!r}: its values are currents, and a population sends spikes. "
            "Export with --input bits, or give samples."
        )
    if source.size != expected.size:
        raise BackendError(
            f"input {expected.name!r}: the population {source.label!r} has {source.size} neurons; "
            f"expected {expected.size}, one a spike source of the encoding "
            f"{expected.encoding!r}. Make it of that size, or take a view of it."
        )


def _connect(sim: Any, built: Built, projection: Projection, stream: NDArray[Any]) -> Any:
    network, backend = built.network, built.via
    post, start = built.populations[projection.target], built.first_steps[projection.target]
    more = later(network, projection, built.first_steps, backend.lag)
    steps = projection.delay + more
    delay: Delay = (
        steps * network.timestep if isinstance(steps, int)
        else steps.astype(np.float64) * network.timestep
    )
    if projection.source not in built.populations:
        receptor = projection.receptor
        if receptor not in (INPUT_RECEPTOR, *network.population(projection.target).kind.receptors):
            raise BackendError(
                f"{projection}: the input is a current, and currents reach the receptor "
                f"{INPUT_RECEPTOR!r} only; expected spikes. Export with --input bits."
            )
        currents = stream.T.astype(np.float64)
        return backend.currents(
            post, currents, projection.weights, start, float(delay), receptor
        )
    pre = built.populations[projection.source]
    return backend.projection(sim, network, projection, pre, post, delay, built.copies)


def _threads(threads: int, backend: Backend) -> dict[str, int]:
    """What ``sim.setup`` is told of them; raises :class:`BackendError` for a number that cannot be.
    """
    if threads < 1:
        raise BackendError(
            f"{threads} threads; expected at least 1. Give the number of cores, or leave it out."
        )
    if threads > 1 and not backend.threaded:
        raise BackendError(
            f"{threads} threads, and {backend.module} computes in one; expected 1. Share the "
            "samples out over processes instead (--processes)."
        )
    return {"threads": threads} if backend.threaded else {}


def run(
    name: str, network: Network, samples: NDArray[Any], *, membranes: Collection[str] = (),
    backend: Backend | None = None, threads: int = 1,
) -> Recording:
    """Set up a backend, build, run ``samples`` (B, C, L) and read them back.

    All samples run in one simulation if they stream, else as many as the backend's ``copies``.
    ``membranes`` names the populations whose membranes are recorded, too; ``backend``: in place of
    the one that goes by ``name`` and the network's cells; ``threads``: of a simulator that has any.
    Raises :class:`BackendError` for a backend that is not there or lacks the network's cells, or
    threads.
    """
    samples = as_samples(network, samples)
    sim = simulator(name)
    backend = backend or backend_for(name, network)
    backend = backend.in_turn(network, len(samples))
    arguments = backend.setup_arguments(network) | _threads(threads, backend)
    chunk = backend.samples_a_run(network) or max(len(samples), 1)
    parts = []
    for start in range(0, max(len(samples), 1), chunk):
        sim.setup(**arguments)
        built = build(sim, network, samples[start : start + chunk], backend=backend)
        built.record(membranes)
        built.via.run(sim, built.duration)
        parts.append(built.recording(membranes))
        sim.end()
    return concatenate(parts)
