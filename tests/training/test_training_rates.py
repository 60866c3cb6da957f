"""The spike-rate penalty, and training that starts from a checkpoint."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.toy_problem import TEST, TRAIN, config_of, without_times  # noqa: E402

from snn_ssm.checkpoint import MODEL_FILE, load_checkpoint  # noqa: E402
from snn_ssm.config import ModelConfig  # noqa: E402
from snn_ssm.files import FileError, sha256  # noqa: E402
from snn_ssm.model.restore import StartError  # noqa: E402
from snn_ssm.model.spiking import heaviside  # noqa: E402
from snn_ssm.training.batches import Batch  # noqa: E402
from snn_ssm.training.distributed import World  # noqa: E402
from snn_ssm.training.loop import train  # noqa: E402
from snn_ssm.training.optimisation import (  # noqa: E402
    PenaltyError,
    rate_penalty,
    sent,
    spike_rates,
    summed_rates,
)
from snn_ssm.training.run import Run  # noqa: E402

SHAPE = (2, 3, 4)


def formula(outputs, activation, target):
    """The penalty, written once more in NumPy."""
    rates = [np.abs(s).mean() if "ternary" in activation else s.mean() for s in outputs]
    return np.mean([max(0.0, rate - target) ** 2 for rate in rates])


@pytest.mark.parametrize("target", [0.0, 0.4])
@pytest.mark.parametrize("activation", ["heaviside", "bernoulli", "ternary", "ternary-constant"])
def test_the_penalty_and_its_gradient_are_those_of_the_formula(activation, target):
    rng = np.random.default_rng(0)
    low = -1.0 if "ternary" in activation else 0.0
    outputs = [rng.uniform(low, 1, SHAPE), 0.1 * rng.uniform(low, 1, SHAPE)]  # one below 0.4
    tensors = [torch.from_numpy(s).requires_grad_() for s in outputs]
    found = rate_penalty(spike_rates(tensors, ModelConfig(activation=activation)), target)
    found.backward()
    assert float(found.detach()) == pytest.approx(formula(outputs, activation, target), rel=1e-12)
    step = 1e-6
    for s, tensor in zip(outputs, tensors, strict=True):
        for index in np.ndindex(SHAPE):
            kept, ends = s[index], []
            for s[index] in (kept + step, kept - step):
                ends.append(formula(outputs, activation, target))
            s[index] = kept
            slope = (ends[0] - ends[1]) / (2 * step)
            assert float(tensor.grad[index]) == pytest.approx(slope, rel=1e-5, abs=1e-12)


def test_differences_are_penalised_by_their_size():
    """The counts of two samples by hand, from 0 on: 6 and 4 in 2 x 1 x 4 slots."""
    s = torch.tensor([[[0.0, 3, 3, 0]], [[2, 2, 1, 2]]], dtype=torch.float64, requires_grad=True)
    model = ModelConfig(activation="integer", messages="differences")
    (rate,) = spike_rates([s], model)
    assert rate.item() == (6 + 4) / 8
    rate.backward()
    # of |s[k] - s[k-1]|, the sign with which s[k] is in it and in the next
    assert (8 * s.grad).tolist() == [[[-1, 1, 1, -1]], [[1, 1, -2, 1]]]
    assert sent(s, model).tolist() == [[[0, 3, 0, 3]], [[2, 0, 1, 1]]]
    counts = ModelConfig(activation="integer")
    assert spike_rates([s], counts).item() == 13 / 8 and sent(s, counts).tolist() == s.tolist()


@pytest.mark.parametrize("model", [
    {}, {"activation": "integer", "messages": "differences"}, {"cells": "egru"},
])
def test_steps_behind_the_end_of_a_sample_are_not_penalised_and_not_told(tmp_path, model):
    """One sample is filled up with spikes, the other is whole: the mean of each one's own rate."""
    run = Run(config_of(norm="none", dropout=0.0, rate_penalty=3.0, **model), tmp_path, World())
    lengths, model = torch.tensor([5, 12]), run.config.model
    p, label = torch.from_numpy(TRAIN.inputs[:2].copy()), torch.from_numpy(TRAIN.labels[:2])
    alone = [run.network(p[i : i + 1, :, :n]).outputs for i, n in enumerate(lengths)]
    expected = torch.stack([spike_rates(outputs, model) for outputs in alone]).mean(0)
    for fill in (0, 15):
        p[0, :, 5:] = fill
        out = run.network(p, lengths)
        assert torch.allclose(spike_rates(out.outputs, model, lengths), expected)
        told = summed_rates(out.outputs, model, 2, lengths)
        each = [[sent(s, model).double().mean() for s in outputs] for outputs in alone]
        assert [float(rate) for rate in told] == pytest.approx(np.sum(each, axis=0).tolist())
        plain = replace(run.config, training=replace(run.config.training, rate_penalty=0.0))
        without = Run(plain, tmp_path, World()).objective(out, Batch(p, label, lengths), 2)
        penalised = run.objective(out, Batch(p, label, lengths), 2) - without
        assert penalised.item() == pytest.approx(3 * expected.square().mean().item(), rel=1e-4)
    told = summed_rates(run.network(p).outputs, model, 2, lengths)
    run.step(Batch(p, label, lengths), 2, 0, 10)
    assert run.progress.rates == pytest.approx([float(rate) for rate in told])


def test_the_loss_of_a_sample_is_weighted_by_its_class(tmp_path):
    weights = (0.5, 3.0)
    run = Run(config_of(class_weights=weights), tmp_path, World())
    p, label = torch.from_numpy(TRAIN.inputs[:8]), torch.from_numpy(TRAIN.labels[:8])
    out = run.network(p)
    assert len(set(label.tolist())) == 2
    entropy = torch.nn.functional.cross_entropy(out.logits, label, reduction="none")
    expected = (entropy * torch.tensor(weights)[label]).sum() / 8
    assert float(run.objective(out, Batch(p, label, None), 8).detach()) == pytest.approx(
        float(expected.detach()), rel=1e-6
    )


def test_the_penalty_reaches_membranes_on_both_sides_of_the_threshold():
    y = torch.tensor([[[-0.1, 0.1]]], requires_grad=True)
    rate_penalty(spike_rates([heaviside(y, "arctan", 2.0)], ModelConfig()), 0.0).backward()
    assert torch.all(y.grad > 0)


def test_the_objective_is_the_cross_entropy_and_the_weighted_penalty(tmp_path):
    run = Run(config_of(rate_penalty=3.0, rate_target=0.1), tmp_path, World())
    p, label = torch.from_numpy(TRAIN.inputs[:8]), torch.from_numpy(TRAIN.labels[:8])
    out = run.network(p)
    found = run.objective(out, Batch(p, label, None), 8)
    entropy = torch.nn.functional.cross_entropy(out.logits, label)
    penalty = formula([s.numpy() for s in map(torch.detach, out.outputs)], "heaviside", 0.1)
    assert float(found.detach()) == pytest.approx(float(entropy.detach()) + 3 * penalty, rel=1e-6)


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """A run without a penalty: its directory and metrics."""
    out = tmp_path_factory.mktemp("dense") / "run"
    return out, train(config_of(), TRAIN, TEST, out)


def test_training_with_the_penalty_lowers_the_rates(dense, tmp_path):
    config = config_of(rate_penalty=20.0, rate_target=0.1, epochs=10)
    sparse = train(config, TRAIN, TEST, tmp_path / "sparse", init=dense[0])
    for rate, before in zip(sparse["spike_rates"], dense[1]["spike_rates"], strict=True):
        assert rate < 0.6 * before
    assert sparse["test_accuracy"] > 0.9


def test_a_target_above_the_rates_changes_nothing(dense, tmp_path):
    config = config_of(rate_penalty=20.0, rate_target=0.99)
    metrics = train(config, TRAIN, TEST, tmp_path / "run")
    for name, array in load_checkpoint(dense[0]).arrays.items():
        assert np.array_equal(load_checkpoint(tmp_path / "run").arrays[name], array), name
    assert metrics["spike_rates"] == dense[1]["spike_rates"]


@pytest.mark.parametrize("changes", [{"activation": "gelu"}, {"architecture": "transformer"}])
def test_a_penalty_without_spikes_is_refused(tmp_path, changes):
    (value,) = changes.values()
    with pytest.raises(PenaltyError, match=rf"is 0\.5, but .* '{value}' has no spikes\. Set it to"):
        train(config_of(rate_penalty=0.5, **changes), TRAIN, TEST, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_starts_from_a_checkpoint(dense, tmp_path):
    run = Run(config_of(seed=9), tmp_path / "run", World())
    run.start(dense[0], {})
    for name, value in run.network.state_dict().items():
        assert np.array_equal(value, load_checkpoint(dense[0]).arrays[name]), name
    assert run.progress.init == sha256((dense[0] / MODEL_FILE).read_bytes())


def test_the_metrics_name_the_model_that_was_started_from_through_a_resume(
    dense, tmp_path, monkeypatch
):
    config = config_of(seed=9, epochs=2)
    whole = train(config, TRAIN, TEST, tmp_path / "whole", init=dense[0])
    assert whole["init"] == sha256((dense[0] / MODEL_FILE).read_bytes())
    assert dense[1]["init"] is None
    step, calls = Run.step, []

    def killed(self, *args):
        calls.append(None)
        if len(calls) == 7:
            raise KeyboardInterrupt
        step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, TRAIN, TEST, tmp_path / "part", init=dense[0])
    resumed = train(config, TRAIN, TEST, tmp_path / "part", init=dense[0], resume=True)
    assert without_times(resumed) == without_times(whole)


def test_another_model_to_start_from_is_refused_by_what_differs(dense, tmp_path):
    config = config_of(channels=6, mixing="glu", dropout=0.5, epochs=1)
    with pytest.raises(StartError) as caught:
        train(config, TRAIN, TEST, tmp_path / "run", init=dense[0])
    message = str(caught.value)
    assert "channels is 8 there and 6 in the configuration" in message
    assert "mixing is 'linear' there and 'glu' in the configuration" in message
    assert "dropout" not in message
    assert message.endswith("Use what its config.toml has there.")
    assert not (tmp_path / "run").exists()


def test_complex_modes_do_not_start_from_real_ones_nor_the_other_way_round(dense, tmp_path):
    config = config_of(mode_init="s4d-real", epochs=1)
    with pytest.raises(StartError) as caught:
        train(config, TRAIN, TEST, tmp_path / "run", init=dense[0])
    said = "mode_init is 's4d-lin' there and 's4d-real' in the configuration. Use what"
    assert said in str(caught.value)
    others = config_of(mode_init="s4d-inv", rate=1e-9, mode_rate=1e-9, epochs=1)
    train(others, TRAIN, TEST, tmp_path / "others", init=dense[0])


def test_how_a_model_is_trained_may_differ_from_where_it_starts(dense, tmp_path):
    """Dropout, surrogates, first modes, rounding: no array has another shape or meaning."""
    changes = {
        "dropout": 0.5, "surrogate": "arctan", "surrogate_slope": 3.0, "dt_max": 0.05,
        "weight_bits": 4, "quantise_decays": True,
    }
    for key, value in changes.items():
        config = config_of(epochs=1, rate=1e-9, mode_rate=1e-9, **{key: value})
        train(config, TRAIN, TEST, tmp_path / key, init=dense[0])
        found, start = load_checkpoint(tmp_path / key), load_checkpoint(dense[0])
        assert getattr(found.config.model, key) == value
        for name, array in start.arrays.items():
            if "running" not in name and "tracked" not in name:  # the norms follow the data
                assert np.allclose(found.arrays[name], array, atol=1e-6), (key, name)


def test_a_start_that_is_no_checkpoint(tmp_path):
    with pytest.raises(FileError, match=r"cannot read checkpoint configuration .*config\.toml"):
        train(config_of(), TRAIN, TEST, tmp_path / "run", init=tmp_path / "none")
