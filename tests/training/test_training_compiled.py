"""``--compile``: the compiled training step is the plain one, up to rounding."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.compiled_worker import MODEL as GATED  # noqa: E402
from support.compiled_worker import gradients  # noqa: E402
from support.files import ROOT, save_splits  # noqa: E402
from support.toy_problem import TEST, TRAIN, config_of  # noqa: E402

from export.command.arguments import main  # noqa: E402
from snn_ssm.config import ModelConfig  # noqa: E402
from snn_ssm.model import reset  # noqa: E402
from snn_ssm.model.layers import StateSpaceLayer  # noqa: E402
from snn_ssm.model.network import build_network  # noqa: E402
from snn_ssm.training import compilation  # noqa: E402
from snn_ssm.training.compilation import CompilationError, compiled  # noqa: E402
from snn_ssm.training.distributed import World  # noqa: E402
from snn_ssm.training.loop import train  # noqa: E402
from snn_ssm.training.run import Run  # noqa: E402


@pytest.mark.slow
def test_gradients_are_those_of_the_plain_step():
    found = subprocess.run(
        [sys.executable, "-m", "support.compiled_worker"], cwd=ROOT / "tests",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    errors = json.loads(found.stdout)
    assert len(errors) == 2 and max(errors) < 1e-4


@pytest.fixture
def compilers(monkeypatch):
    """The options of every call of the compiler, which only traces, to be fast."""
    calls, compiler = [], torch.compile
    monkeypatch.delitem(sys.modules, "nest", raising=False)  # others' tests may have loaded it

    def tracing(network, **options):
        calls.append(options)
        return compiler(network, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", tracing)
    return calls


@pytest.fixture
def anywhere(monkeypatch):
    """A step may be compiled on the CPU, too, so that this can be tested without a GPU."""
    monkeypatch.setattr(compilation, "require_gpu", lambda device: None)


def test_with_nest_in_the_process_it_is_refused(tmp_path, monkeypatch, anywhere):
    monkeypatch.setitem(sys.modules, "nest", object())
    with pytest.raises(CompilationError, match="NEST is loaded .* Train in a process of its own"):
        train(config_of(), TRAIN, TEST, tmp_path / "run", compile_step=True)
    assert not (tmp_path / "run").exists()


def test_on_the_cpu_it_is_refused_before_anything_is_written(tmp_path, compilers):
    with pytest.raises(CompilationError, match="--device cpu; expected a GPU.*operators.*--device"):
        train(config_of(), TRAIN, TEST, tmp_path / "run", compile_step=True)
    assert not (tmp_path / "run").exists() and not compilers


def test_so_does_the_command_before_it_fetches_anything(tmp_path, capsys):
    command = ["train", "smnist", "--download", "--compile"]
    places = ["--data", tmp_path / "data", "--out", tmp_path / "out"]
    assert main([str(a) for a in [*command, *places]]) == 2
    assert "Leave --compile out, or train with --device cuda." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", [{}, GATED, {"activation": "integer"}], ids=str)
def test_the_traced_step_is_the_plain_one_in_one_graph_a_block(model, compilers, monkeypatch):
    in_layers, discrete = [], StateSpaceLayer.discrete

    def noted(self):
        in_layers.append(torch.compiler.is_compiling())
        return discrete(self)

    monkeypatch.setattr(StateSpaceLayer, "discrete", noted)
    config = config_of(**{"dropout": 0.0} | model)
    plain, fused = (Run(config, Path(), World(), compile_step) for compile_step in (False, True))
    expected = gradients(plain)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    found = gradients(fused)
    breaks = torch._dynamo.utils.counters["graph_break"]
    assert all("torch.compiler.disable()" in reason for reason in breaks), list(breaks)
    assert in_layers and not any(in_layers)
    assert float((found - expected).norm() / expected.norm()) < 1e-5
    for one, other in zip(plain.network.buffers(), fused.network.buffers(), strict=True):
        assert torch.allclose(one, other, rtol=1e-5)


def test_loops_over_steps_are_not_compiled_step_by_step(compilers, monkeypatch):
    traced, run = [], reset.run

    def noted(*arguments):
        traced.append(torch.compiler.is_compiling())
        return run(*arguments)

    monkeypatch.setattr(reset, "run", noted)
    model = ModelConfig(channels=2, depth=1, modes=1, classes=2, reset="soft")
    compiled(build_network(model))(torch.zeros(1, 1, 3))
    assert traced == [False] and compilers


def test_the_command_compiles_where_it_is_told_to(tmp_path, compilers, anywhere):
    save_splits(tmp_path / "data", inputs=TRAIN.inputs, labels=TRAIN.labels)
    (tmp_path / "config.toml").write_text(
        "[task]\nname = 'smnist'\nsteps = 12\n[model]\nclasses = 2\nchannels = 4\ndepth = 1\n"
        "modes = 2\n[training]\nepochs = 1\nbatch_size = 35\n"
    )
    for options in ([], ["--compile"]):
        out = tmp_path / f"out{len(options)}"
        command = ["train", "smnist", "--config", tmp_path / "config.toml", "--out", out]
        assert main([str(a) for a in [*command, "--data", tmp_path / "data", *options]]) == 0
        assert json.loads((out / "metrics.json").read_text())["compiled"] == bool(options)
    assert compilers == [{"dynamic": False}]
