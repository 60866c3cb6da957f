"""SIGINT and SIGTERM within a training: the state is saved first, and nothing stays changed."""

import json
import os
import signal
import threading

import pytest
from support.files import save_splits

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.toy_problem import TEST, TRAIN, config_of, without_times  # noqa: E402

from export.command.arguments import main  # noqa: E402
from snn_ssm import config as configuration  # noqa: E402
from snn_ssm.files import read_arrays  # noqa: E402
from snn_ssm.training import run as training  # noqa: E402
from snn_ssm.training.interruption import Interruption  # noqa: E402
from snn_ssm.training.loop import train  # noqa: E402
from snn_ssm.training.run import Run  # noqa: E402
from snn_ssm.training.run_state import STATE_FILE  # noqa: E402

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers(monkeypatch):
    """No state but the first, those at the ends of epochs, and those asked for by a signal.

    Handlers are Python's, also where the tests run in the background.
    """
    monkeypatch.setattr(training, "_SAVE_EVERY", float("inf"))
    usual = [signal.default_int_handler, signal.SIG_DFL]
    before = [signal.signal(*pair) for pair in zip(SIGNALS, usual, strict=True)]
    yield
    found = [signal.signal(*pair) for pair in zip(SIGNALS, before, strict=True)]
    assert found == usual


def signalled(monkeypatch, call, *numbers):
    """Send this process signals within the ``call``-th step, before its work."""
    step, calls = Run.step, []

    def wrapped(self, *args):
        calls.append(None)
        if len(calls) == call:
            for number in numbers:
                os.kill(os.getpid(), number)
        step(self, *args)

    monkeypatch.setattr(Run, "step", wrapped)


def progress(out):
    state = json.loads(read_arrays(out / STATE_FILE, "state")[1]["progress"])
    return state["epoch"], state["batch"]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_batch_is_finished_and_the_run_continues_to_the_same_result(
    tmp_path, monkeypatch, number
):
    whole = train(config_of(), TRAIN, TEST, tmp_path / "whole")
    with monkeypatch.context() as patch:
        signalled(patch, 7, number)
        with pytest.raises(KeyboardInterrupt, match=r"the state is in .*run; go on with --resume"):
            train(config_of(), TRAIN, TEST, tmp_path / "run")
    assert progress(tmp_path / "run") == (1, 2)
    resumed = train(config_of(), TRAIN, TEST, tmp_path / "run", resume=True)
    assert without_times(resumed) == without_times(whole)


@pytest.mark.parametrize("changes", [{"delays": 4}, {"recurrent": True, "recurrent_delays": 3}])
def test_learned_delays_are_as_wide_where_only_an_epoch_s_end_is_left(
    tmp_path, monkeypatch, changes
):
    """The norms settle by what the epoch's last step had, which the resumed run never made."""
    config = config_of(epochs=2, **changes)
    whole = train(config, TRAIN, TEST, tmp_path / "whole")
    with monkeypatch.context() as patch:
        signalled(patch, 5, signal.SIGINT)  # of 5 batches an epoch
        with pytest.raises(KeyboardInterrupt):
            train(config, TRAIN, TEST, tmp_path / "run")
    assert progress(tmp_path / "run") == (0, 5)
    resumed = train(config, TRAIN, TEST, tmp_path / "run", resume=True)
    assert without_times(resumed) == without_times(whole)


def test_a_second_signal_ends_it_at_once(tmp_path, monkeypatch):
    signalled(monkeypatch, 7, signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(config_of(), TRAIN, TEST, tmp_path / "run")
    assert caught.value.args == ()
    assert progress(tmp_path / "run") == (1, 0)


def test_an_ignored_signal_stays_ignored(tmp_path, monkeypatch):
    signalled(monkeypatch, 2, signal.SIGINT)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    train(config_of(epochs=1), TRAIN, TEST, tmp_path / "run")
    assert signal.signal(signal.SIGINT, before) == signal.SIG_IGN


def test_another_thread_trains_without_noting_signals(tmp_path):
    found = []
    thread = threading.Thread(
        target=lambda: found.append(train(config_of(epochs=1), TRAIN, TEST, tmp_path / "run"))
    )
    thread.start()
    thread.join()
    assert len(found[0]["epochs"]) == 1


def test_a_handler_that_python_did_not_set_becomes_the_default(monkeypatch):
    given = []
    with monkeypatch.context() as patch:
        patch.setattr(signal, "signal", lambda number, handler: given.append(handler))
        with Interruption() as interruption:
            assert not interruption.asked
    assert given[2:] == [signal.SIG_DFL] * 2


def test_the_command_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    text = configuration.dumps(config_of(epochs=1)).replace('"toy"', '"smnist"')
    (tmp_path / "config.toml").write_text(text)
    save_splits(tmp_path / "data", inputs=TRAIN.inputs, labels=TRAIN.labels)
    command = ["train", "smnist", "--config", "config.toml", "--data", "data", "--out", "out"]
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        signalled(patch, 2, signal.SIGTERM)
        assert main(command) == 130
    expected = "snn-ssm: interrupted: the state is in out; go on with --resume\n"
    assert capsys.readouterr().err.endswith(expected)
    assert main([*command, "--resume"]) == 0
