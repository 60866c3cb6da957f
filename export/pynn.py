"""A Network as PyNN populations and projections, on any PyNN backend that has its cells.

    sim.setup(**setup_arguments("nest", network))
    built = build(sim, network, samples)
    built.record()
    sim.run(built.duration)
    recording = built.recording()

Samples stream back to back: sample b of a population with first step f occupies the simulator's
steps ``f + b T .. f + (b + 1) T - 1``, where T is the sample's length, and every cell zeroes its
modes at its sample's first step. Since delays equal differences of first steps, whatever is in
flight at a boundary was sent by the same sample.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export.inputs import encode
from export.network import FloatArray, Network, Population, Projection
from export.recording import Recording
from pynn_models.errors import SnnSsmError


class BackendError(SnnSsmError):
    """A PyNN backend that is unknown, not installed or not set up for the network."""


class Backend(Protocol):
    """What a PyNN backend must offer; one class a backend, found by the module's name."""

    module: str

    def setup_arguments(self, network: Network) -> dict[str, Any]:
        """Keyword arguments for ``sim.setup`` under which the network is exact."""

    def prepare(self, sim: Any, network: Network) -> None:
        """Called before the first population; raises :class:`BackendError` for a wrong setup."""

    def spike_sources(self, sim: Any, times: list[NDArray[Any]], timestep: float, name: str) -> Any:
        """A population emitting at ``times`` (units: steps, whole numbers)."""

    def population(self, sim: Any, population: Population, first_step: int, period: int) -> Any:
        """The population, starting at ``first_step``, from rest every ``period`` steps."""

    def projection(self, sim: Any, pre: Any, post: Any, weights: FloatArray, delay: float) -> Any:
        """A dense signed projection; ``delay`` in ms."""

    def currents(
        self, post: Any, currents: FloatArray, weights: FloatArray, first_step: int, delay: float
    ) -> Any:
        """Step currents (C, L) into a population through ``weights`` (C, H)."""


class NestBackend:
    """PyNN on NEST, with the project's own neuron model."""

    module = "pyNN.nest"

    def setup_arguments(self, network: Network) -> dict[str, Any]:
        return {
            "timestep": network.timestep,
            "min_delay": min(p.delay for p in network.projections) * network.timestep,
            "max_delay": network.max_delay * network.timestep,
            "spike_precision": "on_grid",
            "threads": 1,
        }

    def prepare(self, sim: Any, network: Network) -> None:
        from pynn_models.nest import install

        state = sim.simulator.state
        if abs(state.dt - network.timestep) > 1e-9 * network.timestep:
            raise BackendError(
                f"the simulator's timestep is {state.dt} ms, the network's {network.timestep} ms. "
                "Call sim.setup(**setup_arguments('nest', network)) before build()."
            )
        if state.spike_precision != "on_grid":
            raise BackendError(
                f"the simulator's spike_precision is {state.spike_precision!r}; expected "
                "'on_grid'. Call sim.setup(**setup_arguments('nest', network)) before build()."
            )
        install()

    def spike_sources(self, sim: Any, times: list[NDArray[Any]], timestep: float, name: str) -> Any:
        from pyNN.parameters import Sequence

        # PyNN rounds a time one ulp above the grid up to the next step, so aim just below it.
        spikes = [Sequence((t - 1e-4) * timestep) for t in times]
        cell = sim.SpikeSourceArray(spike_times=spikes)
        return sim.Population(len(times), cell, label=name)

    def population(self, sim: Any, population: Population, first_step: int, period: int) -> Any:
        from pynn_models.nest import cell_type

        cell = cell_type(population.cell, first_step, period)
        return sim.Population(population.size, cell, label=population.name)

    def projection(self, sim: Any, pre: Any, post: Any, weights: FloatArray, delay: float) -> Any:
        from pynn_models.nest import DenseConnector, RawStaticSynapse

        synapse = RawStaticSynapse(delay=delay)
        return sim.Projection(
            pre, post, DenseConnector(weights), synapse_type=synapse, receptor_type="excitatory"
        )

    def currents(
        self, post: Any, currents: FloatArray, weights: FloatArray, first_step: int, delay: float
    ) -> Any:
        from pynn_models.nest import inject_currents

        return inject_currents(post, currents, weights, first_step, delay)


BACKENDS: dict[str, Backend] = {"nest": NestBackend()}


def _backend(name: str) -> Backend:
    for short, backend in BACKENDS.items():
        if name in (short, backend.module):
            return backend
    raise BackendError(
        f"no state-space cell for the PyNN backend {name!r}; there is one for "
        f"{', '.join(b.module for b in BACKENDS.values())}."
    )


def simulator(name: str) -> ModuleType:
    """The PyNN module of a backend; raises :class:`BackendError` where it is not installed."""
    backend = _backend(name)
    try:
        return importlib.import_module(backend.module)
    except ImportError as error:
        raise BackendError(
            f"{backend.module} cannot be imported ({error}). "
            f"Install it: pip install 'snn-ssm[{name}]'."
        ) from error


def setup_arguments(name: str, network: Network) -> dict[str, Any]:
    """Keyword arguments for ``sim.setup`` under which a backend runs the network exactly.

    A script that adds projections of its own may pass a larger ``max_delay``.
    """
    return _backend(name).setup_arguments(network)


@dataclass(frozen=True, eq=False)
class Built:
    """A network's PyNN objects: ``populations`` and ``projections`` by name.

    ``projections`` has the key (source, target); ``duration`` is the time in ms to pass to
    ``sim.run``; ``first_steps`` the simulator step at which each population starts.
    """

    network: Network
    backend: str
    samples: int
    duration: float
    first_steps: dict[str, int]
    populations: dict[str, Any] = field(default_factory=dict)
    projections: dict[tuple[str, str], Any] = field(default_factory=dict)

    def record(self, membranes: Collection[str] = ()) -> None:
        """Record every layer's spikes, and the membrane ``y`` of the named populations."""
        for population in self.network.layers:
            self.populations[population.name].record("spikes")
        for name in membranes:
            self.populations[name].record("y")

    def recording(self, membranes: Collection[str] = ()) -> Recording:
        """What PyNN's ``get_data`` returns, with samples cut apart and latencies taken off."""
        spikes = {p.name: self._spikes(p) for p in self.network.layers}
        traces = {name: self._membrane(name) for name in membranes}
        return Recording(self.backend, self.network.timestep, spikes, traces)

    def _spikes(self, population: Population) -> NDArray[np.bool_]:
        steps = self.network.steps
        found = np.zeros((self.samples * steps, population.size), np.bool_)  # (B L, H)
        segment = self.populations[population.name].get_data("spikes").segments[0]
        for train in segment.spiketrains:
            stamps = np.rint(train.magnitude / self.network.timestep).astype(np.int64)
            steps_of = stamps - 1 - self.first_steps[population.name]
            # Steps past the last sample run on while the layers behind finish it.
            found[steps_of[steps_of < len(found)], train.annotations["source_index"]] = True
        return found.reshape(self.samples, steps, population.size)

    def _membrane(self, name: str) -> FloatArray:
        signal = self.populations[name].get_data("y").segments[0].analogsignals[0]
        # Row i is time i timestep, the end of step i - 1; row 0 the initial state.
        first = self.first_steps[name] + 1
        rows = np.asarray(signal.magnitude)[first : first + self.samples * self.network.steps]
        return rows.reshape(self.samples, self.network.steps, -1)


def build(sim: Any, network: Network, samples: NDArray[Any] | None = None) -> Built:
    """The network as PyNN objects of the simulator ``sim``, with ``samples`` as its input.

    ``sim`` is a PyNN backend module after ``setup``; ``samples`` (B, channels, steps), or None for
    one sample's time of silence, into which a script sends input of its own.
    Populations keep the network's names as labels, so a script can add its own projections.
    Raises :class:`BackendError`, ``InputError``, and what the backend's cells raise.
    """
    backend = _backend(sim.__name__)
    if samples is None:
        samples = np.zeros((1, network.source.channels, network.steps))
    emitted = encode(network, samples)  # (B, L, sources)
    backend.prepare(sim, network)
    offset = min(p.delay for p in network.projections)  # devices are early enough from here on
    first = {p.name: offset + p.latency for p in network.populations} | {
        network.source.name: offset
    }
    last = max(first.values())
    total = len(samples) * network.steps
    built = Built(
        network, sim.__name__, len(samples), (last + total + 1) * network.timestep, first
    )
    for population in network.populations:
        built.populations[population.name] = backend.population(
            sim, population, first[population.name], network.steps
        )
    stream = emitted.reshape(total, -1)  # (B L, sources)
    spiking = network.source.encoding == "bits"
    if spiking:
        times = [np.flatnonzero(row) + offset + 1.0 for row in stream.T]
        built.populations[network.source.name] = backend.spike_sources(
            sim, times, network.timestep, network.source.name
        )
    for projection in network.projections:
        built.projections[projection.source, projection.target] = _connect(
            backend, sim, built, projection, stream, spiking
        )
    return built


def _connect(
    backend: Backend,
    sim: Any,
    built: Built,
    projection: Projection,
    stream: NDArray[Any],
    spiking: bool,
) -> Any:
    post = built.populations[projection.target]
    delay = projection.delay * built.network.timestep
    if projection.source == built.network.source.name and not spiking:
        first = built.first_steps[projection.target]
        currents = stream.T.astype(np.float64)
        return backend.currents(post, currents, projection.weights, first, delay)
    pre = built.populations[projection.source]
    return backend.projection(sim, pre, post, projection.weights, delay)


def run(
    name: str, network: Network, samples: NDArray[Any], *, membranes: Collection[str] = ()
) -> Recording:
    """Set up a backend, build, run all samples in one simulation, and read it back."""
    sim = simulator(name)
    sim.setup(**setup_arguments(name, network))
    built = build(sim, network, samples)
    built.record(membranes)
    sim.run(built.duration)
    recording = built.recording(membranes)
    sim.end()
    return recording
