"""What a core executed a tick, and whether a real one would have kept up: an estimate.

The emulation is functional: it counts instructions, and no cycles. Of a SpiNNaker core, an
ARM968E-S at 200 MHz, an instruction takes about 1.25 to 1.67 cycles: most take one, a taken branch
three, a load or a store of n words n or more, a long multiplication two or more (timings in ARM's
*ARM968E-S Technical Reference Manual* and *ARM9E-S Technical Reference Manual*); the mean of neuron
programs is inferred from these, not measured on a board. Waits for the chip's shared memory come on
top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CYCLES_PER_INSTRUCTION = (1.25, 1.67)
"""The least and the most that an instruction is taken to cost on average."""

CLOCK = 200e6
"""Cycles a second."""


@dataclass
class Load:
    """Instructions of one core over its ticks; ``most_at``: the number of that with the most.

    Ticks in which its timer did not run are not among them. ``tick_cycles``: how long the core's
    tick is, 200,000 cycles a ms times the time scale factor.
    """

    ticks: int = 0
    total: int = 0
    most: int = 0
    most_at: int = 0
    tick_cycles: int = 0
    _before: tuple[int, int] | None = None

    def tick(self, number: int, executed: int, cycles: int) -> None:
        """A tick begins, at which the core has executed so many instructions in all."""
        if self._before is not None:
            before, executed_before = self._before
            spent = executed - executed_before
            self.ticks, self.total = self.ticks + 1, self.total + spent
            if spent > self.most:
                self.most, self.most_at = spent, before
        self._before, self.tick_cycles = (number, executed), cycles

    def pause(self) -> None:
        """The timer stops: what follows is no part of a tick."""
        self._before = None

    @property
    def mean(self) -> float:
        """Instructions a tick; 0 before the first."""
        return self.total / self.ticks if self.ticks else 0.0

    @property
    def stretch(self) -> tuple[float, float]:
        """Of its tick, what the longest one takes: the least and the most; over 1 it is late."""
        least, most = CYCLES_PER_INSTRUCTION
        cycles = self.tick_cycles or math.inf
        return self.most * least / cycles, self.most * most / cycles


    @property
    def factor(self) -> int:
        """What to multiply the time scale factor by, so that the longest tick surely fits."""
        return max(math.ceil(self.stretch[1]), 1)


def late(where: str, load: Load) -> str | None:
    """What is said of a core that a board may not run in time; None for one that it does."""
    least, most = load.stretch
    if most <= 1:
        return None
    sure = "would exceed" if least > 1 else "may exceed"
    return (
        f"{where} {sure} its tick of {load.tick_cycles / CLOCK * 1e6:g} us: {load.most:,} "
        f"instructions in tick {load.most_at}, at {CYCLES_PER_INSTRUCTION[0]} to "
        f"{CYCLES_PER_INSTRUCTION[1]} cycles each {least:.2f} to {most:.2f} of it (an estimate). "
        f"Multiply the time scale factor by {load.factor}."
    )
