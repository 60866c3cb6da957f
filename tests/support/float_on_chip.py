"""A network as SpiNNaker 2's own core runs it, and every cell's steps also in the C for ARM.

The C core runs under qemu-arm on what the model computed its cells from: the input of each
population, after its gated inputs where it has any, from rest on.
"""

from typing import NamedTuple
from unittest import mock

import numpy as np

from export.spinnaker2 import own, runner
from pynn_models.errors import SnnSsmError
from pynn_models.spinnaker2 import ActingParameters
from support.arm import float_runner


class OnChip(NamedTuple):
    """``differ``: spikes and membranes that the C has otherwise, of ``compared``; ``acting``: those
    of neurons with a reset or a history."""

    differ: int
    compared: int
    acting: int


def on_chip(executable, network, samples):
    """An :class:`OnChip`, or None for a network that is refused, or not of our own core."""
    calls = {}
    whole = own._Running._input

    def record(self, first, stop):
        u = whole(self, first, stop)
        calls.setdefault(self.population.name, (self.cell, []))[1].append(u)
        return u

    if network.cells != "native":
        return None
    try:
        with mock.patch.object(own._Running, "_input", record):
            run = runner(network)
            names = [p.name for p in network.layers]
            found = run(samples, names)
    except SnnSsmError:
        return None
    differ = compared = acting = 0
    for name, (cell, parts) in calls.items():
        u = np.concatenate(parts, axis=1)
        state = cell.at_rest(len(u))
        fired, membrane = cell.run(u, state, membrane=True)
        if name in found.spikes and found.spikes[name].dtype == np.bool_:
            assert np.array_equal(fired, found.spikes[name]), name
        for b in range(len(u)):
            spikes, y, _ = float_runner.run(executable, cell, u[b])
            differ += int((spikes != fired[b]).sum())
            differ += int((y.view(np.int32) != membrane[b].view(np.int32)).sum())
            compared += 2 * spikes.size
            acting += 2 * spikes.size * isinstance(cell, ActingParameters)
    return OnChip(differ, compared, acting)
