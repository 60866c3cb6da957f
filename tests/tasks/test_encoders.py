"""Encoders of real values: back again within the error that each promises, and causal."""

import numpy as np
import pytest

from snn_ssm.config import ENCODE, ConfigError, TaskConfig
from snn_ssm.tasks.encoders import ENCODERS
from snn_ssm.tasks.encoders.cochlea import bands, envelopes

LOW, HIGH = (-1.0, 2.0), (1.0, 6.0)
RANGED = [name for name, encoder in ENCODERS.items() if encoder.ranged]


def task_of(name, size=4, **keys):
    ends = {"encode_low": LOW, "encode_high": HIGH}
    if not ENCODERS[name].ranged:
        ends = {"encode_low": (200.0,), "encode_high": (2000.0,), "sample_rate": 8000.0}
    return TaskConfig("own", 10, encode=name, encode_size=size, **(ends | keys))


def slow(steps=400):
    """Signals (1, 2, L) of two channels, slow within their ranges."""
    t = np.arange(steps) / steps
    return np.stack([0.95 * np.sin(2 * np.pi * 2 * t), 4 + 1.9 * np.cos(2 * np.pi * 3 * t)])[None]


def test_the_names_are_those_of_the_configuration():
    assert ("none", *ENCODERS) == ENCODE


@pytest.mark.parametrize("name", ENCODERS)
def test_channels_and_bits_are_those_that_come_out(name):
    encoder, task = ENCODERS[name], task_of(name, 5)
    out = encoder.encode(slow(), task)
    assert out.shape == (1, 2 * encoder.channels(5), 400)
    assert out.dtype.kind == "u" and 0 < out.max() < 2 ** encoder.bits(5)


@pytest.mark.parametrize("name", ENCODERS)
def test_it_sees_no_future(name):
    x, task = slow(), task_of(name)
    changed = x.copy()
    changed[..., 200:] = 1e3
    one, two = (ENCODERS[name].encode(v, task) for v in (x, changed))
    assert (one[..., :200] == two[..., :200]).all() and (one != two).any()


@pytest.mark.parametrize("name", RANGED)
@pytest.mark.parametrize("size", [3, 6])
def test_back_again_within_the_error(name, size):
    x, task = slow(4000), task_of(name, size)
    spans = np.subtract(HIGH, LOW)[:, None]
    largest = {
        "levels": spans / 2 ** (size + 1), "crossings": spans / (2 * (size + 1)),
        "delta": spans / 2**size,
    }[name]
    encoder = ENCODERS[name]
    error = np.abs(encoder.inverse(encoder.encode(x, task), task) - x)
    if name == "delta":
        error = error[..., 100:]  # it has to get there from the low end first
    assert (error <= largest * (1 + 1e-9)).all()
    assert (error.max(-1) > 0.5 * largest[:, 0]).all()  # the bound is no idle one


def test_levels_by_hand():
    task = task_of("levels", 1)
    x = np.array([[[-5.0, -1.0, -0.01, 0.0, 0.99, 7.0], [2.0, 3.9, 4.0, 4.1, 6.0, 8.0]]])
    found = ENCODERS["levels"].encode(x, task)[0]
    assert found.tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1]]


def test_crossings_and_delta_by_hand():
    task = TaskConfig("own", 5, encode="crossings", encode_size=1, encode_low=(0.0,),
                      encode_high=(2.0,))
    x = np.array([[[0.0, 1.0, 1.5, 0.5, 2.5]]])
    assert ENCODERS["crossings"].encode(x, task)[0].tolist() == [[0, 1, 0, 0, 1], [0, 0, 0, 1, 0]]
    task = TaskConfig("own", 5, encode="delta", encode_size=1, encode_low=(0.0,),
                      encode_high=(2.0,))
    assert ENCODERS["delta"].encode(x, task)[0].tolist() == [[0, 1, 0, 0, 1], [0, 0, 0, 0, 0]]


def test_a_cochleas_bands_answer_to_their_own_tones_and_its_spikes_to_their_envelopes():
    task = task_of("cochlea", 6, encode_hop=4)
    centres, _ = bands(task)
    t = np.arange(2001) / task.sample_rate
    x = np.stack([np.sin(2 * np.pi * f * t) for f in centres])[:, None]  # (6, 1, L)
    drive = envelopes(x, task)
    assert drive.shape == (6, 6, 501)
    assert (drive[..., 100:].mean(-1).argmax(1) == np.arange(6)).all()
    assert drive.max() <= 1
    spikes = ENCODERS["cochlea"].encode(x, task)
    assert (np.abs(spikes.cumsum(-1) - drive.cumsum(-1)) < 1).all() and spikes.any()


@pytest.mark.parametrize("keys", [
    {"encode": "none of these"}, {"encode": "levels", "encode_size": 17},
    {"encode": "levels", "encode_low": (0.0,)}, {"encode_low": (1.0,), "encode_high": (1.0,)},
    {"encode": "cochlea", "encode_low": (0.0,), "encode_high": (9.0,)}, {"encode_hop": 0},
    {"event_bin": 0.0}, {"event_sensor": (3,)}, {"event_pool": 0}, {"event_polarity": "none"},
])
def test_keys_out_of_range(keys):
    with pytest.raises(ConfigError, match=r"\[task\.(encode|event)_?\w*.*expected"):
        TaskConfig("own", 10, **keys)


def test_own_samples_have_no_other_order():
    with pytest.raises(ConfigError, match=r"is '3 entries'; expected none for the task 'own'"):
        TaskConfig("own", 3, (2, 0, 1))


def test_other_tasks_have_encodings_of_their_own():
    with pytest.raises(ConfigError, match=r"task.encode\] is 'levels'; expected 'none' for a task"):
        TaskConfig("smnist", 10, encode="levels")


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("cuts", [[1, 2, 3, 7, 50, 51, 398], range(1, 400), [200]])
@pytest.mark.parametrize("hop", [1, 3, 16])
def test_a_signal_in_pieces_is_encoded_as_the_whole_is(name, cuts, hop):
    encoder = ENCODERS[name]
    task = task_of(name, 6, encode_hop=hop if encoder.hops else 1)
    x = slow() + np.random.default_rng(0).normal(size=(3, 2, 400))
    whole = encoder.encode(x, task)[..., : 400 // task.encode_hop]
    state = {}
    pieces = [encoder.onwards(piece, task, state) for piece in np.split(x, list(cuts), axis=-1)]
    assert np.array_equal(np.concatenate(pieces, axis=-1), whole) and np.ptp(whole) > 0
