"""Layers that do not work are named, with what to do."""

import numpy as np
import pytest

from snn_ssm.config import ModelConfig
from snn_ssm.results.health import layer_warnings
from snn_ssm.results.metrics import Activity

SLOTS = 5 * 100


def activity_of(*layers):
    active = np.array(layers)
    return Activity(5, 100, np.ones(1, np.int64), active, active)


def warnings_of(*layers, **model):
    return layer_warnings(activity_of(*layers), ModelConfig(**model))


GOOD = [0, 250, 250, SLOTS]  # a half of its neurons does nothing: not more than half


def test_layers_that_work_are_not_spoken_of():
    assert warnings_of(GOOD, [1, 2, 3, 4]) == []


@pytest.mark.parametrize(("layer", "said"), [
    ([0, 0, 0, 1], "layer 1 is silent: 0.05% of its outputs are spikes"),
    ([SLOTS, SLOTS, SLOTS, 450], "layer 1 is saturated: 97.50% of its outputs are spikes"),
    ([0, 0, 250, SLOTS], "layer 1 is half dead: of 4 neurons 2 never spike and 1 spike at every"),
    ([0, SLOTS, 250, SLOTS], "layer 1 is half dead: of 4 neurons 1 never spike and 2 spike at"),
])
def test_a_layer_that_does_not_work_is_named_with_what_to_do(layer, said):
    (found,) = warnings_of(GOOD, layer)
    assert found.startswith(said) and "model.input_scale" in found
    loud = "penalise spikes" in found
    assert loud == ("saturated" in said or "2 spike at" in said)


def test_what_has_no_spikes_cannot_lack_them():
    assert warnings_of([0, 0, 0, 0], activation="gelu") == []
    assert warnings_of([0, 0, 0, 0], architecture="transformer") == []


def test_evaluate_says_it(tmp_path, capsys):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from support.random_networks import checkpoint_of, samples_of, with_array

    from export.command.arguments import main
    from snn_ssm.checkpoint import save_checkpoint

    def silence(array):
        array[:] = -1e6

    checkpoint = with_array(checkpoint_of(0), "blocks.1.norm.bias", silence)
    checkpoint = with_array(checkpoint, "blocks.1.ssm.d", lambda d: np.copyto(d, 1e3))
    save_checkpoint(tmp_path, checkpoint)
    np.savez(tmp_path / "s.npz", inputs=samples_of(checkpoint, 3), labels=[0, 1, 2])
    assert main(["evaluate", str(tmp_path), "--data", str(tmp_path / "s.npz")]) == 0
    assert "warning: layer 1 is " in capsys.readouterr().out
