"""Checkpoints: bit for bit there and back, and every way in which one is refused."""

import subprocess
import sys
import tomllib

import numpy as np
import pytest
import tomli_w
from conftest import ROOT, checkpoint_of
from hypothesis import given, settings
from hypothesis import strategies as st

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
from snn_ssm.config import ModelConfig
from snn_ssm.files import FileError, sha256

VARIANTS = [
    {},
    {"mode_init": "s4d-real"},
    {"bidirectional": True},
    {"norm": "none"},
    {"norm": "layer", "prenorm": False},
    {"encoder": "embedding", "inputs": 7},
]


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


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    changes=st.sampled_from(VARIANTS),
    channels=st.integers(1, 5),
    modes=st.integers(1, 5),
    depth=st.integers(1, 3),
)
def test_there_and_back_bit_for_bit(tmp_path_factory, seed, changes, channels, modes, depth):
    directory = tmp_path_factory.mktemp("checkpoint")
    original = checkpoint_of(seed, channels=channels, modes=modes, depth=depth, **changes)
    save_checkpoint(directory, original)
    assert_same(load_checkpoint(directory), original)
    assert sorted(p.name for p in directory.iterdir()) == [CONFIG_FILE, MODEL_FILE]


def test_saving_again_replaces_the_checkpoint(saved):
    _, directory = saved
    other = checkpoint_of(seed=5)
    save_checkpoint(directory, other)
    assert_same(load_checkpoint(str(directory)), other)


def test_an_interrupted_save_leaves_no_checkpoint_that_could_be_mistaken(saved, monkeypatch):
    _, directory = saved
    replace, calls = files.os.replace, []

    def once(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", once)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(directory, checkpoint_of(seed=5))
    monkeypatch.undo()
    # The new model and the old configuration: refused, not mixed.
    with pytest.raises(FileError, match="was truncated or altered"):
        load_checkpoint(directory)
    assert sorted(p.name for p in directory.iterdir()) == [CONFIG_FILE, MODEL_FILE]


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


def test_the_configuration_of_a_training_is_no_checkpoint(saved):
    path = saved[1] / CONFIG_FILE
    table = tomllib.loads(path.read_text())
    del table["checkpoint"]
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


def test_shapes_of_an_embedding_and_of_real_bidirectional_modes():
    shapes = expected_shapes(ModelConfig(encoder="embedding", inputs=5, channels=3, modes=2))
    assert shapes["encoder.weight"] == (5, 3) and "encoder.bias" not in shapes
    shapes = expected_shapes(
        ModelConfig(mode_init="s4d-real", bidirectional=True, channels=3, modes=2, depth=1)
    )
    assert shapes["blocks.0.ssm.c"] == (2, 3, 2) and "blocks.0.ssm.omega" not in shapes


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
