"""The same signal in NEST: in slices, its spike sources told what comes next."""

from __future__ import annotations

from collections import deque
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike

from export.description.network import FloatArray, Network
from export.pynn.built import build, setup_arguments, simulator
from export.pynn.meter import Meter
from export.streaming.session import Answer, StreamError, block_of

# A source is PyNN's relay of a generator, which has to know a step ahead what it sends; and PyNN
# lets NEST run one step further than it was told.
_AHEAD = 2


class NestSession:
    """A network in NEST that reads a signal as it comes; a context manager, which ends NEST's.

    Answers are those of :class:`~export.streaming.session.Session`, and come ``latency`` steps
    later: a layer's spikes take a step to the next layer. One such session at a time, since NEST
    has one network. Raises :class:`StreamError` for a network whose samples cannot follow one
    another without a gap, whose input is no spikes, or none of whose delays is of one step, and
    ``BackendError`` without NEST.
    """

    def __init__(self, network: Network) -> None:
        streams = network.family.streams and not network.max_lag and network.min_delay == 1
        if not streams or network.source.kind.currents:
            found = "an input of currents" if streams else "such cells or delays"
            raise StreamError(
                f"NEST cannot stream this network: it has {found}; expected native cells, spikes "
                "as input, delays from 1 step on and no lags. Use Session, which computes the same "
                "in software."
            )
        self.network = network
        self._sim = simulator("nest")
        self._sim.setup(**setup_arguments("nest", network))
        self._built = build(self._sim, network)
        self._readout = self._built.populations[network.readout.population]
        self._meter = Meter(self._readout, ["y"])
        self._start = self._built.via.first_input(network)
        self._first = self._built.first_steps[network.readout.population]
        self._told = np.empty((0, network.source.size), np.uint8)
        self._rows: deque[FloatArray] = deque()
        self._fed = self._read = self._now = self._seen = 0

    @property
    def latency(self) -> int:
        """The steps that an answer takes, of its own step and the layers'."""
        return self._first - self._start + _AHEAD + 1

    def __enter__(self) -> NestSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sim.end()

    def steps(self, values: ArrayLike) -> list[Answer]:
        """Some steps, (C, n): the answers that have come meanwhile. Raises ``InputError``."""
        block = block_of(self.network, values)
        emitted = self.network.source.kind.emit(self.network.source, block[None])[0]  # (n, size)
        self._tell(emitted)
        self._fed += len(emitted)
        return self._run_to(self._start + self._fed - _AHEAD)

    def rest(self) -> list[Answer]:
        """The answers that are still to come, once nothing more is read."""
        return self._run_to(self._first + self._fed)

    def _tell(self, emitted: np.ndarray) -> None:
        from pyNN.parameters import Sequence

        via, timestep = self._built.via, self.network.timestep
        sources = self._built.populations[self.network.source.name]
        # New times take the place of the old, of which NEST may not have come to the last ones.
        emitted = np.concatenate([self._told, emitted])
        begin = self._start + self._fed - len(self._told) + via.stamp
        self._told = emitted[-_AHEAD:]
        # As in the backend: PyNN rounds a time one ulp above the grid up to the next step.
        times = [Sequence((np.flatnonzero(s) + begin - 1e-4) * timestep) for s in emitted.T]
        sources.set(spike_times=times)

    def _run_to(self, step: int) -> list[Answer]:
        if step > self._now:
            self._sim.run((step - self._now) * self.network.timestep)
            self._now = step
        self._take()
        answers = []
        while self._rows and self._read < self._fed:
            sample, place = divmod(self._read, self.network.steps)
            scores = self._rows.popleft() / self.network.readout.kind.terms(place + 1)
            final = place + 1 == self.network.steps
            answers.append(Answer(sample, place + 1, scores, final))
            self._read += 1
        return answers

    def _take(self) -> None:
        """Move what NEST recorded since to the rows: those of the readout's first step and on."""
        rows = self._meter.by_step("y")
        before = self._first - self._seen
        self._seen += len(rows)
        self._rows.extend(rows[max(before, 0) :])
        self._meter.device.n_events = 0
