"""``examples/output_functions.py``: every function trained once, continued, drawn."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
from support.files import ROOT

pytest.importorskip("torch", reason="PyTorch is not installed")

from snn_ssm.model.block import _CONTINUOUS


@pytest.fixture
def example(monkeypatch):
    """The example as a module, on few pictures and with a small network."""
    path = ROOT / "examples" / "output_functions.py"
    spec = importlib.util.spec_from_file_location("output_functions", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    whole = module.configuration

    def small(activation):
        config = whole(activation)
        model = replace(config.model, channels=4, depth=1, modes=2)
        return replace(config, model=model, training=replace(config.training, epochs=1))

    monkeypatch.setattr(module, "COUNTS", {"train": 64, "test": 32})
    monkeypatch.setattr(module, "configuration", small)
    return module


def test_pictures_are_of_both_labels_and_splits_differ(example):
    train, test = example.pictures("train"), example.pictures("test")
    assert train.inputs.shape == (64, 1, 256) and train.inputs.dtype == np.uint8
    assert set(train.labels) == set(test.labels) == {0, 1}
    known = {row.tobytes() for row in train.inputs}
    assert not known & {row.tobytes() for row in test.inputs}


def test_every_output_function_is_trained_once_and_drawn(example, tmp_path, monkeypatch):
    example.main(tmp_path)
    runs = json.loads((tmp_path / "output-functions.json").read_text())
    assert set(runs) == {"heaviside", *_CONTINUOUS}
    assert all(len(run["epochs"]) == 1 for run in runs.values())
    picture = (tmp_path / "output-functions.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    (tmp_path / "tanh" / "metrics.json").unlink()  # as if it had been killed before its end
    calls = []

    def train(config, *samples_and_out, resume):
        calls.append((config.model.activation, resume))
        (tmp_path / "tanh" / "metrics.json").write_text(json.dumps(runs["tanh"]))

    monkeypatch.setattr(example, "train", train)
    example.main(tmp_path)
    assert calls == [("tanh", True)]
    assert (tmp_path / "output-functions.png").read_bytes() == picture
