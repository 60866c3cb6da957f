"""A live run: the process that holds sPyNNaker, seen from the other end."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.gated_networks import leaky_network_of

from export.boards import live
from export.boards.config import Board, BoardError
from export.pynn.spinnaker import CoreSizeError, DelayLimitError

NETWORK = leaky_network_of(0)
BOARD = Board("127.0.0.77")


@pytest.fixture
def run(monkeypatch):
    """A live run whose worker says these events."""

    def made(*events):
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        monkeypatch.setenv("LIVE_EVENTS", json.dumps(events))
        stands_in = SimpleNamespace(__name__="support.live_worker")
        monkeypatch.setattr(live, "live_worker", stands_in)
        return live.LiveRun(NETWORK, BOARD)

    return made


def test_events_come_in_order_also_those_before_the_start(run):
    with run(["clock", 0], ["clock", 1], ["start"], ["heard"], ["clock", 2], ["end"]) as made:
        made.send([1, 3])
        found = []
        while made.recording is None:
            found += made.events()
        assert found == [
            ("clock", 0), ("clock", 1), ("spikes", "input", 0, [1, 3]), ("clock", 2), ("end",)
        ]
        assert list(made.events()) == []  # the run has ended
        made.send([1])  # and nobody listens
    assert made.recording.spikes["input"].shape == (1, 3, 2)
    assert not made._directory.exists()


def test_what_the_worker_is_refused_for_is_raised(run):
    told = ["error", "DelayLimitError", "too long"]
    with pytest.raises(DelayLimitError, match="too long"), run(told):
        pass
    with run(["start"], ["error", "AnotherError", "why"]) as made, pytest.raises(BoardError):
        list(made.events())


def test_a_worker_that_ends_without_a_word_says_what_it_last_said(run):
    message = "ended with status 3 and no result; it said it came to nothing. Run it once more"
    with pytest.raises(BoardError, match=message), run(["exit"]):
        pass
    with run(["start"], ["exit"]) as made:
        for _ in range(2):  # also when asked again
            with pytest.raises(BoardError, match=message):
                list(made.events())


def test_a_run_that_is_left_is_ended(run):
    with run(["start"], ["heard"], ["end"]) as made:
        process = made._process
    assert process.returncode is not None


def test_what_no_board_can_run_is_refused_before_it_starts():
    with pytest.raises(BoardError, match="the virtual board only maps"):
        live.LiveRun(NETWORK, Board())
    with pytest.raises(CoreSizeError):
        live.LiveRun(NETWORK, Board("127.0.0.77", neurons_per_core=1000))
