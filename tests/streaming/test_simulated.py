"""The signal in NEST's slices: the same answers, some steps later."""

import numpy as np
import pytest
from support.gated_networks import leaky_network_of, lowered, samples_for
from support.looped_networks import looped_network_of
from support.random_networks import network_of

pytest.importorskip("nest", reason="NEST is not installed")

from export.samples.inputs import InputError
from export.software.simulation import run
from export.streaming import NestSession, Session, StreamError

pytestmark = pytest.mark.usefixtures("quiet_nest")


@pytest.mark.parametrize("longest", [1, 8])
@pytest.mark.parametrize("kind", ["glu", "gsu", "gsu, relayed", "token", "events", "plain"])
def test_answers_are_those_of_software_some_steps_later(kind, longest):
    kind, _, residual = kind.partition(", ")
    network = network_of(0) if kind == "plain" else lowered(kind, residual=residual or "folded")[1]
    samples = samples_for(network, 3)
    signal = np.concatenate(list(samples), axis=1)
    expected = Session(network).steps(signal)
    found, start = [], 0
    with NestSession(network) as session:
        for n in np.random.default_rng(1).integers(1, longest + 1, 100):
            if start >= signal.shape[1]:
                break
            found += session.steps(signal[:, start : start + n])
            start = min(start + n, signal.shape[1])
            assert start - len(found) <= session.latency
        found += session.rest()
    assert [(a.sample, a.step, a.final) for a in found] == [
        (a.sample, a.step, a.final) for a in expected
    ]
    exact = kind not in ("glu", "gsu")  # sums of products, which have an order
    for one, other in zip(found, expected, strict=True):
        assert (one.scores == other.scores).all() or not exact
        assert np.allclose(one.scores, other.scores, rtol=1e-12, atol=1e-12)
    if kind == "plain":
        whole = run(network, samples, membranes=["readout"]).membranes["readout"]
        assert (whole.reshape(-1, whole.shape[2])[-1] / network.readout.kind.terms(
            network.steps
        ) == found[-1].scores).all()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (leaky_network_of(0), "such cells or delays"),
        (looped_network_of(3), "such cells or delays"),
        (network_of(2, delay=3), "such cells or delays"),
        (network_of(0, encoding="current"), "an input of currents"),
    ],
    ids=["lif", "looped", "late", "currents"],
)
def test_what_cannot_stream_in_nest_is_refused(network, message):
    with pytest.raises(StreamError, match=message):
        NestSession(network)


def test_values_that_are_no_step_are_refused():
    with NestSession(network_of(0)) as session, pytest.raises(InputError, match="shape"):
        session.steps([1, 2])
