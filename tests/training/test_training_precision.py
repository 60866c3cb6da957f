"""Training with ``precision = "bf16"``: which operations it changes, and that it still learns."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.toy_problem import TEST, TRAIN, config_of  # noqa: E402

from snn_ssm.model import kernel  # noqa: E402
from snn_ssm.model.lif import LifLayer  # noqa: E402
from snn_ssm.model.norms import ChannelLayerNorm  # noqa: E402
from snn_ssm.training.batches import Batch  # noqa: E402
from snn_ssm.training.distributed import World  # noqa: E402
from snn_ssm.training.loop import train  # noqa: E402
from snn_ssm.training.run import Run  # noqa: E402

MODELS = [
    {},
    {"norm": "layer", "prenorm": False, "mixing": "glu"},
    {"norm": "none", "bidirectional": True, "activation": "gelu"},
    {"mixing": "gsu", "activation": "ternary"},
    {"mixing": "gsu", "activation": "ternary-constant", "gsu_weights": 2, "gsu_norm": "batch"},
    {"cells": "stock", "mode_init": "s4d-real", "modes": 1},
    {"cells": "lif", "weight_bits": 4},
    {"architecture": "transformer"},
]


def run_of(tmp_path, **changes):
    return Run(config_of(dropout=0.0, **changes), tmp_path, World())


def gradients(run):
    """The logits and the gradients of a batch, by parameter."""
    p, label = torch.from_numpy(TRAIN.inputs[:16]), torch.from_numpy(TRAIN.labels[:16])
    out = run.forward(p)
    run.objective(out, Batch(p, label, None), 16).backward()
    return out, {name: p.grad for name, p in run.network.named_parameters()}


@pytest.mark.parametrize("changes", MODELS, ids=str)
def test_only_matrix_products_are_in_bfloat16(tmp_path, monkeypatch, changes):
    run = run_of(tmp_path, precision="bf16", **changes)
    seen, products = [], []
    convolution = kernel._CausalConvolution.forward

    def convolve(ctx, u, k):
        seen.extend([u.dtype, k.dtype])
        return convolution(ctx, u, k)

    def noted(operation):
        def multiply(*factors):
            product = operation(*factors)
            products.append(product.dtype)
            return product

        return multiply

    def record(module, inputs, output):
        seen.extend([inputs[0].dtype, output.dtype])

    monkeypatch.setattr(kernel._CausalConvolution, "forward", convolve)
    monkeypatch.setattr(torch, "matmul", noted(torch.matmul))
    monkeypatch.setattr(torch, "bmm", noted(torch.bmm))
    for module in run.network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | ChannelLayerNorm | LifLayer):
            module.register_forward_hook(record)
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda *call: products.append(call[-1].dtype))
    out, grads = gradients(run)
    kernels = {torch.float64}  # of the layers' impulse responses
    assert set(products) - kernels == {torch.bfloat16}
    assert seen and set(seen) == {torch.float32}
    assert {y.dtype for y in (*out.membranes, *out.outputs)} <= {torch.float32}
    for name, parameter in run.network.named_parameters():
        assert parameter.dtype == grads[name].dtype == torch.float32, name


def test_float32_is_untouched_by_autocast(tmp_path):
    out, _ = gradients(run_of(tmp_path))
    assert out.logits.dtype == torch.float32


def test_gradients_are_those_of_float32_to_bfloat16s_precision(tmp_path):
    # Without spikes, whose surrogate gradients a rounded membrane may move far.
    smooth = {"activation": "gelu", "mixing": "glu"}
    _, exact = gradients(run_of(tmp_path, **smooth))
    _, found = gradients(run_of(tmp_path, precision="bf16", **smooth))
    for name, grad in exact.items():
        error = float((found[name] - grad).norm() / grad.norm())
        assert 0 < error < 0.05, name


def test_it_learns_and_the_checkpoint_is_float32(tmp_path):
    metrics = train(config_of(precision="bf16"), TRAIN, TEST, tmp_path / "run")
    losses = [epoch["loss"] for epoch in metrics["epochs"]]
    assert losses[-1] < 0.7 * losses[0]
    assert metrics["test_accuracy"] > 0.9
