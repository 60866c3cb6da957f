"""NEST in threads: every spike and every membrane is that of one thread."""

import os

import numpy as np
import pytest
from support.gated_networks import lowered
from support.lif_networks import lif_network
from support.lif_networks import samples_of as lif_samples
from support.nest_simulator import IN_NEST, nest
from support.random_networks import checkpoint_of, samples_of

from export.lowering.network import lower
from export.pynn.built import BackendError, run
from export.pynn.simulators import simulator
from export.verification.backends import Options, UnknownBackendError, runner, runners

pytestmark = IN_NEST


def made(kind):
    """A network and samples: of native cells, one of the gated ones, LIF (in turn) or stock."""
    if kind == "lif":
        network = lif_network(1, steps=20)
        return network, lif_samples(network, 3)
    if kind in ("native", "stock"):
        stock = {"cells": "stock", "mode_init": "s4d-real", "modes": 1}
        checkpoint = checkpoint_of(2, steps=20, **(stock if kind == "stock" else {}))
        return lower(checkpoint, delay=2), samples_of(checkpoint, 2)
    return lowered(kind, 3, steps=15, count=2)[1:]


@pytest.mark.parametrize("kind", ["native", "glu", "gsu", "lif", "stock"])
def test_two_threads_compute_what_one_does(kind):
    network, samples = made(kind)
    names = [p.name for p in (network.populations if network.family.streams else network.layers)]
    expected = run("nest", network, samples, membranes=names)
    assert nest.local_num_threads == 1
    found = run("nest", network, samples, membranes=names, threads=2)
    assert nest.local_num_threads == 2
    assert sum(int(spikes.sum()) for spikes in expected.spikes.values()) > 50
    for name, spikes in expected.spikes.items():
        assert (found.spikes[name] == spikes).all(), name
    for name in names:
        assert (found.membranes[name] == expected.membranes[name]).all(), name


def test_the_backend_is_told_its_threads():
    network, samples = made("native")
    runner("nest", network, Options(threads=2))(samples, [])
    assert nest.local_num_threads == 2
    compared, _ = runners(["software", "nest"], network, None, threads=2)
    found = [run(samples, []).spikes["layer0"] for run in compared.values()]
    assert (found[0] == found[1]).all() and nest.local_num_threads == 2


def test_waiting_threads_do_not_spin(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    simulator("nest")
    assert os.environ["OMP_WAIT_POLICY"] == "passive"


def test_threads_that_cannot_be():
    network, samples = made("lif")
    with pytest.raises(BackendError, match="0 threads; expected at least 1"):
        run("nest", network, samples, threads=0)
    with pytest.raises(BackendError, match="pyNN.mock computes in one; expected 1. Share the"):
        run("mock", network, np.asarray(samples), threads=2)
    with pytest.raises(UnknownBackendError, match="none of the backends software, neuron computes"):
        runners(["software", "neuron"], network, None, threads=2)
