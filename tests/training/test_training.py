"""Training: it learns, a killed run continues to the same result, and what it refuses."""

import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.toy_problem import STEPS, TEST, TRAIN, config_of, without_times  # noqa: E402

from pynn_models import SnnSsmError  # noqa: E402
from snn_ssm.checkpoint import MODEL_FILE, load_checkpoint  # noqa: E402
from snn_ssm.files import FileError, read_arrays, sha256  # noqa: E402
from snn_ssm.model import chunks  # noqa: E402
from snn_ssm.model.network import Network, build_network  # noqa: E402
from snn_ssm.model.restore import load_network  # noqa: E402
from snn_ssm.tasks import DataError, Samples  # noqa: E402
from snn_ssm.training import run as training  # noqa: E402
from snn_ssm.training.evaluation import evaluate, report  # noqa: E402
from snn_ssm.training.loop import train  # noqa: E402
from snn_ssm.training.run import METRICS_FILE, Run  # noqa: E402
from snn_ssm.training.run_state import STATE_FILE, TrainingError  # noqa: E402


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An uninterrupted run: its directory and metrics."""
    out = tmp_path_factory.mktemp("finished") / "run"
    return out, train(config_of(), TRAIN, TEST, out)


def assert_same_run(out, metrics, finished):
    expected_out, expected_metrics = finished
    assert without_times(metrics) == without_times(expected_metrics)
    stored = json.loads((out / METRICS_FILE).read_text())
    assert without_times(stored) == without_times(expected_metrics)
    found, expected = load_checkpoint(out), load_checkpoint(expected_out)
    assert found.config == expected.config
    for name, array in expected.arrays.items():
        assert found.arrays[name].tobytes() == array.tobytes(), name
    one, two = (read_arrays(d / STATE_FILE, "state")[0] for d in (out, expected_out))
    assert set(one) == set(two)
    for name in one:
        assert one[name].tobytes() == two[name].tobytes(), name


def interrupt(monkeypatch, owner, name, call):
    """Raise KeyboardInterrupt in the ``call``-th call of ``owner.name``, before its work."""
    original, calls = getattr(owner, name), []

    def wrapped(*args, **kwargs):
        calls.append(None)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrapped)


def test_the_loss_falls_and_the_problem_is_learned(finished):
    _, metrics = finished
    losses = [epoch["loss"] for epoch in metrics["epochs"]]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.7 * losses[0]
    assert metrics["test_accuracy"] > 0.9
    assert [epoch["epoch"] for epoch in metrics["epochs"]] == [1, 2, 3]
    assert all(0 < rate < 1 for rate in metrics["spike_rates"])


def test_the_checkpoint_is_the_network_that_was_evaluated(finished):
    out, metrics = finished
    network = load_network(out)
    assert not network.training
    again = evaluate(network, TEST)
    assert again.accuracy == metrics["test_accuracy"]
    assert again.activity.rates == metrics["spike_rates"]
    assert metrics["parameters"] == sum(p.numel() for p in network.parameters())


def test_the_metrics_of_a_run(finished):
    out, metrics = finished
    threads = torch.get_num_threads()
    assert json.loads((out / METRICS_FILE).read_text()) == metrics
    assert (metrics["task"], metrics["model"]) == ("toy", "Binary S4D, linear")
    sizes = ("train_samples", "test_samples", "steps", "batch_size")
    assert [metrics[key] for key in sizes] == [len(TRAIN), len(TEST), STEPS, 16]
    seconds = [epoch["seconds"] for epoch in metrics["epochs"]]  # from the run's start
    assert 0 < seconds[0] < seconds[1] < seconds[2] == metrics["seconds"]
    assert metrics["hardware"].endswith(f", {metrics['threads']} thread{'s' * (threads > 1)}")
    assert metrics["model_sha256"] == sha256((out / MODEL_FILE).read_bytes())
    again = report(load_checkpoint(out), TEST, evaluate(load_network(out), TEST))
    assert {key: metrics[key] for key in again} == again
    assert sum(row["count"] for row in metrics["classes"]) == len(TEST)


def test_a_seed_determines_the_result_and_another_changes_it(finished, tmp_path):
    metrics = train(config_of(), TRAIN, TEST, tmp_path / "again")
    assert_same_run(tmp_path / "again", metrics, finished)
    other = train(config_of(seed=4), TRAIN, TEST, tmp_path / "other")
    assert other["epochs"][0]["loss"] != metrics["epochs"][0]["loss"]


# 5 batches an epoch: within the first, at its end, within the second, the very last.
@pytest.mark.parametrize("call", [2, 4, 6, 8, 15])
def test_a_run_killed_within_an_epoch_continues_to_the_same_result(
    finished, tmp_path, monkeypatch, call
):
    monkeypatch.setattr(training, "_SAVE_EVERY", -1.0)  # a state after every batch
    interrupt(monkeypatch, Run, "step", call)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(config_of(), TRAIN, TEST, out)
    monkeypatch.undo()
    torch.manual_seed(99)  # the random state must come from the file
    metrics = train(config_of(), TRAIN, TEST, out, resume=True)
    assert_same_run(out, metrics, finished)


def test_a_killed_run_by_chunks_continues_to_the_same_result(finished, tmp_path, monkeypatch):
    """Layers whose sequences are long enough; here the toy problem's, in chunks of 5 steps."""
    monkeypatch.setattr(chunks, "_SHORTEST", 1)
    monkeypatch.setattr(chunks, "_SHORTEST_COMPILED", 1)
    monkeypatch.setattr(chunks, "STEPS", 5)
    whole = train(config_of(), TRAIN, TEST, tmp_path / "whole")
    assert whole["model_sha256"] != finished[1]["model_sha256"]  # by transforms
    monkeypatch.setattr(training, "_SAVE_EVERY", -1.0)
    with monkeypatch.context() as patch:
        interrupt(patch, Run, "step", 7)
        with pytest.raises(KeyboardInterrupt):
            train(config_of(), TRAIN, TEST, tmp_path / "run")
    metrics = train(config_of(), TRAIN, TEST, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", metrics, (tmp_path / "whole", whole))


def test_a_state_of_an_earlier_batch_does(finished, tmp_path, monkeypatch):
    # States stand only at the ends of epochs: the killed epoch's batches are done again.
    interrupt(monkeypatch, Run, "step", 9)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(config_of(), TRAIN, TEST, out)
    monkeypatch.undo()
    metrics = train(config_of(), TRAIN, TEST, out, resume=True)
    assert_same_run(out, metrics, finished)


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("name", ["evaluate", "save_checkpoint", "write_atomic", "save_state"])
def test_a_run_killed_between_epochs_continues_to_the_same_result(
    finished, tmp_path, monkeypatch, name, epoch
):
    monkeypatch.setattr(training, "_SAVE_EVERY", math.inf)
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        # The first state is written at the start.
        interrupt(patch, training, name, epoch + (name == "save_state"))
        with pytest.raises(KeyboardInterrupt):
            train(config_of(), TRAIN, TEST, out)
    metrics = train(config_of(), TRAIN, TEST, out, resume=True)
    assert_same_run(out, metrics, finished)


def test_a_run_killed_twice(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_SAVE_EVERY", -1.0)
    out = tmp_path / "run"
    for resume, call in ((False, 4), (True, 5)):
        with monkeypatch.context() as patch:
            interrupt(patch, Run, "step", call)
            with pytest.raises(KeyboardInterrupt):
                train(config_of(), TRAIN, TEST, out, resume=resume)
    metrics = train(config_of(), TRAIN, TEST, out, resume=True)
    assert_same_run(out, metrics, finished)


def test_resuming_a_finished_run_changes_nothing(finished):
    out, metrics = finished
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    again = train(config_of(), TRAIN, TEST, out, resume=True)
    assert without_times(again) == without_times(metrics)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


@pytest.mark.parametrize(("changes", "differs"), [
    ({"rate": 1e-3}, r"training\.rate is .* there and 0\.001 here"),
    ({"channels": 9}, r"model\.channels is \d+ there and 9 here"),
    ({"epochs": 4}, r"training\.epochs is \d there and 4 here"),
])
def test_another_configuration_cannot_resume(finished, changes, differs):
    out, _ = finished
    before = (out / STATE_FILE).read_bytes()
    told = rf"another configuration: {differs}\. Resume with --config .*config\.toml, or train into"
    with pytest.raises(TrainingError, match=told):
        train(config_of(**changes), TRAIN, TEST, out, resume=True)
    assert (out / STATE_FILE).read_bytes() == before


def test_nothing_to_resume(tmp_path):
    with pytest.raises(FileError, match=r"nothing to resume in .*: it has no state\.safetensors"):
        train(config_of(), TRAIN, TEST, tmp_path, resume=True)


@pytest.mark.parametrize("cut", [1, 5000])
def test_a_truncated_state(finished, tmp_path, cut):
    data = (finished[0] / STATE_FILE).read_bytes()
    (tmp_path / STATE_FILE).write_bytes(data[:-cut])
    with pytest.raises(FileError, match=r"training state .* is no valid safetensors file"):
        train(config_of(), TRAIN, TEST, tmp_path, resume=True)


def test_an_output_directory_that_exists(finished):
    out, _ = finished
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    with pytest.raises(FileError, match=r"the output directory .* exists; nothing was written"):
        train(config_of(), TRAIN, TEST, out)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_a_loss_that_diverges(tmp_path, monkeypatch):
    forward, calls = Network.forward, []

    def diverge(self, p, lengths=None):
        out = forward(self, p)
        calls.append(None)
        return out._replace(logits=out.logits * math.nan) if len(calls) == 10 else out

    monkeypatch.setattr(training, "_SAVE_EVERY", -1.0)
    monkeypatch.setattr(Network, "forward", diverge)
    # Without norms and so without settling: 5 batches, 3 of the evaluation, and again.
    with pytest.raises(TrainingError) as caught:
        train(config_of(norm="none"), TRAIN, TEST, tmp_path / "run")
    message = str(caught.value)
    assert "the loss is nan in epoch 2, batch 2." in message
    assert "Lower training.rate, training.mode_rate or model.input_scale" in message
    arrays, metadata = read_arrays(tmp_path / "run" / STATE_FILE, "state")
    assert json.loads(metadata["progress"])["batch"] == 1  # the last good state
    assert all(np.isfinite(v).all() for v in arrays.values() if v.dtype.kind == "f")


@pytest.mark.parametrize("which", ["train", "test"])
def test_a_label_that_the_model_has_no_class_for(tmp_path, which):
    wrong = Samples(TRAIN.inputs, TRAIN.labels + 2)
    samples = (wrong, TEST) if which == "train" else (TRAIN, wrong)
    with pytest.raises(DataError, match=f"sample 0 of those to {which} on has the label [23];"):
        train(config_of(), *samples, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("inputs", "found"), [
    (TRAIN.inputs / 7, "not all integers, from 0.0 to "),
    (TRAIN.inputs * -1.0, "integers, from -"),
    (TRAIN.inputs.astype(int) + 300, "integers, from 300"),
    (TRAIN.inputs.astype(int) * 0 - 1, "integers, from -1 to -1"),
    (TRAIN.inputs.astype(int) * 0 + 256, "integers, from 256 to 256"),
])
def test_inputs_that_the_encoder_is_not_made_for(tmp_path, inputs, found):
    samples = Samples(inputs, TRAIN.labels)
    bits = {"input_bits": 8}
    with pytest.raises(DataError) as caught:
        train(config_of(**bits), samples, TEST, tmp_path / "run")
    message = str(caught.value)
    assert f"the inputs of those to train on are {found}" in message
    assert "expected integers from 0 to 255. Set model.input_bits to 0 for real" in message
    assert not (tmp_path / "run").exists()
    train(config_of(input_bits=0, epochs=1), samples, TEST, tmp_path / "run")


def test_symbols_that_the_embedding_does_not_have(tmp_path):
    config = config_of(encoder="embedding", inputs=int(TRAIN.inputs.max()))
    with pytest.raises(DataError) as caught:
        train(config, TRAIN, TEST, tmp_path / "run")
    assert f"expected integers from 0 to {config.model.inputs - 1}. Correct model.inputs" in str(
        caught.value
    )
    with pytest.raises(DataError, match=r"the inputs of those to evaluate are integers, from 0"):
        evaluate(build_network(config.model), TRAIN)


def test_evaluation_takes_no_larger_batches_than_training(tmp_path, monkeypatch):
    forward, sizes = Network.forward, []

    def watch(self, p, lengths=None):
        sizes.append(len(p))
        return forward(self, p)

    monkeypatch.setattr(Network, "forward", watch)
    train(config_of(epochs=1, batch_size=8), TRAIN, TEST, tmp_path / "run")
    assert max(sizes) == 8 and sum(sizes) == 2 * len(TRAIN) + len(TEST)  # with the settling


def test_a_rate_out_of_all_bounds_is_reported(tmp_path):
    with pytest.raises(SnnSsmError, match=r"Lower (the rate of the modes|training\.rate)"):
        train(config_of(rate=1e6, mode_rate=1e6, clip=1e30), TRAIN, TEST, tmp_path / "run")


def test_evaluation_does_not_depend_on_the_batch(finished):
    network = load_network(finished[0])
    whole, parts = evaluate(network, TEST, 40), evaluate(network, TEST, 7)
    assert np.array_equal(whole.predictions, parts.predictions)
    assert whole.accuracy == parts.accuracy == np.mean(whole.predictions == TEST.labels)
    assert whole.activity.rates == parts.activity.rates


def test_activity_counts_what_is_not_zero(finished):
    network = load_network(finished[0])
    activity = evaluate(network, TEST).activity
    with torch.no_grad():
        outputs = network(torch.from_numpy(TEST.inputs)).outputs
    assert (activity.samples, activity.steps) == (40, STEPS)
    assert activity.inputs.tolist() == [int((TEST.inputs != 0).sum())]
    for counts, rate, s in zip(activity.outputs, activity.rates, outputs, strict=True):
        assert counts.tolist() == s.sum((0, 2)).tolist()
        assert rate == pytest.approx(float(s.mean()), rel=1e-6)
