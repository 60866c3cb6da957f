"""All chips, and time: in a tick every core does its work, then its packets arrive.

Cores that have something to do run one after the other, each until it waits, while the host is
not kept waiting for it. Spikes of a tick are held until all cores have done it, so that arrivals
of tick t follow all timer work of tick t, on every chip, and a run's result is always the same.
"""

from collections import deque

from pynn_models.spinnaker.board.chip import Answer, Chip
from pynn_models.spinnaker.board.layout import CHIPS, Place
from pynn_models.spinnaker.board.router import Router

_AT_ONCE = 16  # packets in a core's queue before it runs


class Board:
    """48 chips; ``answer`` takes the cores' messages to the host."""

    def __init__(self, address: bytes, answer: Answer) -> None:
        self.chips = {place: Chip(place, address, self._send, answer) for place in CHIPS}
        self.router = Router()
        self._woken: deque[tuple[Place, int]] = deque()
        self._packets: deque[tuple[Place, int, int | None]] = deque()

    def _send(self, place: Place, key: int, payload: int | None) -> None:
        self._packets.append((place, key, payload))

    def wake(self, place: Place, number: int) -> None:
        """Have a core run when there is time."""
        if (place, number) not in self._woken:
            self._woken.append((place, number))

    def cores(self, app: int) -> list[tuple[Chip, int]]:
        """The cores of an application, on all chips."""
        return [(chip, number) for chip in self.chips.values() for number in chip.of(app)]

    def step(self) -> bool:
        """Do a piece of work: a woken core, packets that wait, or a tick; False: there is none."""
        if self._woken:
            place, number = self._woken.popleft()
            self.chips[place].run(number)
        elif self._packets:
            self._deliver()
        else:
            return self._tick()
        return True

    def _tick(self) -> bool:
        running = [
            (place, number)
            for place, chip in self.chips.items()
            for number, core in chip.cores.items()
            if core.timer.running
        ]
        for place, number in running:
            self.chips[place].cores[number].timer.tick()
        self._woken.extend(running)
        return bool(running)

    def _deliver(self) -> None:
        waiting: set[tuple[Place, int]] = set()
        while self._packets:
            place, key, payload = self._packets.popleft()
            for target, number in self.router.targets(place, key):
                core = self.chips[target].cores.get(number)
                if core is None:
                    continue
                core.comms.queue.append((key, payload))
                waiting.add((target, number))
                if len(core.comms.queue) >= _AT_ONCE:
                    self.chips[target].run(number)
                    waiting.discard((target, number))
        for target, number in sorted(waiting):
            self.chips[target].run(number)
