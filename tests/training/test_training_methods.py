"""Pruning, gradient noise, gradients cut in time, and a model read at another stride."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.random_networks import checkpoint_of, samples_of  # noqa: E402
from support.toy_problem import TEST, TRAIN, config_of, without_times  # noqa: E402
from support.trained_model import assert_is_the_trained_model  # noqa: E402

from export.lowering import lower  # noqa: E402
from snn_ssm.checkpoint import load_checkpoint  # noqa: E402
from snn_ssm.config import (  # noqa: E402
    Config,
    ConfigError,
    ModelConfig,
    TaskConfig,
    TrainingConfig,
)
from snn_ssm.model.lif import LifLayer  # noqa: E402
from snn_ssm.model.network import build_network  # noqa: E402
from snn_ssm.model.restore import StartError, load_network  # noqa: E402
from snn_ssm.tasks.base import DataError, arranged  # noqa: E402
from snn_ssm.training import train  # noqa: E402
from snn_ssm.training.batches import load  # noqa: E402
from snn_ssm.training.distributed import World  # noqa: E402
from snn_ssm.training.methods import (  # noqa: E402
    add_noise,
    cut_time,
    matrices,
    prune,
    restride,
    sparsity_at,
)
from snn_ssm.training.run import Run  # noqa: E402

GSU = {"mixing": "gsu", "activation": "ternary-constant", "gsu_norm": "batch", "gsu_weights": 2}


def test_sparsity_rises_to_its_target_in_half_of_the_steps():
    found = [sparsity_at(0.8, t, 100) for t in (0, 10, 25, 50, 75, 100)]
    assert found[0] == 0 and found[3:] == [0.8] * 3
    assert found[1] == pytest.approx(0.8 * (1 - 0.8**3)) and found[2] == pytest.approx(0.7)


@pytest.mark.parametrize("changes", [{}, {"mixing": "glu"}, GSU], ids=str)
def test_pruning_zeroes_the_smallest_of_each_mixing_matrix_alone(changes):
    network = build_network(config_of(**changes).model)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    pruned = [w.detach().clone() for w in matrices(network)]
    assert len(pruned) == 2 * (2 if changes.get("gsu_weights") == 2 else 1)
    prune(network, 0.75)
    for old, new in zip(pruned, matrices(network), strict=True):
        zero = new.detach() == 0
        assert int(zero.sum()) == round(0.75 * old.numel())
        assert float(old[zero].abs().max()) <= float(old[~zero].abs().min())
        assert torch.equal(new[~zero], old[~zero])
    for name, value in network.state_dict().items():
        if not name.endswith(("mixing.weight", "mixing.gate_weight")):
            assert torch.equal(value, before[name]), name


def test_a_pruned_model_has_its_sparsity_and_is_exported_without_those_synapses(tmp_path):
    train(config_of(sparsity=0.75), TRAIN, TEST, tmp_path / "run")
    checkpoint = load_checkpoint(tmp_path / "run")
    network = lower(checkpoint)
    found = assert_is_the_trained_model(checkpoint, network, TEST.inputs[:4])
    assert found.spikes["layer0"].any()
    for i in range(2):
        zeros = checkpoint.arrays[f"blocks.{i}.mixing.weight"] == 0
        assert zeros.mean() == 0.75
    (between,) = [p for p in network.projections if (p.source, p.target) == ("layer0", "layer1")]
    weight = checkpoint.arrays["blocks.0.mixing.weight"]
    assert ((between.weights == 0) == (weight.T == 0)).all()


def test_noise_is_the_same_in_every_process_and_shrinks():
    network = build_network(config_of().model)

    def noise(step, seed=3):
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        torch.manual_seed(step)  # of no influence
        add_noise(network, 0.5, seed, step)
        return torch.cat([p.grad.flatten() for p in network.parameters()])

    first = noise(0)
    assert torch.equal(first, noise(0)) and not torch.equal(first, noise(0, seed=4))
    assert float(first.std()) == pytest.approx(0.5, rel=0.1) and abs(float(first.mean())) < 0.05
    assert float(noise(999).std()) == pytest.approx(0.5 * 1000**-0.275, rel=0.1)


def lif(seed=0):
    network = build_network(config_of(cells="lif", norm="none").model, seed)
    layers = [m for m in network.modules() if isinstance(m, LifLayer)]
    return network, layers


@pytest.mark.parametrize("compiled", ["0", "1"])
def test_without_gradients_in_time_an_input_matters_to_its_own_step(monkeypatch, compiled):
    from snn_ssm.model.operators import library

    monkeypatch.setenv("SNN_SSM_OPERATORS", compiled)
    library.loaded.cache_clear()
    network, layers = lif()
    cut_time(network, TrainingConfig(through_time=False), 9)
    u = torch.randn(2, 8, 9, requires_grad=True)
    v = layers[0](u)
    (grad,) = torch.autograd.grad(v[..., 5].sum(), u, retain_graph=True)
    assert torch.equal(grad[..., 5], torch.ones(2, 8)) and int(grad.count_nonzero()) == 16
    (of_a,) = torch.autograd.grad(v.sum(), layers[0].a)
    beta = torch.exp(-torch.exp(layers[0].a.detach()))
    kept = torch.where(v > 1, 0, v)[..., :-1].sum((0, 2)).detach()  # what each step decays
    assert torch.allclose(of_a, kept * beta * -torch.exp(layers[0].a.detach()), rtol=1e-5)
    cut_time(network, TrainingConfig(), 9)
    (grad,) = torch.autograd.grad(layers[0](u)[..., 5].sum(), u)
    assert int(grad.count_nonzero()) > 16
    library.loaded.cache_clear()


def test_gradients_of_a_few_steps_drawn_for_all_layers_and_anew_each_time():
    network, layers = lif()
    training = TrainingConfig(through_time=False, gradient_steps=3)
    drawn = []
    for _ in range(5):
        cut_time(network, training, 9)
        u = torch.randn(2, 8, 9, requires_grad=True)
        steps = [
            set(torch.autograd.grad(x(u).sum(), u)[0].sum((0, 1)).nonzero().flatten().tolist())
            for x in layers
        ]
        assert steps[0] == steps[1] and len(steps[0]) == 3
        drawn.append(frozenset(steps[0]))
    assert len(set(drawn)) > 1


METHODS = [
    {"sparsity": 0.5}, {"gradient_noise": 0.01}, {"cells": "lif", "through_time": False},
    {"cells": "lif", "through_time": False, "gradient_steps": 4},
]  # fmt: skip


@pytest.mark.parametrize("changes", METHODS, ids=str)
def test_a_run_with_each_method_is_another_and_repeats(tmp_path, changes):
    cells = {"cells": changes["cells"]} if "cells" in changes else {}
    runs = [
        train(config_of(**settings), TRAIN, TEST, tmp_path / str(i))
        for i, settings in enumerate(({"epochs": 2, **changes}, {"epochs": 2, **changes},
                                      {"epochs": 2, **cells}))
    ]  # fmt: skip
    losses = [[epoch["loss"] for epoch in run["epochs"]] for run in runs]
    assert losses[0] == losses[1] != losses[2]
    assert without_times(runs[0]["epochs"]) == without_times(runs[1]["epochs"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sparsity": 1.0}, r"\[training.sparsity\] is 1.0; expected a share of zeros"),
        ({"gradient_noise": -1.0}, r"\[training.gradient_noise\] is -1.0; expected 0 to"),
        ({"gradient_steps": -1}, r"\[training.gradient_steps\] is -1; expected 0 \(all\)"),
        ({"through_time": False}, r"\[training.through_time\] is False; expected true with cells"),
        ({"gradient_steps": 2}, r"\[training.gradient_steps\] is 2; expected 0 with cells that"),
    ],
)  # fmt: skip
def test_what_they_refuse(changes, message):
    with pytest.raises(ConfigError, match=message):
        config_of(**changes)


@pytest.mark.parametrize("cells", ["native", "lif", "stock"])
def test_a_strided_model_decays_as_much_in_as_much_time(cells):
    changes = {"cells": cells, "depth": 1}
    if cells == "stock":
        changes |= {"mode_init": "s4d-real", "modes": 1}
    network = build_network(config_of(**changes).model)
    layer = network.blocks[0].ssm

    def decay():
        recurrence = layer.recurrence()
        return (recurrence.beta if cells == "lif" else recurrence.abar).detach().clone()

    one = decay()
    restride(network, TaskConfig(stride=1), TaskConfig(stride=2))
    two = decay()
    assert torch.allclose(two, one**2, rtol=1e-3 if cells == "stock" else 1e-6)
    restride(network, TaskConfig(stride=2), TaskConfig(stride=1))
    assert torch.allclose(decay(), one, rtol=1e-3 if cells == "stock" else 1e-6)


def test_a_run_starts_from_a_model_of_another_stride(tmp_path):
    train(config_of(epochs=1), TRAIN, TEST, tmp_path / "whole")
    config = config_of(epochs=1)
    config = replace(config, task=replace(config.task, steps=6, stride=2))
    half = [replace(s, inputs=s.inputs[..., ::2]) for s in (TRAIN, TEST)]
    train(config, *half, tmp_path / "half", init=tmp_path / "whole")
    one, two = (load_checkpoint(tmp_path / name).arrays for name in ("whole", "half"))
    shift = two["blocks.0.ssm.log_dt"] - one["blocks.0.ssm.log_dt"]
    assert np.abs(shift - math.log(2)).max() < 0.05  # a few steps of training later


@pytest.mark.parametrize("changes", [{"cells": "egru"}, {"architecture": "transformer"}])
def test_a_model_without_time_constants_starts_at_its_own_stride(changes):
    network = build_network(config_of(**changes).model)
    before = [p.detach().clone() for p in network.parameters()]
    restride(network, TaskConfig(stride=2), TaskConfig(stride=2))
    with pytest.raises(StartError, match=r"of task\.stride = 1 at 3: it has no time constants"):
        restride(network, TaskConfig(stride=1), TaskConfig(stride=3))
    assert all(torch.equal(*p) for p in zip(before, network.parameters(), strict=True))


def test_samples_are_read_at_a_stride_after_their_permutation():
    pixels, labels = np.arange(7).reshape(1, 1, 7), np.zeros(1, np.int64)
    found = arranged(pixels, labels, TaskConfig("t", 4, stride=2), 1)
    assert found.inputs.tolist() == [[[0, 2, 4, 6]]]
    backwards = TaskConfig("t", 4, tuple(range(6, -1, -1)), stride=2)
    assert arranged(pixels, labels, backwards, 1).inputs.tolist() == [[[6, 4, 2, 0]]]
    with pytest.raises(DataError, match="7 steps of which every 3-th is read, but task.steps is 4"):
        arranged(pixels, labels, TaskConfig("t", 4, stride=3), 1)
    with pytest.raises(ConfigError, match=r"task.permutation.*of 4 x 2 steps"):
        TaskConfig("t", 4, tuple(range(6)), stride=2)
    with pytest.raises(ConfigError, match=r"\[task.stride\] is 0; expected a positive integer"):
        TaskConfig("t", 4, stride=0)


def test_a_sparse_network_of_random_weights_is_the_trained_model():
    checkpoint = checkpoint_of(steps=20)
    for name, array in checkpoint.arrays.items():
        if name.endswith("mixing.weight"):
            array[np.abs(array) < np.quantile(np.abs(array), 0.6)] = 0
    assert_is_the_trained_model(checkpoint, lower(checkpoint), samples_of(checkpoint))


# --- answers to beginnings --------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "last", "filter"])
@pytest.mark.parametrize("lengths", [None, [20, 13, 2]])
def test_beginnings_are_scored_as_samples_of_their_own(pooling, lengths):
    network = load_network(checkpoint_of(0, steps=20, pooling=pooling)).eval()
    p = torch.from_numpy(samples_of(checkpoint_of(0, steps=20), 3).astype(np.float32))
    network.prefixes = 4
    given = None if lengths is None else torch.tensor(lengths)
    found = network(p, given)
    assert found.beginnings.shape == (3, 3, 3)
    network.prefixes = 0
    for b, length in enumerate(lengths or [20] * 3):
        for j in (1, 2, 3):
            part = p[b : b + 1, :, : max(length * j // 4, 1)]
            assert torch.allclose(network(part).logits[0], found.beginnings[b, j - 1], atol=1e-5)
    assert network(p, given).beginnings is None


def test_half_the_loss_is_that_of_beginnings(tmp_path):
    config = replace(config_of(), training=replace(config_of().training, prefixes=5))
    run = Run(config, tmp_path / "run", World())
    batch = load(TRAIN, np.arange(8), torch.device("cpu"))
    out = run.forward(batch.inputs, batch.lengths)
    losses = [torch.nn.functional.cross_entropy(z, batch.labels) for z in out.beginnings.unbind(1)]
    assert len(losses) == 4
    whole = torch.nn.functional.cross_entropy(out.logits, batch.labels)
    expected = (whole + torch.stack(losses).mean()) / 2
    assert run.objective(out, batch, 8).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(
    "changes",
    [{"pair": True}, {"bidirectional": True}, {"architecture": "transformer"},
     {"output": "labels"}],
)
def test_what_answers_at_once_has_no_beginnings(changes):
    with pytest.raises(ConfigError, match=r"training.prefixes] is 4; expected 0 with a model that"):
        Config(model=ModelConfig(**changes), training=TrainingConfig(prefixes=4))
    with pytest.raises(ConfigError, match=r"expected 0 \(none\), or 2 and more"):
        TrainingConfig(prefixes=1)
