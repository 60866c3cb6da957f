"""Metrics against a plain count of every operation, model names, and what the reports hold."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from support.random_networks import checkpoint_of, samples_of

from snn_ssm.config import Config, ModelConfig, TaskConfig, TrainingConfig
from snn_ssm.results import metrics
from snn_ssm.results.labels import family, model_name
from snn_ssm.results.metrics import Activity, Connection
from snn_ssm.tasks import DataError, Samples

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from snn_ssm.model.quantise import quantise_weights  # noqa: E402
from snn_ssm.model.restore import load_network  # noqa: E402
from snn_ssm.training.evaluation import evaluate, report  # noqa: E402

STEPS, COUNT, H, DEPTH = 10, 5, 6, 2
SIGNS = {"activation": "ternary", "mixing": "gsu"}
MODELS = {
    "binary": {},
    "several inputs": {"inputs": 3},
    "one bit": {"input_bits": 1},
    "glu": {"mixing": "glu"},
    "rounded": {"mixing": "glu", "weight_bits": 2},
    "gsu": SIGNS,
    "gsu rounded": {**SIGNS, "weight_bits": 3, "gsu_norm": "batch"},
    "gsu of two": {**SIGNS, "gsu_weights": 2, "weight_bits": 3, "gsu_norm": "batch"},
    "relu": {"activation": "relu"},
    "lif": {"cells": "lif"},
    "recurrent": {"cells": "lif", "recurrent": True, "delays": 2},
    "stock": {"cells": "stock", "mode_init": "s4d-real", "modes": 1},
    "symbols": {"encoder": "embedding", "inputs": 7, "input_bits": 0},
    "pairs": {"encoder": "embedding", "inputs": 7, "input_bits": 0, "pair": True},
    "transformer": {"architecture": "transformer", "heads": 2},
}


def model_of(name):
    """A random checkpoint, some of whose weights are 0, and samples, some of which are silent."""
    checkpoint = checkpoint_of(3, STEPS, **MODELS[name])
    rng = np.random.default_rng(4)
    arrays = {
        key: array * (rng.random(array.shape) < 0.8) if key.endswith("weight") else array
        for key, array in checkpoint.arrays.items()
    }
    arrays = {key: array.astype(checkpoint.arrays[key].dtype) for key, array in arrays.items()}
    checkpoint = replace(checkpoint, arrays=arrays)
    model = checkpoint.config.model
    if model.encoder == "embedding":
        inputs = rng.integers(0, model.inputs, (COUNT, 1, STEPS))
    else:
        inputs = samples_of(checkpoint, COUNT)
    return checkpoint, Samples(inputs, rng.integers(0, model.classes, COUNT))


def multiplied(weights, signals):
    """Operations of ``weights`` (to, from) on ``signals`` (B, from, L), each looked at in turn."""
    return sum(
        np.count_nonzero(weights[:, column])
        for sample in signals
        for column in range(weights.shape[1])
        for value in sample[column]
        if value != 0
    )


@torch.no_grad()
def plain_count(checkpoint, inputs):
    """ACs, MACs and dense operations of all samples together, from recorded signals."""
    model, arrays = checkpoint.config.model, checkpoint.arrays
    network = load_network(checkpoint)
    out = network(torch.from_numpy(inputs.astype(np.int64)))
    total = {"Effective_ACs": 0, "Effective_MACs": 0, "Dense": 0}

    def add(weights, signals, spikes):
        name = "Effective_ACs" if spikes else "Effective_MACs"
        total[name] += multiplied(weights, signals)
        total["Dense"] += weights.size * len(signals) * signals.shape[-1]

    if model.encoder == "embedding":
        signals = np.moveaxis(np.eye(model.inputs)[inputs[:, 0]], 2, 1)  # (B, C, L)
        add(arrays["encoder.weight"].T, signals, True)
    else:
        add(arrays["encoder.weight"], inputs, model.input_bits == 1)
    for block, y, s in zip(network.blocks, out.membranes, out.outputs, strict=False):
        weight = block.mixing.weight
        if model.weight_bits:
            weight = quantise_weights(weight, model.weight_bits)
        add(weight.numpy(), s.numpy(), model.activation != "relu")
        if model.recurrent:
            add(block.recurrent.weight.numpy(), s.numpy(), True)
        if model.mixing == "gsu":
            add(block.mixing.gate_matrix().numpy(), np.ones(y.shape), False)
    pooled = np.ones((COUNT, arrays["decoder.weight"].shape[1], 1))
    add(arrays["decoder.weight"], pooled, False)
    return total


@pytest.mark.parametrize("name", [name for name in MODELS if name != "transformer"])
def test_synaptic_operations_are_those_of_a_plain_count(name):
    checkpoint, samples = model_of(name)
    activity = evaluate(load_network(checkpoint), samples, 3).activity
    found = metrics.synaptic_operations(checkpoint, activity)
    expected = plain_count(checkpoint, samples.inputs)
    assert {key: value * COUNT for key, value in found.items()} == pytest.approx(expected)
    assert found["Effective_ACs"] + found["Effective_MACs"] < found["Dense"]


def test_a_symbol_that_never_comes_is_counted_as_such():
    checkpoint, samples = model_of("symbols")
    inputs = np.minimum(samples.inputs, 1)
    found = evaluate(load_network(checkpoint), Samples(inputs, samples.labels)).activity.inputs
    assert found.tolist() == [int((inputs == symbol).sum()) for symbol in range(7)]


def test_a_ternary_matrix_is_strict_at_its_threshold():
    weight = np.zeros((H, H), np.float32)
    weight[0, :5] = [20, 3, -3, 3.5, -3.5]  # 0.15 times 20 is 3, in float64 too
    checkpoint = model_of("gsu")[0]
    checkpoint = replace(
        checkpoint, arrays={**checkpoint.arrays, "blocks.0.mixing.weight": weight}
    )
    activity = Activity(COUNT, STEPS, np.zeros(1, np.int64), *np.zeros((2, DEPTH, H), np.int64))
    gate = metrics.connections(checkpoint, activity)[2]
    assert int(gate.weights.sum()) == 3
    assert (load_network(checkpoint).blocks[0].mixing.gate_matrix() != 0).sum() == 3


def test_rounded_weights_of_zeros_are_zeros():
    checkpoint = model_of("rounded")[0]
    zeros = {k: 0 * v if ".mixing." in k else v for k, v in checkpoint.arrays.items()}
    activity = Activity(COUNT, STEPS, np.zeros(1, np.int64), *np.zeros((2, DEPTH, H), np.int64))
    found = metrics.connections(replace(checkpoint, arrays=zeros), activity)
    assert [bool(c.weights.any()) for c in found] == [True, False, False, True]


def test_a_transformer_multiplies_everything_and_attends():
    checkpoint = model_of("transformer")[0]
    checkpoint = replace(
        checkpoint, arrays={k: np.ones_like(v) for k, v in checkpoint.arrays.items()}
    )
    activity = Activity(COUNT, STEPS, np.array([COUNT * STEPS]), *np.zeros((2, 0, H), np.int64))
    found = metrics.synaptic_operations(checkpoint, activity)
    matrices = H + DEPTH * (3 * H * H + H * H + 2 * 4 * H * H)
    attention = DEPTH * 2 * STEPS * STEPS * H  # queries with keys, and their shares with values
    macs = STEPS * matrices + attention + 3 * H
    assert found == {"Effective_ACs": 0, "Effective_MACs": macs, "Dense": macs}
    assert metrics.activation_sparsity(activity) is None
    assert metrics.mode_macs(checkpoint.config.model, STEPS) == 0
    pair = replace(checkpoint.config.model, pair=True)
    assert metrics.attention_macs(pair, STEPS) == attention / 2


def test_the_example_of_neurobench():
    weights = np.array([[1.3, 0, -3.2], [0, 1.2, -5.1], [-1.1, 2.7, 0]]) != 0
    connection = Connection(weights, np.array([0.0, 1.0, 1.0]), 1, False)
    assert (connection.effective, connection.dense) == (4, 9)
    assert metrics.connection_sparsity([connection]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", MODELS)
def test_counts_of_parameters_bytes_and_zeros_are_torchs(name):
    checkpoint, samples = model_of(name)
    network = load_network(checkpoint)
    activity = evaluate(network, samples).activity
    assert metrics.parameter_count(checkpoint) == sum(p.numel() for p in network.parameters())
    stored = [*network.parameters(), *network.buffers()]
    size = sum(t.numel() * t.element_size() for t in stored)
    bits = checkpoint.config.model.weight_bits
    if name == "gsu rounded":
        bits += 2  # T(G) besides the rounded W
    if bits:
        elements = network.blocks[0].mixing.weight.numel()
        size -= DEPTH * (4 * elements - math.ceil(elements * bits / 8) - 4)
    assert metrics.footprint(checkpoint) == size
    if name in ("binary", "symbols", "relu"):
        matrices = [v for k, v in checkpoint.arrays.items()
                    if k.endswith("weight") and ".norm." not in k]
        zeros = sum(int((w == 0).sum()) for w in matrices) / sum(w.size for w in matrices)
        found = metrics.connection_sparsity(metrics.connections(checkpoint, activity))
        assert 0.1 < found == pytest.approx(zeros)


def test_an_integer_spike_counts_as_often_as_it_is_sent():
    checkpoint = checkpoint_of(activation="integer", spike_levels=3, membrane_norm=True)
    inputs = np.random.default_rng(0).integers(0, 16, (5, 1, 24)).astype(np.uint8)
    activity = evaluate(load_network(checkpoint), Samples(inputs, np.zeros(5, np.int64))).activity
    with torch.no_grad():
        outputs = load_network(checkpoint)(torch.from_numpy(inputs.astype(np.int64))).outputs
    sent = torch.stack(outputs)  # (depth, B, H, L)
    assert sent.max() == 3
    assert (activity.outputs == sent.sum((1, 3)).numpy()).all()
    assert activity.rates == pytest.approx(sent.mean((1, 2, 3)).tolist())
    silent = (sent == 0).double().mean().item()
    assert metrics.activation_sparsity(activity) == pytest.approx(silent)


def test_of_differences_what_is_sent_counts():
    """Rates, sparsity and synaptic operations, for samples of several lengths, too."""
    checkpoint = checkpoint_of(
        activation="integer", spike_levels=3, membrane_norm=True, messages="differences"
    )
    inputs = np.random.default_rng(0).integers(0, 16, (5, 1, 24)).astype(np.uint8)
    lengths = np.array([24, 7, 1, 24, 13])
    for given in (None, lengths):
        samples = Samples(inputs, np.zeros(5, np.int64), lengths=given)
        activity = evaluate(load_network(checkpoint), samples).activity
        with torch.no_grad():
            outputs = load_network(checkpoint)(torch.from_numpy(inputs.astype(np.int64))).outputs
        counts = torch.stack(outputs).numpy()  # (depth, B, H, L)
        messages = np.abs(np.diff(counts, axis=3, prepend=0))
        if given is not None:
            messages *= np.arange(24) < lengths[:, None, None]
        assert (activity.outputs == messages.sum((1, 3))).all() and messages.max() > 1
        assert (activity.active == (messages > 0).sum((1, 3))).all()
        operations = metrics.synaptic_operations(checkpoint, activity)["Effective_ACs"]
        assert operations == pytest.approx(messages.sum() * checkpoint.config.model.channels / 5)


@pytest.mark.parametrize("name", ["binary", "gsu", "relu", "pairs"])
def test_activation_sparsity_is_the_share_of_zeros(name):
    checkpoint, samples = model_of(name)
    network = load_network(checkpoint)
    activity = evaluate(network, samples, 2).activity
    with torch.no_grad():
        outputs = network(torch.from_numpy(samples.inputs.astype(np.int64))).outputs
    zeros = np.mean([(s == 0).numpy() for s in outputs])
    assert metrics.activation_sparsity(activity) == pytest.approx(zeros)
    assert np.mean(activity.rates) == pytest.approx(1 - zeros)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 6 * 4 + 1),  # abar x: 4, Re(g x): 2, for 4 modes; d u: 1
        ({"mode_init": "s4d-real"}, 2 * 4 + 1),
        ({"bidirectional": True}, 2 * 6 * 4 + 1),
        (MODELS["stock"], 1),
        (MODELS["lif"], 1),
    ],
)
def test_the_multiplications_of_the_modes(changes, expected):
    model = checkpoint_of(0, **changes).config.model
    assert metrics.mode_macs(model, STEPS) == expected * H * DEPTH * STEPS


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mixing": "glu"}, "Binary S4D"),
        ({}, "Binary S4D, linear"),
        ({"mixing": "glu", "bidirectional": True}, "Binary S4D, bidirectional"),
        ({"weight_bits": 8}, "Binary S4D, linear, 8-bit weights"),
        (MODELS["stock"], "Binary S4D, stock cells"),
        (SIGNS, "GSU"),
        ({**SIGNS, "activation": "ternary-constant", "gsu_weights": 2},
         "GSU, constant thresholds, two matrices"),
        ({"activation": "gelu", "mixing": "glu"}, "S4D"),
        ({"activation": "tanh", "mixing": "glu"}, "S4D (tanh)"),
        ({"activation": "bernoulli", "mixing": "glu"}, "Bernoulli S4D"),
        (MODELS["lif"], "LIF"),
        (MODELS["recurrent"], "LIF, recurrent, delays to 2"),
        ({**MODELS["lif"], "recurrent": True, "recurrent_delays": 3},
         "LIF, recurrent, recurrent delays to 3"),
        ({"architecture": "transformer"}, "Transformer"),
    ],
)
def test_the_name_of_a_model(changes, expected):
    config = Config(TaskConfig(), ModelConfig(**changes), TrainingConfig())
    assert model_name(config) == expected
    assert family(expected) == expected.split(",")[0]


def test_a_penalised_model_is_called_sparse():
    config = Config(TaskConfig(), ModelConfig(), TrainingConfig(rate_penalty=1.0))
    assert model_name(config) == "Binary S4D, linear, sparse"


@pytest.mark.parametrize(("training", "task", "expected"), [
    ({"class_weights": (1.0,) * 10}, {}, "weighted classes"),
    ({"sparsity": 0.9}, {}, "90% pruned"),
    ({"gradient_noise": 0.01}, {}, "gradient noise"),
    ({"through_time": False}, {}, "SLTT"),
    ({"gradient_steps": 49}, {}, "SLTT-49"),
    ({}, {"steps": 196, "stride": 4}, "every 4 steps"),
])
def test_a_method_of_training_is_in_the_name(training, task, expected):
    model = ModelConfig(cells="lif") if "SLTT" in expected else ModelConfig()
    config = Config(TaskConfig(**task), model, TrainingConfig(**training))
    name = "LIF" if "SLTT" in expected else "Binary S4D, linear"
    assert model_name(config) == f"{name}, {expected}"


@pytest.mark.parametrize("task", ["smnist", "unheard-of"])
def test_a_report_is_json_with_every_metric_and_class(task):
    checkpoint, samples = model_of("binary")
    samples = replace(samples, source="made here")
    config = replace(checkpoint.config, task=TaskConfig(task, STEPS))
    checkpoint = replace(checkpoint, config=config)
    found = evaluate(load_network(checkpoint), samples)
    result = report(checkpoint, samples, found)
    assert json.loads(json.dumps(result)) == result
    assert result["data"] == "made here"
    assert set(result) == {
        "test_accuracy", "test_macro_f1", "test_samples", "output", "data", "steps", "warnings",
        "spike_rates", "activation_sparsity",
        "synaptic_operations", "Mode_MACs", "parameters", "footprint", "connection_sparsity",
        "classes",
    }
    assert [row["name"] for row in result["classes"]] == ["0", "1", "2"]
    assert sum(row["count"] for row in result["classes"]) == COUNT
    hits = [(row["sensitivity"] or 0) * row["count"] for row in result["classes"]]
    assert sum(hits) == pytest.approx(found.accuracy * COUNT)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_the_network_has_no_class_for(label):
    checkpoint, samples = model_of("binary")
    labels = samples.labels.copy()
    labels[1] = label
    with pytest.raises(DataError, match=rf"sample 1 of those to evaluate .*{label}; expected 0 to"):
        evaluate(load_network(checkpoint), Samples(samples.inputs, labels))
