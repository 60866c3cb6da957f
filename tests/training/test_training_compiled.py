"""``--compile``: the compiled training step is the plain one, up to rounding."""

import json
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.files import ROOT, save_splits  # noqa: E402
from support.toy_problem import TEST, TRAIN, config_of  # noqa: E402

from export.command.arguments import main  # noqa: E402
from snn_ssm.config import ModelConfig  # noqa: E402
from snn_ssm.model import reset  # noqa: E402
from snn_ssm.model.network import build_network  # noqa: E402
from snn_ssm.training.compilation import CompilationError, compiled  # noqa: E402
from snn_ssm.training.loop import train  # noqa: E402


@pytest.mark.slow
def test_gradients_are_those_of_the_plain_step():
    found = subprocess.run(
        [sys.executable, "-m", "support.compiled_worker"], cwd=ROOT / "tests",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    errors = json.loads(found.stdout)
    assert len(errors) == 2 and max(errors) < 1e-4


def test_with_nest_in_the_process_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nest", object())
    with pytest.raises(CompilationError, match="NEST is loaded .* Train in a process of its own"):
        train(config_of(), TRAIN, TEST, tmp_path / "run", compile_step=True)
    assert not (tmp_path / "run").exists()


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


def test_loops_over_steps_are_not_compiled_step_by_step(compilers, monkeypatch):
    traced, run = [], reset.run

    def noted(*arguments):
        traced.append(torch.compiler.is_compiling())
        return run(*arguments)

    monkeypatch.setattr(reset, "run", noted)
    model = ModelConfig(channels=2, depth=1, modes=1, classes=2, reset="soft")
    compiled(build_network(model))(torch.zeros(1, 1, 3))
    assert traced == [False] and compilers


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
    assert len(compilers) == 1
