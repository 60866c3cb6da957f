"""A map says what the model is and what its arrays are called; what it leaves open is refused."""

import pytest
import tomli_w

from pynn_models import SnnSsmError
from snn_ssm.config import Config, ConfigError, ModelConfig, TaskConfig
from snn_ssm.convert.changes import Change
from snn_ssm.convert.names import LAYOUTS, MapError, Names, load_map
from snn_ssm.files import FileError

STATED = {
    "activation": "heaviside", "discretisation": "bilinear", "input_scale": 1.0, "pooling": "last",
    "prenorm": False,
}


@pytest.fixture
def write(tmp_path):
    """Writes a map whose tables are replaced or, with None, left out."""

    def write(**tables):
        content = {"task": {"steps": 9}, "model": STATED, "names": {"layout": "s4d"}} | tables
        path = tmp_path / "map.toml"
        path.write_text(tomli_w.dumps({k: v for k, v in content.items() if v is not None}))
        return path

    return write


def refusal(path, error=MapError):
    with pytest.raises(error) as caught:
        load_map(path)
    message = str(caught.value)
    assert str(path) in message
    return message


def test_the_configuration_and_the_names(write):
    names = {
        "layout": "s4d", "key": "state_dict", "block": "net.{i}", "ignore": ["ema.*"],
        "zeros": ["*.d"],
    }
    config, found = load_map(write(names=names, training={"epochs": 3}))
    assert config.task == TaskConfig(steps=9) and config.training.epochs == 3
    assert config.model == ModelConfig(**STATED)
    parts = {**LAYOUTS["s4d"], "block": "net.{i}"}
    assert found == Names("s4d", parts, "state_dict", ("ema.*",), ("*.d",))


def test_what_is_not_said_has_the_layouts_names(write):
    config, found = load_map(write(names={"layout": "snn-ssm"}))
    assert found == Names("snn-ssm", LAYOUTS["snn-ssm"])
    assert config == Config(TaskConfig(steps=9), ModelConfig(**STATED))


def test_a_transformers_heads_must_be_stated(write):
    model = STATED | {"architecture": "transformer"}
    message = refusal(write(model=model, names={"layout": "snn-ssm"}))
    assert "[model] does not say heads, which no array shows" in message
    config, _ = load_map(write(model=model | {"heads": 2}, names={"layout": "snn-ssm"}))
    assert config.model.heads == 2


@pytest.mark.parametrize(
    ("target", "s4d", "ours"),
    [
        ("encoder.weight", "encoder.weight", "encoder.weight"),
        ("blocks.12.ssm.a", "s4_layers.12.kernel.log_A_real", "blocks.12.ssm.a"),
        ("blocks.0.ssm.omega", "s4_layers.0.kernel.A_imag", "blocks.0.ssm.omega"),
        ("blocks.0.ssm.log_dt", "s4_layers.0.kernel.log_dt", "blocks.0.ssm.log_dt"),
        ("blocks.0.ssm.b", None, "blocks.0.ssm.b"),
        ("blocks.0.ssm.c", "s4_layers.0.kernel.C", "blocks.0.ssm.c"),
        ("blocks.0.ssm.d", "s4_layers.0.D", "blocks.0.ssm.d"),
        ("blocks.1.norm.running_var", "norms.1.running_var", "blocks.1.norm.running_var"),
        ("blocks.1.mixing.bias", "s4_layers.1.output_linear.0.bias", "blocks.1.mixing.bias"),
        ("blocks.1.mixing.norm.bias", "s4_layers.1.output_linear.0.norm.bias",
         "blocks.1.mixing.norm.bias"),
        ("blocks.1.log_threshold", "s4_layers.1.log_threshold", "blocks.1.log_threshold"),
        ("decoder.bias", "decoder.bias", "decoder.bias"),
    ],
)
def test_the_sources_name_of_an_array(target, s4d, ours):
    for layout, expected in (("s4d", s4d), ("snn-ssm", ours)):
        assert Names(layout, LAYOUTS[layout]).source_of(target) == expected


def test_a_part_may_be_the_model_or_the_block_itself():
    parts = {**LAYOUTS["s4d"], "encoder": "", "block": "{i}", "norm": "{i}.0.{i}", "mixing": ""}
    names = Names("s4d", parts)
    assert names.source_of("encoder.weight") == "weight"
    assert names.source_of("blocks.2.mixing.weight") == "2.weight"
    assert names.source_of("blocks.2.norm.bias") == "2.0.2.bias"


@pytest.mark.parametrize("content", [b"[task\n", b"task = \xff"])
def test_what_is_no_toml(tmp_path, content):
    (tmp_path / "map.toml").write_bytes(content)
    assert "is not valid TOML" in refusal(tmp_path / "map.toml")


def test_no_file(tmp_path):
    assert "cannot read map" in refusal(tmp_path / "map.toml", FileError)


@pytest.mark.parametrize("name", ["task", "model", "names"])
def test_a_table_that_is_missing_or_none(write, name):
    assert f"has no table [{name}]. Add it." in refusal(write(**{name: None}))
    assert f"has no table [{name}]. Add it." in refusal(write(**{name: 3}))


def test_what_no_array_shows_must_be_said(write):
    for key in STATED:
        model = {k: v for k, v in STATED.items() if k != key}
        assert f"[model] does not say {key}, which no array shows" in refusal(write(model=model))
    assert f"does not say {', '.join(sorted(STATED))}, which" in refusal(write(model={"depth": 2}))


@pytest.mark.parametrize("layout", ["s5", 3, None])
def test_an_unknown_layout_or_none(write, layout):
    names = {} if layout is None else {"layout": layout}
    message = f"names.layout is {layout!r}; expected one of s4d, s4d-v3, s4d-v4, snn-ssm."
    assert message in refusal(write(names=names))


@pytest.mark.parametrize(
    ("layout", "key", "known"),
    [
        (
            "s4d", "log_a_real", "A_imag, C, D, block, decoder, encoder, ignore, key, log_A_real, "
            "log_dt, mixing, norm, prefix, zeros.",
        ),
        (
            "snn-ssm", "C", "a, b, block, c, d, decoder, encoder, ignore, key, log_dt, mixing, "
            "norm, omega, prefix, zeros.",
        ),
    ],
)
def test_an_unknown_name(write, layout, key, known):
    message = refusal(write(names={"layout": layout, key: "x"}))
    assert f"names.{key} is unknown; the layout {layout!r} has {known}" in message


@pytest.mark.parametrize("key", ["ignore", "zeros"])
@pytest.mark.parametrize("value", ["ema.*", [3]])
def test_patterns_are_an_array_of_text(write, key, value):
    message = refusal(write(names={"layout": "s4d", key: value}))
    assert f"names.{key} is {value!r}; expected an array of patterns." in message


@pytest.mark.parametrize("key", ["key", "block"])
def test_a_name_is_text(write, key):
    message = refusal(write(names={"layout": "s4d", key: 3}))
    assert f"names.{key} is 3; expected a name, in quotes." in message


def test_the_sources_names_have_a_prefix_and_numbers_of_their_own(write):
    names = {
        "layout": "s4d", "prefix": "net.", "encoder": "0",
        "block": {"name": "{i}", "offset": 2, "stride": 2}, "norm": {"offset": 1},
    }
    _, found = load_map(write(names=names))
    assert found.source_of("encoder.bias") == "net.0.bias"
    assert found.source_of("blocks.0.ssm.d") == "net.2.D"
    assert found.source_of("blocks.3.mixing.weight") == "net.8.output_linear.0.weight"
    assert found.source_of("blocks.3.norm.weight") == "net.norms.4.weight"
    assert found.source_of("blocks.0.ssm.b") is None


def test_a_table_says_what_an_array_goes_through(write):
    names = {
        "layout": "s4d-v3", "inv_A_real": {"transform": "relu", "name": "rate"},
        "B": {"conjugate": True}, "D": {"negate": False},
    }
    _, found = load_map(write(names=names))
    assert found.source_of("blocks.1.ssm.a") == "s4_layers.1.rate"
    assert found.source_of("blocks.1.ssm.b") == "s4_layers.1.kernel.kernel.B"
    assert found.change_of("blocks.1.ssm.a") == ("a", Change(transform="relu"))
    assert found.change_of("blocks.1.ssm.b") == ("b", Change(conjugate=True))
    assert found.change_of("blocks.1.ssm.d") == ("d", Change(negate=False))
    assert found.change_of("blocks.1.ssm.c") == ("c", Change())
    assert found.change_of("blocks.1.norm.bias") is None
    assert found.change_of("encoder.bias") is None


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("encoder", {"name": "e"}, "names.encoder is {'name': 'e'}; expected a name, in quotes."),
        ("A_imag", {"name": 3}, "names.A_imag.name is 3; expected a name, in quotes."),
        ("A_imag", {"negate": 1}, "names.A_imag.negate is 1; expected true or false."),
        ("C", {"conjugate": "yes"}, "names.C.conjugate is 'yes'; expected true or false."),
        (
            "log_dt", {"transform": "tanh"}, "names.log_dt.transform is 'tanh'; expected one of "
            "exp, softplus, relu, sigmoid, none.",
        ),
        ("log_dt", {"transform": ["exp"]}, "names.log_dt.transform is ['exp']; expected one of"),
        ("block", {"offset": -1}, "names.block.offset is -1; expected an integer from 0."),
        ("norm", {"stride": 0}, "names.norm.stride is 0; expected an integer from 1."),
        ("norm", {"stride": True}, "names.norm.stride is True; expected an integer from 1."),
        ("norm", {"stride": 1.5}, "names.norm.stride is 1.5; expected an integer from 1."),
        (
            "block", {"name": "layer", "stride": 2},
            "names.block is numbered, but its name has no {i}. Put it where the number stands.",
        ),
        (
            "A_imag", {"conjugate": True},
            "names.A_imag.conjugate is unknown; names.A_imag has name, negate, transform.",
        ),
        ("C", {"transform": "exp"}, "names.C.transform is unknown; names.C has name, negate, conj"),
        ("D", {"transform": "exp"}, "names.D.transform is unknown; names.D has name, negate."),
        ("norm", {"negate": True}, "names.norm.negate is unknown; names.norm has name, offset, st"),
        ("prefix", 3, "names.prefix is 3; expected a name, in quotes."),
    ],
)
def test_a_table_that_is_wrong(write, part, value, message):
    assert message in refusal(write(names={"layout": "s4d", part: value}))


def test_real_modes_have_no_conjugates(write):
    model = STATED | {"mode_init": "s4d-real"}
    names = {"layout": "snn-ssm", "b": {"conjugate": True}}
    assert (
        "names.b.conjugate is true, but the modes of [model.mode_init] = 's4d-real' are real"
        in refusal(write(model=model, names=names))
    )
    load_map(write(model=model, names=names | {"b": {"conjugate": False}}))


@pytest.mark.parametrize(
    ("layout", "options"), [("s4d-v3", ["inv_A_real"]), ("s4d-v4", ["A_real", "A_imag", "inv_dt"])]
)
def test_the_options_of_a_full_kernel_must_be_stated(write, layout, options):
    names = {"layout": layout} | {key: {"transform": "exp"} for key in options}
    load_map(write(names=names))
    for key in options:
        for said in ({key: {"negate": False}}, {key: "rate"}):
            message = refusal(write(names=names | said))
            assert (
                f"names.{key} does not say its transform, an option of the kernel that no array "
                f"shows. State it, such as {key} = {{ transform = \"exp\" }}; expected one of exp, "
                in message
            )


BOTH = {"a": "kernel.A_real", "omega": "kernel.A_imag"}


@pytest.mark.parametrize(
    ("names", "rotation"),
    [
        ({"layout": "snn-ssm", **BOTH}, "omega"),
        ({"layout": "snn-ssm", "a": "A_real"}, "omega"),
        ({"layout": "snn-ssm", "omega": {"name": "A_imag", "transform": "exp"}}, "omega"),
        ({"layout": "s4d", "log_A_real": "layer.kernel.A_real"}, "A_imag"),
        ({"layout": "s4d", "log_A_real": "inv_A_real", "A_imag": "w"}, "A_imag"),
        (
            {"layout": "s4d-v3", "inv_A_real": {"name": "A_real", "transform": "exp"}}, "A_imag",
        ),
    ],
)
def test_a_sign_that_is_not_stated_is_refused_unless_it_is_checked(write, names, rotation):
    message = refusal(write(names=names))
    assert "some have lambda = -exp(A_real) + i A_imag and some the conjugate" in message
    assert f"say names.{rotation}.negate, true or false, or convert with --check." in message
    load_map(write(names=names), checked=True)
    name = names.get(rotation, "A_imag")
    said = dict(name) if isinstance(name, dict) else {"name": name}
    for negate in (True, False):
        load_map(write(names=names | {rotation: said | {"negate": negate}}))


@pytest.mark.parametrize(
    "model",
    [{"mode_init": "s4d-real"}, {"cells": "lif"}, {"architecture": "transformer", "heads": 4}],
)
def test_a_model_without_rotation_needs_no_sign(write, model):
    load_map(write(model=STATED | model, names={"layout": "snn-ssm", **BOTH}))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"model": STATED | {"channel": 3}}, "unknown configuration key model.channel"),
        ({"model": STATED | {"pooling": "max"}}, "[model.pooling] is 'max'"),
        ({"task": {"step": 3}}, "unknown configuration key task.step"),
        ({"trainin": {}}, "unknown configuration key trainin"),
    ],
)
def test_a_configuration_that_is_wrong_is_told_with_the_file(write, tables, message):
    assert message in refusal(write(**tables), ConfigError)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"bidirectional": True}, "[model.bidirectional] is True; the minimal S4D has False"),
        ({"cells": "lif"}, "[model.cells] is 'lif'; the minimal S4D has 'native'"),
        (
            {"architecture": "transformer", "heads": 4},
            "[model.architecture] is 'transformer'; the minimal S4D has 'state-space'",
        ),
        ({"mode_init": "s4d-real"}, "[model.mode_init] is 's4d-real', which has real modes"),
    ],
)
def test_a_model_that_the_minimal_s4d_is_not(write, model, message):
    assert message in refusal(write(model=STATED | model))
    load_map(write(model=STATED | model, names={"layout": "snn-ssm"}))


@pytest.mark.parametrize("layout", ["s4d-v3", "s4d-v4"])
def test_a_model_that_a_full_kernel_is_not(write, layout):
    options = {key: {"transform": "exp"} for key in ("inv_A_real", "A_real", "A_imag", "inv_dt")}
    names = {"layout": layout} | {k: v for k, v in options.items() if k in LAYOUTS[layout]}
    message = refusal(write(model=STATED | {"bidirectional": True}, names=names))
    assert "[model.bidirectional] is True; an S4D kernel has False" in message
    message = refusal(write(model=STATED | {"mode_init": "s4d-real"}, names=names))
    assert "those of an S4D kernel are complex" in message


def test_errors_are_the_projects_own():
    assert issubclass(MapError, SnnSsmError)
