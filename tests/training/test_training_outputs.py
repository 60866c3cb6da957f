"""Training for every output: it learns, what fills samples up has no part, the best epoch."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.toy_problem import STEPS, TEST, TRAIN, config_of, without_times  # noqa: E402

from snn_ssm.checkpoint import load_checkpoint  # noqa: E402
from snn_ssm.config import ConfigError, ModelConfig, TrainingConfig  # noqa: E402
from snn_ssm.model.restore import load_network  # noqa: E402
from snn_ssm.tasks import DataError, Samples  # noqa: E402
from snn_ssm.training import run as training  # noqa: E402
from snn_ssm.training.evaluation import evaluate  # noqa: E402
from snn_ssm.training.loop import train  # noqa: E402
from snn_ssm.training.losses import loss_sum, right  # noqa: E402
from snn_ssm.training.run_state import TrainingError  # noqa: E402

LENGTHS = np.random.default_rng(5).integers(2, STEPS + 1, 70)
MODELS = {
    "labels": {"output": "labels", "pooling": "last"},
    "labels, filtered": {"output": "labels", "pooling": "filter", "pooling_tau": 2.0},
    "values": {"output": "values", "classes": 2},
    "values at each step": {"output": "values", "per_step": True, "classes": 1, "pooling": "last"},
    "multi-label": {"output": "multi-label"},
    "classes, filtered": {"pooling": "filter", "pooling_tau": 8.0},
}


def answers_of(samples, output, each_step):
    """What can be told of the toy's sequences, in the shape of an output."""
    bright = samples.inputs[:, 0] > 6  # (B, L)
    if output == "labels":
        return bright.astype(np.int64)
    if output == "multi-label":
        return np.stack([samples.labels, 1 - samples.labels], axis=1)
    if output == "values":
        if each_step:
            return samples.inputs.transpose(0, 2, 1) / 16.0
        return np.stack([samples.labels, -samples.labels], axis=1).astype(float)
    return samples.labels


def task_of(name, **changes):
    """The configuration of a kind of output, and samples to train and to test on."""
    config = config_of(**(MODELS[name] | {"epochs": 8, "dropout": 0.0} | changes))
    model = config.model
    return config, [
        replace(samples, labels=answers_of(samples, model.output, model.each_step))
        for samples in (TRAIN, TEST)
    ]


@pytest.mark.parametrize("name", MODELS)
def test_it_learns(name, tmp_path):
    config, (samples, test) = task_of(name)
    metrics = train(config, samples, test, tmp_path / "run")
    losses = [epoch["loss"] for epoch in metrics["epochs"]]
    assert losses[-1] < 0.8 * losses[0]
    assert metrics["output"] == config.model.output
    if config.model.output == "values":
        assert metrics["test_r2"] > 0.3 and metrics["test_accuracy"] is None
        assert metrics["epochs"][-1]["train_accuracy"] is None
    else:
        assert metrics["test_accuracy"] > 0.75
        assert metrics["epochs"][-1]["train_accuracy"] > 0.75
    network = load_network(tmp_path / "run")
    found = evaluate(network, test)
    assert found.predictions.shape == test.labels.shape
    if config.model.pooling == "filter":
        first = np.full(config.model.classes, config.model.pooling_tau)
        assert (np.exp(network.pooling.log_tau.detach().numpy()) != first).all()


def scores_of(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("name", ["labels", "values at each step"])
def test_what_stands_behind_the_end_of_a_sample_has_no_part_in_its_loss(name):
    config, (samples, _) = task_of(name)
    label = torch.from_numpy(samples.labels)
    z = scores_of((70, STEPS, config.model.classes))
    lengths = torch.from_numpy(LENGTHS)
    padded = loss_sum(z, label, lengths, config.model, config.training)
    alone = sum(
        loss_sum(z[b : b + 1, :n], label[b : b + 1, :n], None, config.model, config.training)
        for b, n in enumerate(LENGTHS)
    )
    assert float(padded) == pytest.approx(float(alone), rel=1e-5)
    if name == "labels":
        hits = sum(
            float(right(z[b : b + 1, :n], label[b : b + 1, :n], None, config.model))
            for b, n in enumerate(LENGTHS)
        )
        assert float(right(z, label, lengths, config.model)) == pytest.approx(hits)


def test_steps_without_a_label_count_for_nothing():
    config, _ = task_of("labels")
    z, label = scores_of((1, 4, 2)), torch.tensor([[0, -1, 1, -1]])
    both = loss_sum(z[:, [0, 2]], label[:, [0, 2]], None, config.model, config.training)
    assert loss_sum(z, label, None, config.model, config.training) == pytest.approx(float(both))
    none = torch.full((1, 4), -1)
    assert float(loss_sum(z, none, None, config.model, config.training)) == 0


def test_the_losses_by_hand():
    model = ModelConfig(output="values", classes=2)
    z, target = torch.tensor([[0.5, 3.0]]), torch.tensor([[0.0, 0.0]])
    for training_config, expected in (
        (TrainingConfig(), 0.25 + 9.0),
        (TrainingConfig(value_loss="huber", huber_delta=2.0), 0.125 + 2.0 * (3.0 - 1.0)),
        (TrainingConfig(class_weights=(4.0, 1.0)), 1.0 + 9.0),
    ):
        assert float(loss_sum(z, target, None, model, training_config)) == pytest.approx(expected)
    model = ModelConfig(output="multi-label", classes=2)
    expected = np.log1p(np.exp(-0.5)) + np.log1p(np.exp(3.0))  # the first holds, the second not
    found = loss_sum(z, torch.tensor([[1, 0]]), None, model, TrainingConfig())
    assert float(found) == pytest.approx(expected)
    assert float(right(z, torch.tensor([[1, 0]]), None, model)) == 0.5


def test_samples_of_different_lengths_are_trained_on_and_counted(tmp_path):
    config = config_of(epochs=2)
    noise = np.random.default_rng(0).integers(0, 16, TRAIN.inputs.shape).astype(np.uint8)
    beyond = np.arange(STEPS) >= LENGTHS[:, None, None]
    one, two = (
        Samples(np.where(beyond, fill, TRAIN.inputs), TRAIN.labels, lengths=LENGTHS)
        for fill in (0, noise)
    )
    train(config, one, TEST, tmp_path / "run")
    network = load_network(tmp_path / "run")
    found, other = evaluate(network, one), evaluate(network, two)
    assert (found.counts == other.counts).all()
    assert found.activity.steps == LENGTHS.mean()
    assert (found.activity.outputs == other.activity.outputs).all()
    assert found.activity.inputs[0] == sum(
        int((row[0, :n] != 0).sum()) for row, n in zip(TRAIN.inputs, LENGTHS, strict=True)
    )
    assert (found.activity.outputs <= LENGTHS.sum()).all()


@pytest.mark.parametrize("changes", [
    {"architecture": "transformer"}, {"bidirectional": True}, {"pair": True},
])
def test_models_that_read_what_fills_samples_up_are_refused(changes, tmp_path):
    from snn_ssm.model.network import build_network
    from snn_ssm.model.sequence import ModelError

    config = config_of(**changes)
    samples = Samples(TRAIN.inputs, TRAIN.labels, lengths=LENGTHS)
    with pytest.raises(DataError, match=r"have different lengths, and a model with model\."):
        train(config, samples, TEST, tmp_path / "run")
    with pytest.raises(ModelError, match="samples have different lengths"):
        build_network(config.model)(torch.zeros(2, 1, STEPS), torch.tensor([3, STEPS]))


@pytest.mark.parametrize(("name", "change", "said"), [
    ("labels", lambda labels: labels[:, :-1], r"shape \(70, 11\); model.output = 'labels' expects"),
    ("labels", lambda labels: labels + 1, r"step \d+, has the label 2; expected 0 to 1, or -1"),
    ("labels", lambda labels: labels * 0.5, "is of float64"),
    ("values", lambda labels: labels[:, :1], r"real numbers of shape \(70, 2\)"),
    ("multi-label", lambda labels: labels * 2, "has the label 2; expected 0 to 1"),
])
def test_labels_that_are_none_of_the_output(name, change, said, tmp_path):
    config, (samples, test) = task_of(name)
    wrong = replace(samples, labels=change(samples.labels))
    with pytest.raises(DataError, match=said):
        train(config, wrong, test, tmp_path / "run")


@pytest.mark.parametrize(("keys", "said"), [
    ({"per_step": True}, r"model.per_step\] is True; expected false, or model.output one"),
    ({"output": "labels", "pair": True}, r"model.pair\] is True; expected false where each step"),
    ({"pooling": "filter", "pair": True}, r"model.pooling\] is 'filter'; expected 'mean' or"),
    ({"output": "value"}, r"model.output\] is 'value'; expected one of classes, labels"),
    ({"pooling_tau": 0.0}, r"model.pooling_tau\] is 0.0; expected a positive number of steps"),
])
def test_outputs_that_do_not_go_together(keys, said):
    with pytest.raises(ConfigError, match=said):
        ModelConfig(**keys)


def scripted(monkeypatch, scores):
    """Make every evaluation of the 20 samples that validate give the next of these accuracies."""
    left = list(scores)

    def evaluated(network, samples, *rest):
        found = evaluate(network, samples, *rest)
        if len(samples) != 20:
            return found
        return replace(found, metrics={**found.metrics, "accuracy": left.pop(0)})

    monkeypatch.setattr(training, "evaluate", evaluated)


def test_the_validation_chooses_the_epoch_and_the_test_never(tmp_path, monkeypatch):
    valid, config = TEST.take(slice(20)), config_of(epochs=4, select="valid")
    scripted(monkeypatch, [0.5, 0.75, 0.75, 0.5])
    metrics = train(config, TRAIN, TEST, tmp_path / "run", valid_samples=valid)
    assert metrics["selected_epoch"] == 2  # the first of two that are as good
    assert metrics["valid_accuracy"] == 0.75 and metrics["valid_samples"] == 20
    assert [epoch["valid_accuracy"] for epoch in metrics["epochs"]] == [0.5, 0.75, 0.75, 0.5]
    assert metrics["test_accuracy"] == metrics["epochs"][1]["test_accuracy"]
    # The same training, stopped after epoch 2 of 4: its model is the one that was kept.
    kept = load_checkpoint(tmp_path / "run")
    monkeypatch.undo()
    whole = load_network(tmp_path / "run")
    assert evaluate(whole, TEST).accuracy == metrics["test_accuracy"]
    last = train(replace(config, training=replace(config.training, select="last")), TRAIN, TEST,
                 tmp_path / "last", valid_samples=valid)
    assert last["test_accuracy"] == last["epochs"][-1]["test_accuracy"]
    assert "selected_epoch" not in last
    final = load_checkpoint(tmp_path / "last")
    assert any((kept.arrays[k] != final.arrays[k]).any() for k in kept.arrays)


def test_a_run_that_chooses_and_is_killed_goes_on_to_the_same_model(tmp_path, monkeypatch):
    valid, config = TEST.take(slice(20)), config_of(epochs=3, select="valid")
    scripted(monkeypatch, [0.5, 0.75, 0.25])
    expected = train(config, TRAIN, TEST, tmp_path / "whole", valid_samples=valid)
    scripted(monkeypatch, [0.5, 0.75, 0.25])
    original = training.Run.finish_epoch

    def killed(self, *args):
        if self.progress.epoch == 2:
            raise KeyboardInterrupt
        original(self, *args)

    monkeypatch.setattr(training.Run, "finish_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        train(config, TRAIN, TEST, tmp_path / "run", valid_samples=valid)
    monkeypatch.setattr(training.Run, "finish_epoch", original)
    scripted(monkeypatch, [0.25])
    found = train(config, TRAIN, TEST, tmp_path / "run", valid_samples=valid, resume=True)
    assert without_times(found) == without_times(expected) and found["selected_epoch"] == 2
    one, two = (load_checkpoint(tmp_path / name) for name in ("whole", "run"))
    assert all(one.arrays[k].tobytes() == two.arrays[k].tobytes() for k in one.arrays)
    stored = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert stored["selected_epoch"] == 2


def test_without_a_test_those_that_validate_are_reported_on(tmp_path):
    valid = TEST.take(slice(20))
    metrics = train(config_of(epochs=2), TRAIN, None, tmp_path / "run", valid_samples=valid)
    assert not any(key.startswith("test") for row in [metrics, *metrics["epochs"]] for key in row)
    assert "classes" not in metrics and set(metrics["data_sha256"]) == {"train", "valid"}
    assert metrics["valid_accuracy"] == metrics["epochs"][-1]["valid_accuracy"]
    found = evaluate(load_network(tmp_path / "run"), valid)
    assert found.accuracy == metrics["valid_accuracy"] and metrics["valid_samples"] == 20
    assert metrics["spike_rates"] == metrics["epochs"][-1]["valid_rates"] == found.activity.rates
    # The same training as with a test, of which the validation's figures are the same.
    both = train(config_of(epochs=2), TRAIN, TEST, tmp_path / "both", valid_samples=valid)
    assert both["valid_classes"] == metrics["valid_classes"] != both["classes"]
    rows = metrics["valid_classes"]
    assert [sum(valid.labels == k) for k in range(len(rows))] == [row["count"] for row in rows]
    assert {"sensitivity", "predictivity", "f1"} <= set(rows[0])
    assert metrics["valid_macro_f1"] == both["valid_macro_f1"]
    assert both["model_sha256"] == metrics["model_sha256"]


def test_nothing_to_report_on(tmp_path):
    with pytest.raises(TrainingError, match="neither samples to test on nor any to validate with"):
        train(config_of(), TRAIN, None, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_to_choose_with(tmp_path):
    config = config_of(select="valid")
    with pytest.raises(TrainingError, match="no samples to validate with. Add a valid.npz"):
        train(config, TRAIN, TEST, tmp_path / "run")
