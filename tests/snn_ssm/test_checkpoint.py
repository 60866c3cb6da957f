"""Checkpoints: bit for bit there and back, and every way in which one is refused."""

import itertools
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from support.files import ROOT
from support.random_networks import checkpoint_of

from pynn_models import SnnSsmError
from snn_ssm import files
from snn_ssm.checkpoint import (
    CONFIG_FILE,
    MODEL_FILE,
    Checkpoint,
    CheckpointError,
    check_arrays,
    expected_shapes,
    load_checkpoint,
    save_checkpoint,
)
from snn_ssm.files import FileError, sha256

STOCK = {"cells": "stock", "mode_init": "s4d-real", "modes": 1}
TRANSFORMER = {"architecture": "transformer", "heads": 2}
EMBEDDING = {"encoder": "embedding", "inputs": 7}


def combinations(**axes):
    """Every choice of one value from each axis."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


# Everything that the arrays depend on, every combination of what depends on the same keys.
MODES = combinations(
    mode_init=["s4d-lin", "s4d-real"], bidirectional=[False, True], n_ssm=[0, 2],
)
NORMS = combinations(norm=["batch", "layer", "none"], prenorm=[True, False])
MIXINGS = [
    *combinations(mixing=["linear", "glu"],
                  activation=["heaviside", "ternary-constant", "bernoulli", "gelu"]),
    *combinations(mixing=["gsu"], activation=["ternary", "ternary-constant"],
                  gsu_weights=[1, 2], gsu_norm=["batch", "layer", "none"]),
]
ENDS = combinations(encoder=["linear", "embedding"], inputs=[7], pair=[False, True])
OTHERS = [
    {"quantise_decays": True, "weight_bits": 6},
    STOCK,
    {**STOCK, "pair": True},
    *({"cells": "lif", **norm} for norm in NORMS),
    {"cells": "lif", **EMBEDDING},
    *({**TRANSFORMER, **norm} for norm in NORMS),
    *({**TRANSFORMER, **ends} for ends in ENDS),
]
VARIANTS = [*MODES, *NORMS, *MIXINGS, *ENDS, *OTHERS]


@pytest.fixture
def saved(tmp_path):
    """A checkpoint and the directory it was saved to."""
    checkpoint = checkpoint_of()
    save_checkpoint(tmp_path, checkpoint)
    return checkpoint, tmp_path


def assert_same(found, original):
    assert found.config == original.config
    assert set(found.arrays) == set(original.arrays)
    for name, array in original.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
        assert found.arrays[name].tobytes() == array.tobytes()


def assert_there_and_back(directory, original):
    save_checkpoint(directory, original)
    assert_same(load_checkpoint(directory), original)
    assert sorted(p.name for p in directory.iterdir()) == [CONFIG_FILE, MODEL_FILE]


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    changes=st.sampled_from([*MODES, *NORMS, *MIXINGS, *ENDS]),
    channels=st.integers(1, 5),
    modes=st.integers(1, 5),
    depth=st.integers(1, 3),
)
def test_there_and_back_bit_for_bit(tmp_path_factory, seed, changes, channels, modes, depth):
    sizes = {"channels": channels, "modes": modes, "depth": depth}
    directory = tmp_path_factory.mktemp("checkpoint")
    assert_there_and_back(directory, checkpoint_of(seed, **{**changes, "n_ssm": 0, **sizes}))


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_combination_there_and_back(tmp_path, changes):
    assert_there_and_back(tmp_path, checkpoint_of(**changes))


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_the_arrays_are_those_of_the_network(changes):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from snn_ssm.model.network import build_network

    model = checkpoint_of(**changes).config.model
    state = build_network(model).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == expected_shapes(model)
    kinds = {name: "int64" if name.endswith("num_batches_tracked") else "float32" for name in state}
    assert {name: str(value.dtype) for name, value in state.items()} == {
        name: f"torch.{kind}" for name, kind in kinds.items()
    }


@pytest.mark.parametrize("changes", [{}, STOCK, TRANSFORMER, {"mixing": "glu"}], ids=str)
def test_a_network_takes_and_gives_the_arrays_as_they_are(changes):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from snn_ssm.model.restore import load_network, to_checkpoint

    original = checkpoint_of(**changes)
    network = load_network(original)
    assert not network.training
    assert_same(to_checkpoint(network, original.config), original)


def test_saving_again_replaces_the_checkpoint(saved):
    _, directory = saved
    other = checkpoint_of(seed=5)
    save_checkpoint(directory, other)
    assert_same(load_checkpoint(str(directory)), other)


class _KilledError(BaseException):
    """Stands for a kill: what was renamed before it stays."""


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("first", [True, False])
def test_a_save_killed_at_any_rename_leaves_files_that_fit(saved, monkeypatch, call, first):
    old, directory = saved
    if not first:  # another save before, so that there is a model and an earlier one
        old = checkpoint_of(seed=4)
        save_checkpoint(directory, old)
    replace, calls = files.os.replace, []

    def some(source, target):
        calls.append(target)
        if len(calls) == call:
            raise _KilledError
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", some)
    with pytest.raises(_KilledError):
        save_checkpoint(directory, checkpoint_of(seed=5))
    monkeypatch.undo()
    assert_same(load_checkpoint(directory), old)
    save_checkpoint(directory, checkpoint_of(seed=5))
    assert_same(load_checkpoint(directory), checkpoint_of(seed=5))
    assert sorted(p.name for p in directory.iterdir()) == [CONFIG_FILE, MODEL_FILE]


def test_a_save_done_again_after_its_last_step_changes_nothing(saved):
    _, directory = saved
    save_checkpoint(directory, checkpoint_of(seed=5))
    before = {p.name: p.read_bytes() for p in directory.iterdir()}
    save_checkpoint(directory, checkpoint_of(seed=5))
    assert {p.name: p.read_bytes() for p in directory.iterdir()} == before


@pytest.mark.parametrize("call", [1, 2])
def test_a_killed_save_of_another_configuration_leaves_no_mixture(saved, monkeypatch, call):
    _, directory = saved
    replace, calls = files.os.replace, []

    def some(source, target):
        calls.append(target)
        if len(calls) == call:
            raise _KilledError
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", some)
    with pytest.raises(_KilledError):
        save_checkpoint(directory, checkpoint_of(seed=5, dropout=0.25))
    monkeypatch.undo()
    with pytest.raises(FileError, match=r"cannot read checkpoint .*model\.safetensors: No such"):
        load_checkpoint(directory)
    other = checkpoint_of(seed=5, dropout=0.25)
    save_checkpoint(directory, other)
    assert_same(load_checkpoint(directory), other)


def test_a_model_of_an_earlier_save_but_one_is_refused(saved):
    _, directory = saved
    oldest = (directory / MODEL_FILE).read_bytes()
    for seed in (4, 5):
        save_checkpoint(directory, checkpoint_of(seed=seed))
    (directory / MODEL_FILE).write_bytes(oldest)
    with pytest.raises(FileError, match="was truncated or altered"):
        load_checkpoint(directory)


@pytest.mark.parametrize("cut", [1, 1000])
def test_a_truncated_model(saved, cut):
    path = saved[1] / MODEL_FILE
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(FileError, match=r"checkpoint .*model\.safetensors was truncated"):
        load_checkpoint(saved[1])


def test_an_altered_model(saved):
    path = saved[1] / MODEL_FILE
    data = bytearray(path.read_bytes())
    data[-3] ^= 0x40
    path.write_bytes(bytes(data))
    with pytest.raises(FileError) as caught:
        load_checkpoint(saved[1])
    assert sha256(bytes(data)) in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(("old", "new"), [
    ('pooling = "mean"', 'pooling = "last"'),
    ("prenorm = true", "prenorm = false"),
    ("steps = 24", "steps = 25"),
])
def test_an_altered_configuration(saved, old, new):
    path = saved[1] / CONFIG_FILE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(CheckpointError, match=r"config\.toml was altered: it is not the config"):
        load_checkpoint(saved[1])


def test_a_configuration_out_of_range(saved):
    path = saved[1] / CONFIG_FILE
    path.write_text(path.read_text().replace("channels = 6", "channels = 0"))
    with pytest.raises(SnnSsmError, match=r"config\.toml: \[model\.channels\] is 0"):
        load_checkpoint(saved[1])


@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_a_truncated_configuration(saved, share):
    path = saved[1] / CONFIG_FILE
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SnnSsmError) as caught:
        load_checkpoint(saved[1])
    assert str(path) in str(caught.value)


def test_a_configuration_that_is_no_text(saved):
    (saved[1] / CONFIG_FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match=r"config\.toml was truncated or altered"):
        load_checkpoint(saved[1])


@pytest.mark.parametrize("name", [MODEL_FILE, CONFIG_FILE])
def test_a_missing_file(saved, name):
    (saved[1] / name).unlink()
    with pytest.raises(FileError, match=rf"cannot read checkpoint.*{name}: No such file"):
        load_checkpoint(saved[1])


@pytest.mark.parametrize("stamp", [{}, {"checkpoint": {"schema": 1}}, {"checkpoint": 1}])
def test_the_configuration_of_a_training_is_no_checkpoint(saved, stamp):
    path = saved[1] / CONFIG_FILE
    table = tomllib.loads(path.read_text())
    del table["checkpoint"]
    table |= stamp
    path.write_text(tomli_w.dumps(table))
    with pytest.raises(CheckpointError, match=r"has no \[checkpoint\] table"):
        load_checkpoint(saved[1])


@pytest.mark.parametrize("schema", [0, 2, "1"])
def test_another_schema(saved, schema):
    path = saved[1] / CONFIG_FILE
    table = tomllib.loads(path.read_text())
    table["checkpoint"]["schema"] = schema
    path.write_text(tomli_w.dumps(table))
    with pytest.raises(CheckpointError, match=f"has checkpoint schema {schema!r}; this version r"):
        load_checkpoint(saved[1])


def changed(name, array):
    """The arrays of a checkpoint with one of them replaced (None: left out)."""
    checkpoint = checkpoint_of()
    arrays = {**checkpoint.arrays, name: array}
    return Checkpoint(checkpoint.config, {k: v for k, v in arrays.items() if v is not None})


@pytest.mark.parametrize("name", expected_shapes(checkpoint_of().config.model))
def test_every_array_must_be_there_in_its_shape(tmp_path, name):
    with pytest.raises(CheckpointError, match=rf"array {name} is missing; .* asks for shape"):
        save_checkpoint(tmp_path, changed(name, None))
    wrong = np.zeros((2, 2, 2, 2), np.float32)
    with pytest.raises(CheckpointError, match=rf"array {name} has shape \(2, 2, 2, 2\); .* asks"):
        save_checkpoint(tmp_path, changed(name, wrong))
    assert list(tmp_path.iterdir()) == []


def test_an_array_that_has_no_place(tmp_path):
    with pytest.raises(CheckpointError, match=r"array blocks\.9\.ssm\.a has no place in the model"):
        save_checkpoint(tmp_path, changed("blocks.9.ssm.a", np.zeros((6, 4), np.float32)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["blocks.1.ssm.a", "decoder.bias", "blocks.0.norm.running_var"])
def test_a_parameter_that_is_not_finite_is_named_with_its_place(tmp_path, name, bad):
    array = np.array(checkpoint_of().arrays[name])
    place = (2, 1) if array.ndim == 2 else (2,)
    array[place] = bad
    broken = changed(name, array)
    expected = rf"{name}\[{', '.join(map(str, place))}\] is {bad}; expected a finite number"
    with pytest.raises(FileError, match=expected):
        save_checkpoint(tmp_path, broken)
    with pytest.raises(FileError, match=expected):
        check_arrays(broken.arrays, broken.config.model, "checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_the_right_hash_with_a_nan_is_refused(saved, monkeypatch):
    # What a program that does not check would have written.
    array = np.array(checkpoint_of().arrays["encoder.weight"])
    array[3, 0] = np.nan
    monkeypatch.setattr("snn_ssm.checkpoint.check_arrays", lambda *_: None)
    save_checkpoint(saved[1], changed("encoder.weight", array))
    monkeypatch.undo()
    with pytest.raises(FileError, match=r"model\.safetensors: encoder\.weight\[3, 0\] is nan"):
        load_checkpoint(saved[1])


# The table of the module's documentation, for H = 6 channels, N = 4 modes, K = 3 classes.
@pytest.mark.parametrize(("changes", "expected", "absent"), [
    ({**EMBEDDING}, {"encoder.weight": (7, 6)}, ["encoder.bias"]),
    ({"inputs": 2}, {"encoder.weight": (6, 2), "encoder.bias": (6,)}, []),
    ({"pair": True}, {"decoder.weight": (3, 24), "decoder.bias": (3,)}, []),
    ({}, {"blocks.1.ssm.a": (6, 4), "blocks.1.ssm.omega": (6, 4), "blocks.1.ssm.b": (6, 4, 2),
          "blocks.1.ssm.c": (1, 6, 4, 2), "blocks.1.ssm.log_dt": (6,), "blocks.1.ssm.d": (6,),
          "blocks.1.norm.running_var": (6,), "blocks.1.norm.num_batches_tracked": (),
          "blocks.1.mixing.weight": (6, 6), "blocks.1.mixing.bias": (6,),
          "decoder.weight": (3, 6)},
     ["blocks.2.ssm.a", "blocks.1.log_threshold", "blocks.1.mixing.norm.weight"]),
    ({"n_ssm": 2, "bidirectional": True},
     {"blocks.0.ssm.a": (2, 4), "blocks.0.ssm.omega": (2, 4), "blocks.0.ssm.b": (2, 4, 2),
      "blocks.0.ssm.c": (2, 6, 4, 2), "blocks.0.ssm.log_dt": (6,)}, []),
    ({"mode_init": "s4d-real", "bidirectional": True},
     {"blocks.0.ssm.b": (6, 4), "blocks.0.ssm.c": (2, 6, 4)}, ["blocks.0.ssm.omega"]),
    ({"norm": "layer"}, {"blocks.0.norm.weight": (6,), "blocks.0.norm.bias": (6,)},
     ["blocks.0.norm.running_mean", "blocks.0.norm.num_batches_tracked"]),
    ({"norm": "none"}, {}, ["blocks.0.norm.weight", "blocks.0.norm.bias"]),
    ({"mixing": "glu"}, {"blocks.0.mixing.weight": (12, 6), "blocks.0.mixing.bias": (12,)}, []),
    ({"mixing": "gsu", "activation": "ternary", "gsu_weights": 2},
     {"blocks.0.mixing.gate_weight": (6, 6), "blocks.0.mixing.bias": (6,),
      "blocks.0.mixing.norm.weight": (6,)},
     ["blocks.0.mixing.norm.running_mean", "blocks.0.log_threshold"]),
    ({"mixing": "gsu", "activation": "ternary-constant", "gsu_norm": "batch"},
     {"blocks.0.log_threshold": (6,), "blocks.0.mixing.norm.running_mean": (6,)},
     ["blocks.0.mixing.gate_weight"]),
    (STOCK, {"blocks.0.ssm.a": (6,), "encoder.weight": (6, 1)},
     ["encoder.bias", "blocks.0.mixing.bias", "blocks.0.ssm.b", "blocks.0.ssm.d"]),
    ({"cells": "lif"}, {"blocks.0.ssm.a": (6,), "encoder.bias": (6,), "blocks.0.mixing.bias": (6,)},
     ["blocks.0.ssm.b", "blocks.0.ssm.log_dt"]),
    (TRANSFORMER,
     {"blocks.0.attention.norm.running_mean": (6,), "blocks.0.attention.input.weight": (18, 6),
      "blocks.0.attention.input.bias": (18,), "blocks.0.attention.output.weight": (6, 6),
      "blocks.0.feedforward.norm.weight": (6,), "blocks.0.feedforward.hidden.weight": (24, 6),
      "blocks.0.feedforward.hidden.bias": (24,), "blocks.0.feedforward.output.weight": (6, 24),
      "blocks.0.feedforward.output.bias": (6,)}, ["blocks.0.ssm.a", "blocks.0.mixing.weight"]),
], ids=str)
def test_the_shapes_are_those_of_the_documentation(changes, expected, absent):
    shapes = expected_shapes(checkpoint_of(**changes).config.model)
    assert {name: shapes.get(name) for name in expected} == expected
    assert not set(absent) & set(shapes)


@pytest.mark.parametrize(("found", "asked", "message"), [
    ({}, {"mixing": "glu"},
     r"array blocks\.0\.mixing\.weight has shape \(6, 6\); .* for \(12, 6\)"),
    ({}, {"n_ssm": 2}, r"array blocks\.0\.ssm\.a has shape \(6, 4\); .* for \(2, 4\)"),
    ({}, {"pair": True}, r"array decoder\.weight has shape \(3, 6\); .* for \(3, 24\)"),
    ({}, {"activation": "ternary-constant"}, r"array blocks\.0\.log_threshold is missing"),
    ({}, TRANSFORMER, r"array blocks\.0\.attention\.norm\.weight is missing"),
    ({"activation": "ternary-constant"}, {}, r"array blocks\.0\.log_threshold has no place"),
    ({}, {"cells": "lif"}, r"array blocks\.0\.ssm\.a has shape \(6, 4\); .* for \(6,\)"),
])
def test_arrays_of_another_model_are_refused(found, asked, message):
    model = checkpoint_of(**asked).config.model
    with pytest.raises(CheckpointError, match=message):
        check_arrays(checkpoint_of(**found).arrays, model, "checkpoint")


def test_the_shipped_checkpoint_is_read_as_it_was_trained():
    """Its file is older than many keys: their defaults are what it was trained with."""
    checkpoint = load_checkpoint(ROOT / "examples" / "checkpoints" / "smnist-binary-s4d")
    model = checkpoint.config.model
    assert (model.architecture, model.cells, model.n_ssm, model.pair) == (
        "state-space", "native", 0, False
    )
    assert (model.quantise_decays, model.weight_bits) == (False, 0)
    assert sum(array.size for name, array in checkpoint.arrays.items()
               if "running" not in name and "num_batches" not in name) == 43018


def test_reading_a_checkpoint_imports_no_torch(saved):
    code = (
        "import sys; from pathlib import Path; from snn_ssm import load_checkpoint\n"
        f"load_checkpoint(Path({str(saved[1])!r}))\n"
        "sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
