"""``--compile``: the compiled training step is the plain one, up to rounding."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from toy_problem import TEST, TRAIN, config_of  # noqa: E402

from export.cli import main  # noqa: E402
from snn_ssm.distributed import World  # noqa: E402
from snn_ssm.training import Run, train  # noqa: E402


def gradients(run):
    """Logits and all gradients of a batch, in float64, in one vector."""
    p, label = torch.from_numpy(TRAIN.inputs[:16]), torch.from_numpy(TRAIN.labels[:16])
    out = run.forward(p)
    run.objective(out.logits, label, out.outputs, 16).backward()
    found = [out.logits, *(p.grad for p in run.network.parameters())]
    return torch.cat([x.detach().double().flatten() for x in found])


def test_gradients_are_those_of_the_plain_step(tmp_path):
    model = {"mixing": "gsu", "activation": "ternary-constant", "gsu_norm": "batch", "dropout": 0.0}
    config = config_of(**model)
    exact, plain, fused = (Run(config, tmp_path, World(), step) for step in (False, False, True))
    exact.network.double()
    truth = gradients(exact)
    for run in (plain, fused):
        assert float((gradients(run) - truth).norm()) < 1e-4 * float(truth.norm())


@pytest.fixture
def compilers(monkeypatch):
    """The options of every call of the compiler, which only traces, to be fast."""
    calls, compiler = [], torch.compile

    def tracing(network, **options):
        calls.append(options)
        return compiler(network, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", tracing)
    return calls


def test_a_compiled_run_learns_the_same(tmp_path, compilers):
    config = config_of(epochs=2, activation="gelu", dropout=0.0)
    plain = train(config, TRAIN, TEST, tmp_path / "plain")
    assert compilers == []
    fused = train(config, TRAIN, TEST, tmp_path / "compiled", compile_step=True)
    assert compilers == [{"dynamic": False}]
    assert (plain["compiled"], fused["compiled"]) == (False, True)
    for one, other in zip(plain["epochs"], fused["epochs"], strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-4)


def test_the_command_compiles_where_it_is_told_to(tmp_path, compilers):
    np.savez(tmp_path / "data.npz", inputs=TRAIN.inputs, labels=TRAIN.labels)
    (tmp_path / "config.toml").write_text(
        "[task]\nname = 'smnist'\nsteps = 12\n[model]\nclasses = 2\nchannels = 4\ndepth = 1\n"
        "modes = 2\n[training]\nepochs = 1\nbatch_size = 35\n"
    )
    for options in ([], ["--compile"]):
        out = tmp_path / f"out{len(options)}"
        command = ["train", "smnist", "--config", tmp_path / "config.toml", "--out", out]
        assert main([str(a) for a in [*command, "--data", tmp_path / "data.npz", *options]]) == 0
        assert json.loads((out / "metrics.json").read_text())["compiled"] == bool(options)
    assert len(compilers) == 1
