"""Samples shared out over processes: the same recordings in order, errors told, no process left."""

import multiprocessing
import os
import time
from dataclasses import dataclass

import numpy as np
import pytest
from support.random_networks import network_of, network_samples

from export.samples.recording import Recording
from export.software import simulation as software
from export.verification.backends import Options, UnknownBackendError, runner
from export.verification.backends.processes import ProcessesError, shared_out
from pynn_models import SnnSsmError

NETWORK = network_of(3)


class WrongError(SnnSsmError):
    """What a backend may raise."""


@dataclass(frozen=True)
class Marked:
    """A backend that answers with its samples; of a sample of 1 with an error, of 2 with its end.
    """

    name: str = "marked"

    def __call__(self, network, options):
        return self.run

    def run(self, samples, membranes):
        if (samples == 1).any():
            raise WrongError(f"sample {np.argwhere(samples == 1)[0][0]} is 1; expected others.")
        if (samples == 2).any():
            os._exit(1)
        values = samples.transpose(0, 2, 1).astype(float)
        return Recording(
            self.name, 1.0, {"layer0": values % 2 == 1}, {"layer0": values}, values[:, -1], values
        )


def test_the_recording_is_that_of_one_process():
    samples = network_samples(NETWORK, 5)
    names = [p.name for p in NETWORK.layers]
    found = runner("software", NETWORK, Options(processes=2))(samples, names)
    expected = software.run(NETWORK, samples, membranes=names)
    assert found.backend == "software" and found.timestep == NETWORK.timestep
    for name in names:
        assert (found.spikes[name] == expected.spikes[name]).all()
        assert (found.membranes[name] == expected.membranes[name]).all()


def test_order_scores_and_errors():
    before = set(multiprocessing.active_children())
    samples = np.arange(3, 3 + 5 * 3 * 4).reshape(5, 3, 4)
    run = shared_out(Marked(), NETWORK, Options(processes=2))
    for some in (samples, samples[:1]):  # of one sample there is nothing to share out
        found, expected = run(some, []), Marked().run(some, [])
        assert (found.spikes["layer0"] == expected.spikes["layer0"]).all()
        assert (found.logits == expected.logits).all()
        assert (found.running == expected.running).all()
    with pytest.raises(WrongError, match="sample 0 is 1; expected others"):
        run(np.ones((4, 3, 4), int), [])
    begun = time.monotonic()
    for child in set(multiprocessing.active_children()) - before:  # none goes on
        while child.is_alive():  # also said of one whose end another thread is just told of
            assert time.monotonic() - begun < 20
            time.sleep(0.02)


def test_a_process_that_ends_on_its_own():
    run = shared_out(Marked(), NETWORK, Options(processes=2))
    with pytest.raises(ProcessesError, match=r"one of 2 processes ended while it ran 4 samples"):
        run(np.full((4, 3, 4), 2), [])


def test_numbers_of_processes_that_are_refused():
    with pytest.raises(ProcessesError, match="--processes is 0; expected at least 1"):
        runner("software", NETWORK, Options(processes=0))
    with pytest.raises(UnknownBackendError, match="the backend spinnaker runs on one board"):
        runner("spinnaker", NETWORK, Options(processes=2))
