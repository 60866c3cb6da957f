"""All chips, and time: in a tick every core does its work, then its packets arrive.

Cores that have something to do run one after the other, each until it waits, while the host is
not kept waiting for it; those of other chips at the same time, since chips share nothing. Spikes of
a tick are held until all cores have done it, so that arrivals of tick t follow all timer work of
tick t, on every chip, in the order in which the cores were woken: a run's result is always the
same, with any number of threads. Cores that poll the clock, as those for synapses alone do, then
learn that the tick is over.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter

from pynn_models.spinnaker.board.chip import Answer, Chip, CoreMaker, Say
from pynn_models.spinnaker.board.core import Core, Packet
from pynn_models.spinnaker.board.errors import CoreError
from pynn_models.spinnaker.board.layout import Layout, Place
from pynn_models.spinnaker.board.memory import AddressError
from pynn_models.spinnaker.board.router import Router
from pynn_models.spinnaker.board.timing import CLOCK

_SLICE = 2_000_000  # instructions that a core executes before the host is looked after
_AT_ONCE = 0.005  # s in which cores of several chips are begun before the host is looked after
_ENOUGH = 4  # cores for which another thread pays
_WAITING_MAIL = 64  # messages to a core that wait for it

Number = tuple[Place, int]


@dataclass
class Counts:
    """What happened on a board so far."""

    ticks: int = 0
    packets: int = 0
    dropped: int = 0
    seconds: float = 0.0  # of processor time, at work while cores had their timers running
    elapsed: float = 0.0  # by the clock, likewise


class Board:
    """``make`` makes cores, ``answer`` takes their messages, ``say`` what went wrong."""

    def __init__(
        self, layout: Layout, address: bytes, make: CoreMaker, answer: Answer, say: Say
    ) -> None:
        self.layout, self.say = layout, say
        self.chips = {
            place: Chip(place, layout, address, make, answer, say) for place in layout.chips
        }
        self.router = Router(layout)
        self.counts = Counts()
        self.threads = len(os.sched_getaffinity(0))
        self._run_chips = getattr(make, "run_chips", None)
        self._woken: dict[Number, int] = {}  # the how many-th to be woken of all; in this order
        self._wakes = 0
        self._gone: list[Core] = []
        self._mail: dict[Number, deque[Callable[[], None]]] = defaultdict(deque)
        self._packets: list[tuple[int, Place, Packet]] = []
        self.running = False  # whether there are ticks
        self._step = 0  # of the time that programs count, since they were loaded
        self._tick_cycles = 0

    def wake(self, place: Place, number: int) -> None:
        """Have a core run when there is time."""
        if (place, number) not in self._woken:
            self._wakes += 1
            self._woken[place, number] = self._wakes

    def signal(self, place: Place, number: int, signal: int) -> None:
        """Give a core a signal, unless it failed."""
        chip = self.chips[place]
        self._post(place, number, lambda: chip.signal(number, signal))

    def message(self, place: Place, number: int, sdp: bytes) -> bool:
        """Give a core an SDP message, from its flags on; False: too many wait for it."""
        chip = self.chips[place]
        if len(self._mail[place, number]) >= _WAITING_MAIL:
            return False
        self._post(place, number, lambda: chip.message(number, sdp))
        return True

    def _post(self, place: Place, number: int, give: Callable[[], None]) -> None:
        if number in self.chips[place].cores:
            self._mail[place, number].append(give)
            self.wake(place, number)

    def cores(self, app: int) -> list[tuple[Chip, int]]:
        """The cores of an application, on all chips."""
        return [(chip, number) for chip in self.chips.values() for number in chip.of(app)]

    def stop(self, app: int) -> None:
        """Drop an application: its cores, their mail, and its memory."""
        for chip, number in self.cores(app):
            self._gone += filter(None, [chip.cores.get(number)])
            chip.stop(number)
            self._mail.pop((chip.place, number), None)
        for chip in self.chips.values():
            chip.end(app)

    @property
    def idle(self) -> bool:
        """Whether no program is there, nor what the host allocated for one."""
        return not any(chip.cores or chip.user_heap.used for chip in self.chips.values())

    def forget(self) -> None:
        """What cores executed, and when, as others are to come."""
        self._step = 0
        for chip in self.chips.values():
            chip.loads.clear()

    def clear(self) -> None:
        """As after power-up: no programs, nothing allocated, no routes."""
        for place, chip in self.chips.items():
            self._gone += chip.cores.values()
            chip.clear()
            self.router.clear(place)
        self._mail.clear()
        self._packets.clear()

    def step(self, may_tick: bool = True) -> bool:
        """Do a piece of work: a woken core, packets that wait, or a tick; False: there is none."""
        if self._woken:
            if not self._run_side_by_side():
                self._run()
        elif self._packets:
            self._deliver()
        elif not self._end_tick():
            return (may_tick and self._tick()) or self._free()
        return True

    def _free(self) -> bool:
        """Free a core that was stopped: of hundreds it takes longer than the host waits."""
        if self._gone:
            self._gone.pop()
            return True
        return False

    @property
    def tick_seconds(self) -> float:
        """How long a tick is on a board."""
        return self._tick_cycles / CLOCK

    def _run(self) -> None:
        """Let the first woken core run; one that has more to do stays the first."""
        place, number = next(iter(self._woken))
        chip, mail = self.chips[place], self._mail.get((place, number))
        if mail and number in chip.cores and not chip.has_mail(number):
            try:
                mail.popleft()()
            except AddressError as error:  # the host wrote to where messages are kept
                chip.fail(number, CoreError(f"its mailbox: {error}"))
        self._ran(place, number, *chip.run(number, _SLICE))

    def _ran(self, place: Place, number: int, waits: bool, sent: list[Packet]) -> None:
        """Keep what a core sent; it stays among the woken if it has more to do."""
        chip, mail, woken = self.chips[place], self._mail.get((place, number)), (place, number)
        self._packets += [(self._woken[woken], place, packet) for packet in sent]
        if number not in chip.cores:
            self._mail.pop(woken, None)
        elif not waits or (mail and not chip.has_mail(number)):
            return
        del self._woken[woken]

    def _run_side_by_side(self) -> bool:
        """Let woken cores of several chips run, each chip's in their order; False: of one alone.

        None from one on for which mail waits: that goes into the memory of its chip.
        """
        if self._run_chips is None or min(self.threads, len(self._woken) // _ENOUGH) < 2:
            return False
        found: dict[Place, list[Core]] = {}
        numbers, later = defaultdict(list), set()
        for place, number in self._woken:
            core = self.chips[place].cores.get(number)
            if core is None or place in later or self._mail.get((place, number)):
                later.add(place)
                continue
            found.setdefault(place, []).append(core)
            numbers[place].append(number)
        if len(found) < 2:
            return False
        threads = min(self.threads, len(found), len(self._woken) // _ENOUGH)
        outcomes, seconds = self._run_chips([*found.values()], _SLICE, _AT_ONCE, threads)
        self.counts.seconds += seconds if self.running else 0
        run = [(place, number) for place in found for number in numbers[place]]
        for (place, number), outcome in zip(run, outcomes, strict=True):
            if outcome is not None:
                self._ran(place, number, *self.chips[place].ran(number, _SLICE, outcome))
        return True

    def _deliver(self) -> None:
        arrived: dict[Number, list[Packet]] = defaultdict(list)
        packets, self._packets = sorted(self._packets, key=itemgetter(0)), []
        self.counts.packets += len(packets)
        for _, place, packet in packets:
            targets = self.router.targets(place, packet[0])
            self.counts.dropped += not targets
            for target in targets:
                arrived[target].append(packet)
        for target in sorted(arrived):
            place, number = target
            core = self.chips[place].cores.get(number)
            if core is not None:
                core.deliver(arrived[target])
                self.wake(place, number)

    def _end_tick(self) -> bool:
        """Tell the cores that poll the clock that the tick is over."""
        polling = [
            (chip.place, number) for chip in self.chips.values() for number in sorted(chip.polling)
        ]
        for place, number in polling:
            self.chips[place].cores[number].end_tick()
            self.wake(place, number)
        return bool(polling)

    def _tick(self) -> bool:
        running = []
        for chip in self.chips.values():
            for number, core in chip.cores.items():
                if core.timer_runs:
                    running.append((chip, number, core))
                else:
                    chip.loads[number].pause()
        # The last tick of a run is no step: programs only stop in it, and begin the next run there.
        self._step += self.running and bool(running)
        self.running = bool(running)
        self.counts.ticks += self.running
        for chip, number, core in running:
            chip.loads[number].tick(self._step, core.instructions, core.tick_cycles)
            core.tick()
            self._tick_cycles = core.tick_cycles
            self.wake(chip.place, number)
        return self.running
