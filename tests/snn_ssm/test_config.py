"""Configurations: TOML there and back, and what every refusal says."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynn_models import SnnSsmError
from snn_ssm import config
from snn_ssm.config import Config, ConfigError, ModelConfig, TaskConfig, TrainingConfig
from snn_ssm.kinds import OUTPUTS

small = st.integers(1, 5000)
positive = st.floats(1e-300, 1e300)
rates = st.floats(1e-300, 1e6)
steps_and_order = st.integers(1, 40).flatmap(
    lambda n: st.tuples(st.just(n), st.one_of(st.just(()), st.permutations(range(n)).map(tuple)))
)
tasks = st.builds(
    lambda name, task, count: TaskConfig(name, *task, train_samples=count),
    st.text(max_size=20),
    steps_and_order,
    st.integers(0, 10**6),
)


def divisors(n):
    return [k for k in range(1, n + 1) if n % k == 0]


channels_and_sets = st.integers(1, 200).flatmap(
    lambda n: st.tuples(st.just(n), st.sampled_from([0, *divisors(n)]))
)
# Keys of every network, in any combination, and keys that only state-space cells leave free.
COMMON = {
    "inputs": small,
    "classes": small,
    "depth": small,
    "input_bits": st.integers(0, 16),
    "input_scale": st.one_of(positive, positive.map(lambda v: -v)),
    "heads": small,
    "surrogate": st.sampled_from(config.SURROGATES),
    "surrogate_slope": positive,
    "prenorm": st.booleans(),
    "dropout": st.floats(0, 1, exclude_max=True),
    "output_and_pooling": st.one_of(
        st.tuples(st.just("classes"), st.booleans(), st.sampled_from(["mean", "last"])),
        st.tuples(
            st.sampled_from(list(OUTPUTS)), st.just(False),
            st.sampled_from(config.POOLINGS),
        ),
    ),
    "pooling_tau": st.floats(1e-300, 2**24),
    "weight_bits": st.sampled_from([0, *range(2, 17)]),
}
NATIVE = {
    "encoder": st.sampled_from(config.ENCODERS),
    "modes": small,
    "mode_init": st.sampled_from(config.MODE_INITS),
    "mixing_and_activation": st.one_of(
        st.tuples(st.sampled_from(["linear", "glu"]), st.sampled_from(config.ACTIVATIONS)),
        st.tuples(st.just("gsu"), st.sampled_from(["ternary", "ternary-constant"])),
    ),
    "gsu_weights": st.sampled_from([1, 2]),
    "gsu_norm": st.sampled_from(config.NORMS),
    "quantised": st.sampled_from([(False, "zoh"), (False, "bilinear"), (True, "zoh")]),
    "bidirectional": st.booleans(),
    "norm": st.sampled_from(config.NORMS),
}
STOCK = {"mode_init": "s4d-real", "modes": 1, "cells": "stock"}


def model(steps, channels, **keys):
    """A ModelConfig whose ranges and combinations hold."""
    mixing, activation = keys.pop("mixing_and_activation", ("linear", "heaviside"))
    output, pair, pooling = keys.pop("output_and_pooling")
    quantised, method = keys.pop("quantised", (False, "zoh"))
    if keys.get("mode_init") == "legt":  # of which there are few
        keys["modes"] = min(keys["modes"], 8)
    return ModelConfig(
        dt_min=min(steps), dt_max=max(steps), channels=channels[0], n_ssm=channels[1],
        output=output, pair=pair, pooling=pooling, mixing=mixing, activation=activation,
        quantise_decays=quantised, discretisation=method,
        **keys,
    )


spans = st.tuples(positive, positive)
alone = small.map(lambda n: (n, 0))
models = st.one_of(
    st.builds(model, spans, channels_and_sets, **COMMON, **NATIVE),
    st.builds(model, spans, alone, **COMMON, **{k: st.just(v) for k, v in STOCK.items()}),
    st.builds(model, spans, alone, **COMMON, cells=st.just("lif")),
    st.builds(
        model, spans, small.map(lambda n: (12 * n, 0)),
        **{**COMMON, "heads": st.sampled_from([1, 2, 3, 4, 6, 12])},
        architecture=st.just("transformer"),
    ),
)
trainings = st.builds(
    TrainingConfig,
    epochs=small,
    batch_size=small,
    rate=rates,
    mode_rate=rates,
    weight_decay=st.floats(0, 1e6),
    warmup=st.floats(0, 1, exclude_max=True),
    clip=positive,
    seed=st.integers(0, 2**63 - 1),
    precision=st.sampled_from(config.PRECISIONS),
    rate_penalty=st.floats(0, 1e300),
    rate_target=st.floats(0, 1, exclude_max=True),
    select=st.sampled_from(config.SELECTIONS),
    value_loss=st.sampled_from(config.LOSSES),
    huber_delta=rates,
)


@settings(max_examples=30)
@given(st.builds(Config, tasks, models, trainings))
def test_toml_there_and_back(original):
    text = config.dumps(original)
    again = config.loads(text)
    assert again == original
    assert config.dumps(again) == text


def test_the_defaults_are_an_empty_file():
    assert config.loads("") == Config()


def test_a_file_there_and_back(tmp_path):
    original = Config(training=TrainingConfig(epochs=3))
    path = tmp_path / "c.toml"
    path.write_text(config.dumps(original), encoding="utf-8")
    assert config.load(path) == original


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        config.loads(text, "my.toml")
    message = str(caught.value)
    assert message.startswith("my.toml")
    return message


@pytest.mark.parametrize(("table", "key", "value", "expected"), [
    ("task", "steps", 0, "a positive number of steps"),
    ("task", "steps", -3, "a positive number of steps"),
    ("task", "train_samples", -1, "0 (all) or a positive number"),
    ("task", "valid_fold", "0/4", "empty (none), or I/K with 1 <= I <= K, K >= 2"),
    ("task", "valid_fold", "5/4", "empty (none), or I/K with 1 <= I <= K, K >= 2"),
    ("task", "valid_fold", "1/1", "empty (none), or I/K with 1 <= I <= K, K >= 2"),
    ("task", "valid_fold", "1", "empty (none), or I/K with 1 <= I <= K, K >= 2"),
    ("task", "valid_fold", "1/ 4", "empty (none), or I/K with 1 <= I <= K, K >= 2"),
    ("task", "valid_fold", "²/4", "empty (none), or I/K with 1 <= I <= K, K >= 2"),
    ("task", "valid_fold", "-1/4", "empty (none), or I/K with 1 <= I <= K, K >= 2"),
    ("model", "architecture", "rnn", "one of state-space, transformer"),
    ("model", "cells", "adaptive", "one of native, stock, lif"),
    ("model", "inputs", 0, "1 to 65536"),
    ("model", "heads", 0, "1 to 65536"),
    ("model", "classes", 0, "1 to 65536"),
    ("model", "channels", -1, "1 to 65536"),
    ("model", "depth", 0, "1 to 65536"),
    ("model", "modes", 0, "1 to 65536"),
    ("model", "channels", 10**10, "1 to 65536"),
    ("model", "encoder", "conv", "one of linear, embedding"),
    ("model", "mode_init", "s4", "one of s4d-lin, s4d-inv, s4d-legs, s4d-real"),
    ("model", "discretisation", "euler", "one of zoh, bilinear"),
    ("model", "activation", "elu",
     "one of heaviside, integer, ternary, ternary-constant, bernoulli, sigmoid, tanh, "
     "hard-sigmoid, relu, gelu, identity"),
    ("model", "spike_levels", 0, "1 to 255"),
    ("model", "spike_levels", 256, "1 to 255"),
    ("model", "messages", "sums", "one of counts, differences"),
    ("model", "surrogate", "relu", "one of fast-sigmoid, arctan, triangle, multi-gaussian"),
    ("model", "mixing", "conv", "one of linear, glu, gsu"),
    ("model", "norm", "group", "one of batch, layer, none"),
    ("model", "gsu_norm", "group", "one of batch, layer, none"),
    ("model", "gsu_weights", 0, "1 or 2"),
    ("model", "gsu_weights", 3, "1 or 2"),
    ("model", "n_ssm", -1, "0, or a divisor of model.channels = 64"),
    ("model", "n_ssm", 3, "0, or a divisor of model.channels = 64"),
    ("model", "n_ssm", 128, "0, or a divisor of model.channels = 64"),
    ("model", "weight_bits", 1, "0, or 2 to 16 bits"),
    ("model", "weight_bits", 17, "0, or 2 to 16 bits"),
    ("model", "weight_bits", -8, "0, or 2 to 16 bits"),
    ("model", "pooling", "max", "one of mean, last"),
    ("model", "input_bits", -1, "0 to 16 bits"),
    ("model", "input_bits", 17, "0 to 16 bits"),
    ("model", "input_scale", 0.0, "a finite number other than 0"),
    ("model", "input_scale", float("inf"), "a finite number other than 0"),
    ("model", "input_scale", float("nan"), "a finite number other than 0"),
    ("model", "dt_min", 0.0, "0 < dt_min <= dt_max"),
    ("model", "dt_min", 0.5, "0 < dt_min <= dt_max"),
    ("model", "dt_max", float("inf"), "0 < dt_min <= dt_max"),
    ("model", "dt_max", float("nan"), "0 < dt_min <= dt_max"),
    ("model", "surrogate_slope", 0.0, "a positive slope"),
    ("model", "surrogate_slope", float("nan"), "a positive slope"),
    ("model", "surrogate_slope", float("inf"), "a positive slope"),
    ("model", "dropout", 1.0, "0 <= dropout < 1"),
    ("model", "dropout", -0.1, "0 <= dropout < 1"),
    ("training", "epochs", 0, "a positive integer"),
    ("training", "batch_size", 0, "a positive integer"),
    ("training", "rate", 0.0, "a positive number up to 1e+06"),
    ("training", "rate", 1e300, "a positive number up to 1e+06"),
    ("training", "rate", float("nan"), "a positive number up to 1e+06"),
    ("training", "mode_rate", -1.0, "a positive number up to 1e+06"),
    ("training", "clip", float("inf"), "a positive number"),
    ("training", "weight_decay", -1.0, "0 to 1e+06"),
    ("training", "weight_decay", 1e10, "0 to 1e+06"),
    ("training", "warmup", 1.0, "a fraction below 1"),
    ("training", "warmup", -0.5, "a fraction below 1"),
    ("training", "seed", -1, "0 to 9223372036854775807"),
    ("training", "precision", "float16", "one of float32, bf16"),
    ("training", "rate_penalty", -0.5, "0 or a positive number"),
    ("training", "rate_penalty", float("inf"), "0 or a positive number"),
    ("training", "rate_target", 1.0, "a spike rate, 0 <= rate < 1"),
    ("training", "rate_target", -0.1, "a spike rate, 0 <= rate < 1"),
    ("training", "rate_target", float("nan"), "a spike rate, 0 <= rate < 1"),
])
def test_a_value_out_of_range(table, key, value, expected):
    literal = f'"{value}"' if isinstance(value, str) else repr(value)
    message = refusal(f"[{table}]\n{key} = {literal}\n")
    assert f"[{table}.{key}" in message or (key == "dt_max" and "[model.dt_min, dt_max]" in message)
    assert repr(value) in message
    assert f"expected {expected}" in message and "Correct the configuration" in message


@pytest.mark.parametrize(("weights", "message"), [
    ("[1.0, 0.0]", "[training.class_weights[1]] is 0.0; expected a positive number up to 1e+06"),
    ("[nan, 1.0]", "[training.class_weights[0]] is nan; expected a positive number up to 1e+06"),
    ("[1.0, 2.0]", "[training.class_weights] is '2 weights'; expected none, or one for each of "
                   "model.classes = 10"),
])
def test_class_weights_are_positive_and_one_a_class(weights, message):
    assert message in refusal(f"[training]\nclass_weights = {weights}\n")


STOCK_TEXT = '[model]\ncells = "stock"\nmode_init = "s4d-real"\nmodes = 1\n'
LIF_TEXT = '[model]\ncells = "lif"\n'
TRANSFORMER_TEXT = '[model]\narchitecture = "transformer"\n'


@pytest.mark.parametrize(("text", "key", "value", "expected"), [
    ('[model]\ncells = "stock"\n', "mode_init", "s4d-lin", "'s4d-real' with cells = \"stock\""),
    ('[model]\ncells = "stock"\nmode_init = "s4d-real"\n', "modes", 16,
     "1 with cells = \"stock\""),
    (STOCK_TEXT, "n_ssm", 1, "0 with cells = \"stock\""),
    (STOCK_TEXT, "norm", "layer", "'batch' with cells = \"stock\""),
    (STOCK_TEXT, "norm", "none", "'batch' with cells = \"stock\""),
    (STOCK_TEXT, "bidirectional", True, "False with cells = \"stock\""),
    (STOCK_TEXT, "encoder", "embedding", "'linear' with cells = \"stock\""),
    (STOCK_TEXT, "discretisation", "bilinear", "'zoh' with cells = \"stock\""),
    (STOCK_TEXT, "activation", "ternary", "'heaviside' with cells = \"stock\""),
    (STOCK_TEXT, "mixing", "glu", "'linear' with cells = \"stock\""),
    (LIF_TEXT, "bidirectional", True, "False with cells = \"lif\""),
    (LIF_TEXT, "activation", "gelu", "'heaviside' with cells = \"lif\""),
    (LIF_TEXT, "mixing", "glu", "'linear' with cells = \"lif\""),
    (LIF_TEXT, "quantise_decays", True, "False with cells = \"lif\""),
    (TRANSFORMER_TEXT, "heads", 5, "a divisor of model.channels = 64"),
    (TRANSFORMER_TEXT, "heads", 128, "a divisor of model.channels = 64"),
    ('[model]\nmixing = "gsu"\n', "activation", "heaviside",
     "'ternary' or 'ternary-constant' with mixing = \"gsu\""),
    ('[model]\nmixing = "gsu"\n', "activation", "bernoulli",
     "'ternary' or 'ternary-constant' with mixing = \"gsu\""),
    ('[model]\nmessages = "differences"\n', "activation", "heaviside",
     "'integer' with messages = \"differences\""),
    ("[model]\nquantise_decays = true\n", "discretisation", "bilinear",
     "'zoh' with quantise_decays = true"),
])
def test_values_that_do_not_go_together(text, key, value, expected):
    literal = f'"{value}"' if isinstance(value, str) else str(value).lower()
    if value != getattr(ModelConfig(), key):  # the default is found without being written
        text += f"{key} = {literal}\n"
    message = refusal(text)
    assert message.endswith(
        f"[model.{key}] is {value!r}; expected {expected}. Correct the configuration."
    )


@pytest.mark.parametrize("text", [
    STOCK_TEXT,
    STOCK_TEXT + "quantise_decays = true\n",
    LIF_TEXT + 'norm = "layer"\nencoder = "embedding"\n',
    TRANSFORMER_TEXT + "bidirectional = true\nheads = 64\n",
    '[model]\nactivation = "integer"\nmessages = "differences"\nmixing = "glu"\n',
    '[model]\nmixing = "gsu"\nactivation = "ternary"\ngsu_weights = 2\ngsu_norm = "none"\n',
    '[model]\nmixing = "gsu"\nactivation = "ternary-constant"\ngsu_norm = "batch"\n',
    "[model]\nquantise_decays = true\nn_ssm = 2\nweight_bits = 8\n",
])
def test_values_that_go_together(text):
    loaded = config.loads(text)
    assert loaded != Config() and config.loads(config.dumps(loaded)) == loaded


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("[model]\nchannels = 6.0", "[model.channels] is 6.0", "a value of type int"),
    ("[model]\nchannels = true", "[model.channels] is True", "a value of type int"),
    ("[model]\ndropout = true", "[model.dropout] is True", "a value of type float"),
    ("[model]\npair = 1", "[model.pair] is 1", "a value of type bool"),
    ("[model]\nweight_bits = 4.0", "[model.weight_bits] is 4.0", "a value of type int"),
    ("[model]\nquantise_decays = 0", "[model.quantise_decays] is 0", "a value of type bool"),
    ("[training]\nrate_target = true", "[training.rate_target] is True", "type float"),
    ("[model]\nprenorm = 1", "[model.prenorm] is 1", "a value of type bool"),
    ("[model]\nnorm = 3", "[model.norm] is 3", "a value of type str"),
    ("[task]\npermutation = 3", "[task.permutation] is 3", "an array"),
    ("[task]\nsteps=2\npermutation = [0, 1.5]", "[task.permutation[1]] is 1.5", "type int"),
    ("model = 3", "[model] is 3", "a table"),
])
def test_a_value_of_the_wrong_type(text, found, expected):
    message = refusal(text)
    assert f"{found}; expected " in message and expected in message


def test_integers_are_accepted_where_numbers_are():
    loaded = config.loads("[training]\nrate = 1\n").training.rate
    assert loaded == 1.0 and isinstance(loaded, float)


@pytest.mark.parametrize(("text", "name"), [
    ("[model]\nchanels = 3", "model.chanels"),
    ("[modell]\nchannels = 3", "modell"),
    ("[checkpoints]\nschema = 1", "checkpoints"),
])
def test_an_unknown_key_is_named_with_the_known_ones(text, name):
    message = refusal(text)
    near = {"model.chanels": "channels", "modell": "model"}.get(name)
    hint = f"did you mean {near}" if near else "known: "
    assert f"unknown configuration key {name}; {hint}" in message
    known = fields(ModelConfig if "." in name else Config)
    assert all(field.name in message for field in known)


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [1, 2, 3], [0, 1, 2, 3]])
def test_a_permutation_holds_each_step_once(order):
    message = refusal(f"[task]\nsteps = 3\npermutation = {order}\n")
    assert f"[task.permutation] is '{len(order)} entries'" in message
    assert "expected each of 0..2 once" in message


def test_text_that_is_no_toml():
    assert "is not valid TOML" in refusal("[model\n")


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read configuration .*none\.toml"):
        config.load(tmp_path / "none.toml")
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot read configuration .*latin"):
        config.load(tmp_path / "latin")


def test_a_configuration_made_in_python_is_checked_too():
    with pytest.raises(ConfigError, match=r"\[model.channels\] is 0"):
        replace(ModelConfig(), channels=0)
    assert issubclass(ConfigError, SnnSsmError)


def test_only_s4d_real_has_real_modes():
    for init in config.MODE_INITS:
        assert ModelConfig(mode_init=init, modes=8).complex_modes == (init != "s4d-real")
