"""Recordings that come step by step are what training made of whole ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.random_networks import checkpoint_of

from export.lowering import lower
from export.samples.inputs import InputError
from export.streaming import FrontEnd, Session, StreamError, front_end
from snn_ssm.config import TaskConfig
from snn_ssm.tasks.encoders import ENCODERS
from snn_ssm.tasks.own.encoded import encoded
from snn_ssm.tasks.own.recordings import Recordings

STEPS = 12
KINDS = {
    "levels": {"encode_low": (-1.0, 0.0), "encode_high": (1.0, 3.0), "encode_size": 3},
    "crossings": {"encode_low": (-1.0, 0.0), "encode_high": (1.0, 3.0), "encode_size": 3},
    "delta": {"encode_low": (-1.0, 0.0), "encode_high": (1.0, 3.0), "encode_size": 3},
    "cochlea": {"encode_low": (50.0,), "encode_high": (400.0,), "encode_size": 3,
                "encode_hop": 4, "sample_rate": 1000.0},
    "none": {},
}


def network_of(name, stride=1):
    task = TaskConfig("own", STEPS, encode=name, stride=stride if name != "cochlea" else 1,
                      columns=("left", "right"), **KINDS[name])
    encoder = ENCODERS[name] if name != "none" else None
    channels = 2 * (encoder.channels(task.encode_size) if encoder else 1)
    bits = encoder.bits(task.encode_size) if encoder else 0
    checkpoint = checkpoint_of(0, inputs=channels, input_bits=bits)
    return lower(replace(checkpoint, config=replace(checkpoint.config, task=task)))


def recorded(front, samples=2):
    rng = np.random.default_rng(1)
    return rng.normal(size=(2, samples * front.recorded)).cumsum(1) / 4


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_samples_in_pieces_are_those_that_are_read_whole(name, stride, size):
    network = network_of(name, stride)
    front = FrontEnd(network)
    signal = recorded(front)
    samples = np.stack(np.split(signal, 2, axis=1))
    whole = encoded(Recordings(Path("x"), samples), front.task).inputs
    cuts = range(size, signal.shape[1], size)
    found = [front.steps(piece) for piece in np.split(signal, cuts, axis=1)]
    assert (np.concatenate(found, axis=1) == np.concatenate(list(whole), axis=1)).all()
    assert whole.shape[-1] == STEPS


@pytest.mark.parametrize("name", KINDS)
def test_a_state_goes_on(name, tmp_path):
    network = network_of(name, 2)
    front = FrontEnd(network)
    signal = recorded(front)
    answers = Session(network).steps(FrontEnd(network).steps(signal))
    cut = front.recorded + 7
    session = Session(network)
    before = session.steps(front.steps(signal[:, :cut]))
    session.save(tmp_path / "state", front)
    other = FrontEnd(network)
    session = Session.load(network, tmp_path / "state", front=other)
    after = session.steps(other.steps(signal[:, cut:]))
    assert [list(a.scores) for a in (*before, *after)] == [list(a.scores) for a in answers]
    session.save(tmp_path / "alone")
    with pytest.raises(StreamError, match="holds no state of this network"):
        Session.load(network, tmp_path / "alone", front=FrontEnd(network))


def test_an_endless_recording_begins_anew_nowhere():
    network = network_of("crossings")
    front = FrontEnd(network, endless=True)
    signal = recorded(front, 3)
    whole = ENCODERS["crossings"].encode(signal[None], front.task)[0]
    found = [front.steps(signal[:, k : k + 5]) for k in range(0, signal.shape[1], 5)]
    assert (np.concatenate(found, axis=1) == whole).all()


@pytest.mark.parametrize(("values", "said"), [
    ([[1.0]], r"have shape \(1, 1\); expected 2 a step, one a channel: left, right\. Give"),
    ([[1.0], [np.nan]], "not all finite numbers; expected 2 a step"),
    ([["a"], ["b"]], "are no numbers"),
    ([1.0, 2.0], r"have shape \(2,\)"),
])
def test_what_is_no_step_is_refused_and_takes_nothing(values, said):
    network = network_of("delta")
    front, other = FrontEnd(network), FrontEnd(network)
    signal = recorded(front, 1)
    front.steps(signal[:, :3])
    with pytest.raises(InputError, match=said):
        front.steps(values)
    assert (front.steps(signal[:, 3:]) == other.steps(signal)[:, 3:]).all()


def test_only_own_recordings_that_are_changed_have_a_front_end():
    assert front_end(network_of("none")) is None
    assert front_end(network_of("none", 3)) is not None
    network = network_of("none", 3)
    task = network.origin["task"] | {"name": "smnist", "columns": []}
    assert front_end(replace(network, origin=dict(network.origin) | {"task": task})) is None
    said = front_end(network_of("cochlea"), endless=True).words()
    assert said == (
        "a line holds recorded values of left, right; they are encoded by 'cochlea' as in "
        "training, 4 lines a step"
    )
