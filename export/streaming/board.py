"""The same signal on a board: live spikes in, live spikes out, answers on the host."""

from __future__ import annotations

from collections import defaultdict
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from export.boards import Board
from export.boards.live import LiveRun
from export.description.multiplicity import in_units
from export.description.network import Network
from export.fixed_point import make_plan, run
from export.samples.recording import Recording
from export.streaming.host_readout import HostReadout
from export.streaming.replay import as_samples_of
from export.streaming.session import Answer, StreamError, block_of, lengthened


class BoardSession:
    """A network on a SpiNNaker board that reads a signal as it comes; a context manager.

    The board is the clock: :meth:`steps` sends the spikes of a step's values and waits for the
    next tick's end. When they arrive is the network's between here and there: usually in the next
    tick, so that answers are of what the board had got by then. What it got, tick by tick, is
    ``recording.spikes`` of the input once the run has ended, beside the layers' spikes: whatever
    came when, :meth:`replayed` says what these must be (E4).

    A run is one signal of ``steps`` ticks without a pause. Raises :class:`StreamError` for a
    network whose answers depend on the length of a sample, that takes no spikes, or whose answers
    are no sum of spikes, and what a board refuses.
    """

    def __init__(self, network: Network, board: Board, *, steps: int) -> None:
        network = in_units(lengthened(network, steps))
        currents = network.source.kind.currents
        if currents or not network.linear_readout:
            found = "currents as input" if currents else "gated mixing"
            raise StreamError(
                f"a board cannot stream this network: it has {found}; expected spikes as input, "
                "and answers that are sums of spikes. Use Session or NestSession."
            )
        self.network = network
        self._run = LiveRun(network, board)
        self._readout = HostReadout(network)
        self._names = [network.source.name, *(p.name for p in network.layers)]
        self._counts: defaultdict[int, dict[str, NDArray[Any]]] = defaultdict(self._silence)
        self._done = 0

    def _silence(self) -> dict[str, NDArray[Any]]:
        source = self.network.source
        sizes = {source.name: source.size, **{p.name: p.size for p in self.network.layers}}
        return {name: np.zeros(sizes[name], np.uint8) for name in self._names}

    def __enter__(self) -> Self:
        self._run.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._run.__exit__(kind, error, traceback)

    @property
    def recording(self) -> Recording | None:
        """What the board recorded, with its input; None before the run has ended."""
        return self._run.recording

    def steps(self, values: ArrayLike) -> list[Answer]:
        """Send some steps, (C, n), one a tick: the answers of the ticks that have ended since.

        None says that the run has ended. Raises ``InputError``.
        """
        block = block_of(self.network, values)
        emitted = self.network.source.kind.emit(self.network.source, block[None])[0]  # (n, size)
        answers: list[Answer] = []
        for row in emitted:
            self._run.send([int(i) for i in np.flatnonzero(row)])
            answers += self._until_tick()
        return answers

    def rest(self) -> list[Answer]:
        """The answers until the run's end, nothing more being sent."""
        found: list[Answer] = []
        while self.recording is None:
            found += self._until_tick()
        return found

    def replayed(self) -> Recording:
        """The layers' spikes that SpiNNaker's arithmetic gives for what the board was sent.

        Raises :class:`StreamError` before the run has ended.
        """
        if self.recording is None:
            raise StreamError("the run has not ended; expected its end. Call rest() first.")
        sent = self.recording.spikes[self.network.source.name][0]
        network, samples = as_samples_of(self.network, sent)
        return run(network, samples, plan=make_plan(self.network), allow_overflow=True)

    def _until_tick(self) -> list[Answer]:
        found: list[Answer] = []
        while not found and self.recording is None:
            for event in self._run.events():
                found += self._take(event)
        return found

    def _take(self, event: tuple[Any, ...]) -> list[Answer]:
        """Count the spikes of a tick; at a tick's beginning those before it are whole."""
        if event[0] == "spikes":
            _, name, tick, neurons = event
            np.add.at(self._counts[tick][name], np.array(neurons, np.int64), 1)
            return []
        until = event[1] if event[0] == "clock" else self.network.steps
        answers = []
        while self._done < min(until, self.network.steps):
            membrane = self._readout.step(self._counts[self._done])
            del self._counts[self._done]
            self._done += 1
            final = self._done == self.network.steps
            answers.append(Answer(0, self._done, membrane, final))
        return answers
