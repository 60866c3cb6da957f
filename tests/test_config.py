"""Configurations: TOML there and back, and what every refusal says."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynn_models import SnnSsmError
from snn_ssm import config
from snn_ssm.config import Config, ConfigError, ModelConfig, TaskConfig, TrainingConfig

small = st.integers(1, 10**6)
positive = st.floats(1e-300, 1e300)
steps_and_order = st.integers(1, 40).flatmap(
    lambda n: st.tuples(st.just(n), st.one_of(st.just(()), st.permutations(range(n)).map(tuple)))
)
tasks = st.builds(
    lambda name, task: TaskConfig(name, *task), st.text(max_size=20), steps_and_order
)
models = st.builds(
    lambda steps, **rest: ModelConfig(dt_min=min(steps), dt_max=max(steps), **rest),
    st.tuples(positive, positive),
    inputs=small,
    classes=small,
    encoder=st.sampled_from(config.ENCODERS),
    input_bits=st.integers(0, 16),
    input_scale=st.one_of(positive, positive.map(lambda v: -v)),
    channels=small,
    depth=small,
    modes=small,
    mode_init=st.sampled_from(config.MODE_INITS),
    discretisation=st.sampled_from(config.DISCRETISATIONS),
    activation=st.sampled_from(config.ACTIVATIONS),
    surrogate=st.sampled_from(config.SURROGATES),
    surrogate_slope=positive,
    mixing=st.sampled_from(config.MIXINGS),
    bidirectional=st.booleans(),
    norm=st.sampled_from(config.NORMS),
    prenorm=st.booleans(),
    dropout=st.floats(0, 1, exclude_max=True),
    pooling=st.sampled_from(config.POOLINGS),
)
trainings = st.builds(
    TrainingConfig,
    epochs=small,
    batch_size=small,
    rate=positive,
    mode_rate=positive,
    weight_decay=st.floats(0, 1e300),
    warmup=st.floats(0, 1, exclude_max=True),
    clip=positive,
    seed=st.integers(0, 2**31),
)


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
    ("model", "inputs", 0, "a positive integer"),
    ("model", "classes", 0, "a positive integer"),
    ("model", "channels", -1, "a positive integer"),
    ("model", "depth", 0, "a positive integer"),
    ("model", "modes", 0, "a positive integer"),
    ("model", "encoder", "conv", "one of linear, embedding"),
    ("model", "mode_init", "s4", "one of s4d-lin, s4d-inv, s4d-legs, s4d-real"),
    ("model", "discretisation", "euler", "one of zoh, bilinear"),
    ("model", "activation", "relu", "one of heaviside, gelu"),
    ("model", "surrogate", "relu", "one of fast-sigmoid, arctan"),
    ("model", "mixing", "glu", "one of linear"),
    ("model", "norm", "group", "one of batch, layer, none"),
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
    ("training", "rate", 0.0, "a positive number"),
    ("training", "rate", float("nan"), "a positive number"),
    ("training", "mode_rate", -1.0, "a positive number"),
    ("training", "clip", float("inf"), "a positive number"),
    ("training", "weight_decay", -1.0, "0 or a positive number"),
    ("training", "warmup", 1.0, "a fraction below 1"),
    ("training", "warmup", -0.5, "a fraction below 1"),
    ("training", "seed", -1, "0 or a positive integer"),
])
def test_a_value_out_of_range(table, key, value, expected):
    literal = f'"{value}"' if isinstance(value, str) else repr(value)
    message = refusal(f"[{table}]\n{key} = {literal}\n")
    assert f"[{table}.{key}" in message or (key == "dt_max" and "[model.dt_min, dt_max]" in message)
    assert repr(value) in message
    assert f"expected {expected}" in message and "Correct the configuration" in message


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("[model]\nchannels = 6.0", "[model.channels] is 6.0", "a value of type int"),
    ("[model]\nchannels = true", "[model.channels] is True", "a value of type int"),
    ("[model]\ndropout = true", "[model.dropout] is True", "a value of type float"),
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
    ("[checkpoint]\nschema = 1", "checkpoint"),
])
def test_an_unknown_key_is_named_with_the_known_ones(text, name):
    message = refusal(text)
    assert f"unknown configuration key {name}; known: " in message
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
        assert ModelConfig(mode_init=init).complex_modes == (init != "s4d-real")
