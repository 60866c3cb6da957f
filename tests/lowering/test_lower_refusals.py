"""What does not lower says where it is, and what to train or to give instead."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from support.random_networks import checkpoint_of, with_array

from export.description.network import NetworkError
from export.description.quantisation import Quantiser
from export.lowering.network import LoweringError, lower
from pynn_models import SnnSsmError
from snn_ssm.checkpoint import Checkpoint, CheckpointError
from snn_ssm.files import FileError


def refusal(checkpoint, error=LoweringError, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error) as caught:
            lower(checkpoint, **options)
    return str(caught.value)


@pytest.mark.parametrize(("changes", "where", "remedy"), [
    ({"norm": "layer"}, "blocks.0.norm: a layer norm", 'model.norm = "batch"'),
    ({"bidirectional": True}, "blocks.0.ssm: a bidirectional layer",
     "model.bidirectional = false"),
    ({"activation": "gelu"}, "blocks.0: the activation 'gelu' is not a spike",
     'model.activation = "heaviside"'),
    ({"activation": "ternary"}, "blocks.0: the activation 'ternary' compares with the largest",
     'model.activation = "ternary-constant"'),
    ({"activation": "ternary", "mixing": "gsu", "gsu_norm": "batch"},
     "blocks.0: the activation 'ternary' compares", 'model.activation = "ternary-constant"'),
    ({"activation": "ternary-constant", "mixing": "gsu"}, "blocks.0.mixing.norm: a layer norm",
     'model.gsu_norm = "batch"'),
    ({"architecture": "transformer", "channels": 8}, "blocks.0.attention: a transformer",
     'model.architecture = "state-space"'),
    ({"pair": True}, "decoder: it reads products of two sequences' features",
     "model.pair = false"),
])
def test_a_model_that_does_not_lower_says_what_to_train(changes, where, remedy):
    message = refusal(checkpoint_of(**changes))
    assert message.startswith(where) and f"Train with {remedy}." in message


@pytest.mark.parametrize("init", ["s4d-lin", "s4d-real"])
@pytest.mark.parametrize(("a", "found"), [(-1000.0, "-0.0"), (1000.0, "-inf")])
def test_a_mode_that_does_not_decay(init, a, found):
    def change(array):
        array[3, 2] = a

    broken = with_array(checkpoint_of(mode_init=init), "blocks.1.ssm.a", change)
    message = refusal(broken)
    assert f"blocks.1.ssm: mode [3, 2] has Re(lambda) = {found}; expected a finite" in message
    assert "Retrain with a lower training.mode_rate" in message


@pytest.mark.parametrize(("init", "method", "leaf", "value", "found"), [
    ("s4d-lin", "zoh", "a", 12.0, "0.0"),  # exp(-10^5) underflows
    ("s4d-real", "zoh", "a", 12.0, "0.0"),
    ("s4d-lin", "zoh", "log_dt", -1000.0, "1.0"),
    ("s4d-real", "bilinear", "log_dt", -1000.0, "1.0"),
    ("s4d-lin", "zoh", "log_dt", 1000.0, "nan"),
    ("s4d-real", "zoh", "log_dt", 1000.0, "nan"),
    ("s4d-lin", "bilinear", "log_dt", 1000.0, "nan"),
    ("s4d-real", "bilinear", "log_dt", 1000.0, "nan"),
])
def test_a_pole_that_is_no_leak_in_float64(init, method, leaf, value, found):
    def change(array):
        array[3] = value

    checkpoint = checkpoint_of(mode_init=init, discretisation=method)
    broken = with_array(checkpoint, f"blocks.0.ssm.{leaf}", change)
    message = refusal(broken)
    assert message.startswith("blocks.0.ssm: mode [3, 0] has |abar| = ")
    assert "expected between 0 and 1, both excluded" in message
    assert "Retrain with steps Delta in a narrower range" in message
    if found != "nan":  # what an infinite step gives depends on the arithmetic
        assert f"|abar| = {found};" in message


@pytest.mark.parametrize("timestep", [0, 0.0, -1, -0.5, math.nan, math.inf])
def test_a_timestep(timestep):
    message = refusal(checkpoint_of(), timestep=timestep)
    assert f"timestep is {timestep} ms; expected a positive number" in message
    assert "--timestep" in message


@pytest.mark.parametrize("delay", [0, -1])
def test_a_delay(delay):
    message = refusal(checkpoint_of(), NetworkError, delay=delay)
    assert f"latency {delay}; expected at least 1 step" in message


def test_an_encoding():
    for changes in ({}, {"encoder": "embedding", "inputs": 5}):
        message = refusal(checkpoint_of(**changes), NetworkError, encoding="rate")
        assert "encoding 'rate' is unknown; use one of bits, current, token, spikes, q" in message
    message = refusal(checkpoint_of(input_bits=0), encoding="bits")
    assert "it reads real values, whose bits are those of a quantiser" in message
    message = refusal(checkpoint_of(), encoding="quantised")
    assert "the input encoding 'quantised' needs a quantiser; expected the range" in message


@pytest.mark.parametrize(("changes", "encoding", "channels", "said"), [
    ({}, "bits", 1, "it reads integers of 4 bits, which are spikes as they are; expected real"),
    ({"encoder": "embedding", "inputs": 5, "input_bits": 0}, None, 1, "it reads symbols, which"),
    ({"input_bits": 0}, "current", 1, "gives bits, and the input encoding is 'current'. Export"),
    ({"input_bits": 0}, None, 2, "a quantiser of 2 channels; expected 1, those that the model"),
])
def test_a_quantiser_that_the_encoder_does_not_read(changes, encoding, channels, said):
    quantiser = Quantiser(8, (3,) * channels)
    message = refusal(checkpoint_of(**changes), encoding=encoding, quantiser=quantiser)
    assert message.startswith("encoder: ") and said in message and "--data" in message


def test_weights_that_have_no_such_units():
    checkpoint = with_array(
        checkpoint_of(input_bits=0), "encoder.weight", lambda a: a.__setitem__((2, 0), 1e-20)
    )
    message = refusal(checkpoint, quantiser=Quantiser(8, (90,)))
    assert message.startswith("encoder.weight[2, 0] is 1e-20, which in units of 2^-90 is no float")


@pytest.mark.parametrize(("changes", "encoding", "said"), [
    ({}, "token", ("a linear encoder", "'token'", "'bits', 'current' or 'spikes'", "embedding")),
    *(
        ({"encoder": "embedding", "inputs": 5}, given,
         ("an embedding", repr(given), "'token'", "linear"))
        for given in ("bits", "current", "spikes")
    ),
])
def test_an_encoding_that_the_encoder_does_not_read(changes, encoding, said):
    encoder, found, expected, remedy = said
    message = refusal(checkpoint_of(**changes), encoding=encoding)
    assert message == (
        f"encoder: {encoder} does not read the input encoding {found}; expected {expected}. "
        f"Leave out --input, or train with model.encoder = \"{remedy}\"."
    )


@pytest.mark.parametrize("bits", [2, 8])
def test_integers_are_no_events(bits):
    message = refusal(checkpoint_of(input_bits=bits), encoding="spikes")
    assert message.startswith(f"encoder: a channel of {bits} bits is no spike of value 0 or 1")
    assert "--input bits" in message and "model.input_bits = 1" in message


@pytest.mark.parametrize("changes", [
    {}, {"mixing": "glu"}, {"cells": "lif"}, {"encoder": "embedding", "inputs": 5},
])
def test_cells_of_a_simulator_need_training_for_them(changes):
    checkpoint = checkpoint_of(**changes)
    kind = checkpoint.config.model.cells
    message = refusal(checkpoint, cells="stock")
    assert message == (
        f"blocks.0.ssm: the model has {kind} cells, which IF_curr_exp cannot be. Leave out "
        f"--cells, or train with model.cells = \"stock\"."
    )


@pytest.mark.parametrize("trained", ["native", "stock"])
def test_a_reset_is_not_put_in(trained):
    changes = {"mode_init": "s4d-real", "modes": 1} if trained == "stock" else {}
    message = refusal(checkpoint_of(cells=trained, **changes), cells="lif")
    assert message == (
        f"blocks.0.ssm: the model has {trained} cells, which lif cells cannot be: one leaks and "
        "resets to 0 after a spike, the other need not. Leave out --cells, or train with "
        'model.cells = "lif".'
    )


def test_a_threshold_that_overflows():
    def change(array):
        array[4] = 1000.0

    checkpoint = checkpoint_of(activation="ternary-constant")
    message = refusal(with_array(checkpoint, "blocks.1.log_threshold", change))
    assert message == (
        "blocks.1.log_threshold: the threshold [4] is inf; expected a finite number. Retrain with "
        "a lower training.rate."
    )


def test_stock_cells_that_are_none():
    stock = checkpoint_of(cells="stock", mode_init="s4d-real", modes=1)

    def zero(array):
        array[2] = 0.0

    def huge(array):
        array[2] = 1000.0

    message = refusal(with_array(stock, "blocks.1.norm.weight", zero))
    assert message == (
        "blocks.1.norm: a scale of 0 leaves a neuron without input. Retrain, or prune the channel."
    )
    message = refusal(with_array(stock, "blocks.0.ssm.a", huge))
    assert message == (
        "blocks.0.ssm: a decay overflows. Retrain with a lower training.mode_rate."
    )


def test_arrays_that_do_not_fit():
    checkpoint = checkpoint_of()
    config = replace(checkpoint.config, model=replace(checkpoint.config.model, channels=7))
    assert "its configuration asks for (7, 1)" in refusal(
        Checkpoint(config, checkpoint.arrays), CheckpointError
    )


def test_a_parameter_that_is_not_finite():
    def change(array):
        array[2, 1] = np.nan

    broken = with_array(checkpoint_of(), "blocks.0.mixing.weight", change)
    assert "blocks.0.mixing.weight[2, 1] is nan" in refusal(broken, FileError)


def test_errors_are_the_projects_own():
    assert issubclass(LoweringError, SnnSsmError)


def test_a_stream_that_is_a_sum_of_spikes_is_not_relayed():
    message = refusal(checkpoint_of(), residual="relayed")
    assert message.startswith("blocks.0.mixing: with linear mixing the stream is a sum of spikes")
    assert 'Leave out --residual, or train with model.mixing = "glu" or "gsu".' in message
    assert refusal(checkpoint_of(mixing="glu"), residual="sent") == (
        "residual 'sent'; use one of folded, relayed."
    )
