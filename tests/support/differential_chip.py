"""A configuration in SpiNNaker's integers, and every native neuron's steps also in the C for ARM.

The C core runs under qemu-arm on what the integer model computed its neurons from: the input of
each population, after its gated inputs where it has any, and the state before.
"""

from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock

import numpy as np

from export.fixed_point import gated_plan, native
from export.fixed_point import simulation as integers
from pynn_models.errors import SnnSsmError
from pynn_models.spinnaker import NativeState, neuron_words, run_native
from support.arm import runner


class OnChip(NamedTuple):
    """``differ``: spikes, membranes and words of state that the C has otherwise, of ``compared``;
    ``acting``: those of neurons with a reset or a history; ``spikes`` of the integer model."""

    differ: int
    compared: int
    acting: int
    spikes: dict


@contextmanager
def _recorded():
    """The calls of run_native in it: parameters, u, the state before, the run."""
    calls = []

    def record(parameters, u, *, initial=None, membrane=False):
        run = run_native(parameters, u, initial=initial, membrane=True)
        calls.append((parameters, u, initial, run))
        return run if membrane else run._replace(membrane=None)

    with (
        mock.patch.object(native, "run_native", record),
        mock.patch.object(gated_plan, "run_native", record),
    ):
        yield calls


def _of_sample(state, b):
    """The state of one sample."""
    parts = (None if x is None else x[b : b + 1] for x in state)
    return NativeState(*parts)


def on_chip(executable, network, samples):
    """An :class:`OnChip`, or the name of the error that refuses the network."""
    with _recorded() as calls:
        try:
            recording = integers.run(network, samples)
        except SnnSsmError as error:
            return type(error).__name__
    differ = compared = acting = 0
    for parameters, u, initial, run in calls:
        for b in range(len(u)):
            before = None if initial is None else _of_sample(initial, b)
            spikes, y, words = runner.run(executable, parameters, u[b], initial=before)
            after = neuron_words(parameters, _of_sample(run.state, b))
            pairs = (spikes, run.spikes[b]), (y, run.membrane[b]), (words, after)
            differ += sum(int((one != other).sum()) for one, other in pairs)
            count = 2 * spikes.size + words.size
            compared += count
            if parameters.reset is not None or parameters.history is not None:
                acting += count
    return OnChip(differ, compared, acting, recording.spikes)


def matching(found, expected):
    """Spikes that are the other backend's, and their number, of both recordings."""
    differ = sum(int((spikes != expected[name]).sum()) for name, spikes in found.items())
    return differ, sum(int(np.asarray(spikes).sum()) for spikes in expected.values())
