"""Gated networks on SpiNNaker: their mapping by sPyNNaker, read back; what a core cannot hold."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from support import forked
from support.egru_networks import egru_network_of
from support.gated_networks import gated_network_of, lowered, samples_for

from export.boards import execution
from export.boards.config import Board, BoardError
from export.boards.tables import describe
from export.pynn.built import Built
from export.pynn.registry import board_backend
from export.pynn.spinnaker import CoreSizeError, DelayLimitError, max_delay
from export.pynn.spinnaker_gated import SpinnakerGated
from pynn_models.spinnaker import FixedPointError
from pynn_models.spinnaker.gated_words import SenderKeys, gated_bytes, gated_words, shared_words

needs_spynnaker = pytest.mark.skipif(
    importlib.util.find_spec("spynnaker") is None, reason="sPyNNaker is not installed"
)


def test_the_backend_of_a_network():
    for kind in ("glu", "gsu"):
        network = gated_network_of(1, kind)
        backend = board_backend(network)
        assert isinstance(backend, SpinnakerGated) and backend.takes(network)
        assert [p.name for p in backend.mapped(network)] == [p.name for p in network.populations]


def test_the_words_of_a_core(monkeypatch):
    """What neurons share, with the keys that sPyNNaker gives out, then the core's own neurons."""
    network = gated_network_of(2, "gsu", layers=3)
    backend, target = SpinnakerGated(2), network.population("layer2")
    backend._made = {name: name for name in ("layer0", "layer1")}
    given = {"layer0": [(0x100, 0xFFFFFF00, 0)], "layer1": [(0x200, 0xFFFFFF00, 0)]}
    monkeypatch.setattr("export.pynn.spinnaker_gated._routing_keys", lambda made: given[made])
    parameters = backend.gated(network, target).parameters
    words = backend.region(network, target, 3, slice(0, 1))
    keys = [SenderKeys(0x100, 0xFFFFFF00, 0, 4),
            SenderKeys(0x200, 0xFFFFFF00, network.population("layer0").size, 4)]
    clock = backend._clock(network, target, 3)
    assert (clock.first_step, clock.period, clock.sends) == (3, network.steps, True)
    shared = shared_words(parameters, clock, keys)
    assert np.array_equal(words[: len(shared)], shared)
    own = gated_words(parameters)[:1]
    assert own.nbytes == gated_bytes(parameters)
    assert np.array_equal(words[len(shared) :].view(np.int32), own[0])


def test_what_a_core_cannot_hold():
    network = gated_network_of(2, "gsu", layers=3)
    with pytest.raises(CoreSizeError, match=r"'layer2': 256 neurons a core; expected at most 128"):
        board_backend(network, 256).check(network)
    with pytest.raises(CoreSizeError, match=r"300 neurons a core; expected 1 to 256"):
        board_backend(network, 300).check(network)
    late = gated_network_of(2, "gsu", layers=3, delay=6)
    with pytest.raises(FixedPointError, match="delay of 18 steps, expected at most 15"):
        board_backend(late).check(late)
    assert (max_delay(64), max_delay(64, 6), max_delay(256, 14), max_delay(256, 64)) == (
        128, 32, 4, 1
    )
    slow = gated_network_of(2, "glu", layers=3, delay=90)
    with pytest.raises(DelayLimitError, match=r"delay 270 steps; expected at most 128 with 8"):
        board_backend(slow, 8).check(slow)


@pytest.fixture(autouse=True)
def workers():
    with forked.workers():
        yield


@needs_spynnaker
def test_mapping_weights_and_parameters():
    """Two cores a layer; projections, keys, tables and matrices as sPyNNaker would load them."""
    _, network, samples = lowered("gsu", 3, steps=12, count=1, channels=10, depth=2)
    run = execution.execute(network, samples, Board(neurons_per_core=5))
    report = run.report
    assert run.recording is None
    spikes = [p for p in network.projections if not p.graded]
    assert report["weights"]["differing"] == 0 and report["weights"]["synapses"] == 1000
    assert report["weights"]["projections"] == len(spikes)
    assert report["parameters"]["differing"] == 0 and report["parameters"]["words"] > 7000
    text = describe(network, Board(), report)
    assert "stream" in text and "0 differ from the planned ones" in text
    hint = "takes far fewer: export with --residual relayed."
    assert hint not in text  # it keeps up as it is
    fast = replace(network, timestep=0.02)
    assert hint in describe(fast, Board(), report)
    _, relayed, _ = lowered("gsu", 3, steps=12, residual="relayed", channels=10, depth=2)
    fast = replace(relayed, timestep=0.02)
    row = {"neurons": 10, "cores": 2, "per_core": 5, "chips": [(0, 0)], "sdram": 0}
    mapped = report | {"populations": [row | {"name": p.name} for p in relayed.populations]}
    text = describe(fast, Board(), mapped)
    assert "stream0" in text and hint not in text


@needs_spynnaker
def test_event_based_units_are_mapped():
    """Loops, four receptors, the keys of a layer's own cores among those that it hears."""
    network = egru_network_of(3, layers=2, steps=12)
    run = execution.execute(network, samples_for(network, 1), Board(neurons_per_core=2))
    report = run.report
    assert report["weights"]["differing"] == 0 and report["weights"]["synapses"] > 0
    assert report["parameters"]["differing"] == 0 and report["parameters"]["words"] > 2000
    assert "layer1" in describe(network, Board(), report)


@needs_spynnaker
def test_a_board_without_the_program_is_refused(monkeypatch):
    monkeypatch.delenv("SNN_SSM_APLX", raising=False)
    network = gated_network_of(1, "glu")
    with pytest.raises(BoardError, match=r"state_space_gated.aplx.*SNN_SSM_APLX"):
        execution.execute(network, samples_for(network, 1), Board("127.0.0.1"))


def test_graded_projections_have_no_synapses():
    network = gated_network_of(1, "gsu")
    backend = SpinnakerGated()
    built = Built(network, network, "pyNN.spiNNaker", 1, 1.0, {}, backend)
    graded = next(p for p in network.projections if p.graded)
    built.projections[graded.source, graded.target, graded.receptor] = {}
    assert built.projections_of(graded) is None
