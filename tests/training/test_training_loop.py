"""A training run's steps: the loop, its rates and parameter groups, and the settled norms."""

import dataclasses
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.toy_problem import TEST, TRAIN, config_of  # noqa: E402

from snn_ssm.checkpoint import load_checkpoint  # noqa: E402
from snn_ssm.config import TrainingConfig  # noqa: E402
from snn_ssm.model.network import build_network  # noqa: E402
from snn_ssm.tasks import Samples  # noqa: E402
from snn_ssm.training import run as training  # noqa: E402
from snn_ssm.training.distributed import World  # noqa: E402
from snn_ssm.training.loop import train  # noqa: E402
from snn_ssm.training.optimisation import parameter_groups, rate_factor  # noqa: E402
from snn_ssm.training.run import Run  # noqa: E402
from snn_ssm.training.run_state import TrainingError  # noqa: E402


@pytest.mark.parametrize("activation", ["heaviside", "ternary-constant"])
def test_a_run_is_a_plain_loop_of_adamw(tmp_path, activation):
    """Two epochs, written once more: order, dropout, the scheduled rates, the clipped gradient.

    And the sums that an epoch reports, over all of its samples.
    """
    config = config_of(epochs=2, clip=0.1, warmup=0.3, norm="none", activation=activation)
    settings, size = config.training, config.training.batch_size
    metrics = train(config, TRAIN, TEST, tmp_path / "run")
    torch.manual_seed(settings.seed)
    network = build_network(config.model, settings.seed)
    optimiser = torch.optim.AdamW(parameter_groups(network, settings))
    batches, norms = -(-len(TRAIN) // size), []
    sums = np.zeros((2, 4))  # of each epoch: loss, hits, spikes of either layer
    for number in range(2 * batches):
        epoch, batch = divmod(number, batches)
        order = np.random.default_rng((settings.seed, epoch)).permutation(len(TRAIN))
        index = order[batch * size : (batch + 1) * size]
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * rate_factor(number, 2 * batches, settings.warmup)
        optimiser.zero_grad()
        out = network(torch.from_numpy(TRAIN.inputs[index]))
        logits, outputs = out.logits, out.outputs
        label = torch.from_numpy(TRAIN.labels[index])
        loss = torch.nn.functional.cross_entropy(logits, label)
        rates = [float(s.ne(0).double().mean()) for s in outputs]
        hits = float((logits.argmax(-1) == label).double().mean())
        sums[epoch] += len(index) * np.array([loss.item(), hits, *rates])
        loss.backward()
        parameters = list(network.parameters())
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, settings.clip)))
        optimiser.step()
    assert min(norms) > settings.clip
    found = load_checkpoint(tmp_path / "run").arrays
    for name, value in network.state_dict().items():
        assert found[name] == pytest.approx(value.numpy(), rel=1e-4, abs=1e-6), name
    for epoch, reported in zip(sums / len(TRAIN), metrics["epochs"], strict=True):
        told = [reported["loss"], reported["train_accuracy"], *reported["train_rates"]]
        assert told == pytest.approx(epoch.tolist(), rel=1e-5)


def test_settling_takes_so_many_samples_and_leaves_the_generator_alone(tmp_path, monkeypatch):
    run = Run(config_of(), tmp_path, World())  # with dropout, which draws
    before = torch.get_rng_state()
    run.settle(TRAIN)
    assert torch.equal(torch.get_rng_state(), before)
    monkeypatch.setattr(training, "NORM_SAMPLES", 32)
    run.settle(TRAIN)
    assert int(run.network.blocks[0].norm.num_batches_tracked) == 2


def test_states_stand_some_time_apart(tmp_path, monkeypatch):
    """The clock is asked three times a batch, and once more where a state was saved."""
    clock, states, save = itertools.count(), [], Run.save_state

    def saved(run):
        states.append((run.progress.epoch, run.progress.batch))
        save(run)

    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(training, "_SAVE_EVERY", 5.0)
    monkeypatch.setattr(Run, "save_state", saved)
    train(config_of(epochs=1), TRAIN, TEST, tmp_path / "run")
    assert states == [(0, 2), (0, 4), (1, 0)]  # and the first one, with the directory


@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5, 0.9])
@pytest.mark.parametrize("total", [1, 2, 10, 1000])
def test_the_rate_rises_to_its_peak_and_falls_to_nothing(total, warmup):
    factors = [rate_factor(step, total, warmup) for step in range(total)]
    assert all(0 < f <= 1 for f in factors)
    peak = math.ceil(warmup * total)
    ramp, decay = factors[:peak], factors[peak:]
    assert ramp == sorted(ramp) and decay == sorted(decay, reverse=True)
    if len(ramp) > 2:  # linear
        assert np.diff(ramp) == pytest.approx([ramp[1] - ramp[0]] * (len(ramp) - 1), rel=1e-9)
    if total == 1000:
        assert max(factors) > 0.999 and factors[-1] < 2e-3 / (1 - warmup) ** 2
        middle = (peak + total) // 2
        assert factors[middle] == pytest.approx(0.5, abs=0.02)


def test_every_parameter_is_in_one_group():
    config = TrainingConfig(rate=0.3, mode_rate=0.1, weight_decay=0.7)
    for changes in ({}, {"mode_init": "s4d-real"}, {"encoder": "embedding"}, {"norm": "none"}):
        network = build_network(replace(config_of().model, **changes))
        groups = parameter_groups(network, config)
        names = {id(p): name for name, p in network.named_parameters()}
        grouped = [[names.pop(id(p)) for p in group["params"]] for group in groups]
        assert names == {}  # every one, and none twice
        modes, plain, decayed = ({n.split(".")[-1] for n in group} for group in grouped)
        rotates = set() if changes.get("mode_init") == "s4d-real" else {"omega"}
        assert modes == {"a", "log_dt", "b"} | rotates
        assert plain - {"weight"} == {"bias", "d"}
        assert all(".norm." in n for n in grouped[1] if n.endswith("weight"))
        assert decayed == {"c", "weight"}
        assert [g["peak"] for g in groups] == [0.1, 0.3, 0.3]
        assert [g["weight_decay"] for g in groups] == [0.0, 0.0, 0.7]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"cells": "lif"}, [{"ssm.a"}, set(), set()]),
        (
            {"mixing": "gsu", "activation": "ternary-constant", "gsu_weights": 2},
            [set(), {"log_threshold", "mixing.norm.weight"}, {"mixing.gate_weight"}],
        ),
        (
            {"architecture": "transformer"},
            [set(), {"attention.norm.weight"}, {"attention.input.weight"}],
        ),
    ],
)
def test_the_groups_of_other_models(changes, names):
    network = build_network(replace(config_of().model, **changes))
    known = {id(p): name for name, p in network.named_parameters()}
    groups = parameter_groups(network, TrainingConfig())
    grouped = [{known.pop(id(p)) for p in group["params"]} for group in groups]
    assert known == {}
    for group, expected in zip(grouped, names, strict=True):
        assert {f"blocks.1.{name}" for name in expected} <= group


def test_only_the_decaying_group_decays(tmp_path):
    """With a gradient of zero AdamW moves a parameter by its decay alone."""
    config = config_of(weight_decay=0.5, warmup=0.0, mode_rate=0.01, rate=0.02)
    run = Run(config, tmp_path, World())
    before = {k: v.detach().clone() for k, v in run.network.named_parameters()}
    for group in run.optimiser.param_groups:
        group["lr"] = group["peak"]
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    run.optimiser.step()
    for name, value in run.network.named_parameters():
        decays = name.rsplit(".", 1)[-1] in ("c", "weight") and ".norm." not in name
        factor = 1 - 0.02 * 0.5 if decays else 1.0
        assert torch.allclose(value, before[name] * factor, rtol=1e-6, atol=0), name


@pytest.mark.parametrize("last", [10, 1])
def test_settled_norms_hold_the_statistics_of_the_samples(last):
    """Those of a last batch of one sample count as one of 61, not as one of seven."""
    network = build_network(config_of(depth=1, dropout=0.0).model)
    batches = [torch.from_numpy(TRAIN.inputs[i : i + 10]) for i in range(0, 70, 10)]
    batches[-1] = batches[-1][:last]
    momentum = network.blocks[0].norm.momentum
    training.settle_norms(network.eval(), [(p, len(p)) for p in batches])
    norm = network.blocks[0].norm
    with torch.no_grad():
        h = [network.encode(p).transpose(0, 1).flatten(1) for p in batches]
    share = torch.tensor([len(p) for p in batches]) / (60 + last)
    mean = sum(of * each.mean(-1) for of, each in zip(share, h, strict=True))
    var = sum(of * each.var(-1) for of, each in zip(share, h, strict=True))
    assert torch.allclose(norm.running_mean, mean, rtol=1e-4, atol=1e-6)
    assert torch.allclose(norm.running_var, var, rtol=1e-4, atol=1e-6)
    assert norm.momentum == momentum and int(norm.num_batches_tracked) == 7


@pytest.mark.parametrize("changes", [
    {}, {"norm": "none", "membrane_norm": True},
    {"norm": "none", "mixing": "gsu", "gsu_norm": "batch", "activation": "ternary-constant"},
])
def test_a_last_batch_of_one_sample_of_one_step_is_refused(tmp_path, changes):
    """A batch norm has no variance of one value; torch would end an epoch with a traceback."""
    config = config_of(**changes)
    one = dataclasses.replace(config, task=dataclasses.replace(config.task, steps=1))
    size = config.training.batch_size
    samples = Samples(TRAIN.inputs[: size + 1, :, :1], TRAIN.labels[: size + 1])
    with pytest.raises(TrainingError) as caught:
        train(one, samples, samples, tmp_path / "run")
    assert str(caught.value) == (
        f"the last of the batches of {size} of {size + 1} samples has 1, of 1 step; expected at "
        "least 2, since a batch norm has no variance of one value. Choose another "
        "training.batch_size, or task.train_samples."
    )
    assert not (tmp_path / "run").exists()
    even = Samples(samples.inputs[:size], samples.labels[:size])
    assert train(one, even, even, tmp_path / "run")["train_samples"] == size
